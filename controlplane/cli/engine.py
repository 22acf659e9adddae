"""`carbonrouter engine`: the decisions alone, for whoever asks over HTTP."""

from __future__ import annotations

from pathlib import Path

import typer

from controlplane.api import serve_api
from controlplane.cli.local import ConfigOption, explained, where_to_look
from controlplane.cli.signals import run_until_signalled
from controlplane.config import EngineConfig, load_config
from controlplane.follow import FileVersion, Follower, file_version
from controlplane.host import EngineHost, NoDataPlane
from controlplane.statedir import exclusive, make

_DEFAULT = Path("carbonrouter.yaml")


def engine(file: ConfigOption = _DEFAULT) -> None:
    """Run the engine as a service: it decides, keeps the books, and is asked and steered over HTTP.

    No proxy is started. Services stand in the file, which is followed, or are made over the API; counts of what was
    served come in over the API, schedules are fetched there. Everything outlives a restart.

    Example: carbonrouter engine -f examples/engine/carbonrouter.yaml
    """
    loaded = file_version(file)
    with explained():
        config = load_config(file, EngineConfig)
        run_until_signalled(_engine(config, file.resolve(), loaded))
    typer.echo("stopped")


async def _engine(config: EngineConfig, path: Path, loaded: FileVersion) -> None:
    make(config.state_dir)
    with exclusive(config.state_dir):
        # Within: what it reads here, another that is just ending must not write any more.
        host = EngineHost(config, NoDataPlane())

        async def reload(changed: Path) -> None:
            await host.reload(load_config(changed, EngineConfig))

        async with host.running(), serve_api(host):
            typer.echo(f"the engine decides for {len(host.engine.sessions)} service(s); Ctrl-C stops")
            typer.echo(where_to_look(config.api))
            host.follower = Follower(path, loaded=loaded, reload=reload)
            await host.follower.run()
