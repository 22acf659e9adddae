"""`carbonrouter up`, `down` and `check`: one machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from controlplane.api import check_access
from controlplane.cli.errors import CliError
from controlplane.cli.signals import run_until_signalled
from controlplane.clock import SystemClock
from controlplane.config import Api, Config, ConfigError, load_config
from controlplane.feeds import Feeds
from controlplane.follow import FileVersion, Follower, file_version
from controlplane.local.envoy import EnvoyError, EnvoyFiles, find_left_over, stop_process
from controlplane.local.runtime import Runtime
from controlplane.planned import planned_services
from controlplane.statedir import StartError, exclusive

ConfigOption = Annotated[Path, typer.Option("--file", "-f", help="The configuration file.")]
_DEFAULT = Path("carbonrouter.yaml")


def up(file: ConfigOption = _DEFAULT) -> None:
    """Run the control plane and an Envoy for the services of a configuration file.

    The file is followed: services may be added, changed and removed while traffic flows. Ctrl-C finishes requests in
    flight and stops both. If the control plane dies instead, Envoy goes on, returns to full quality within the TTL,
    and the next `carbonrouter up` takes it over.

    Example: carbonrouter up -f examples/local/carbonrouter.yaml
    """
    loaded = file_version(file)
    config = _load(file)
    with explained():
        run_until_signalled(_up(config, file.resolve(), loaded))
    typer.echo("stopped")


def down(file: ConfigOption = _DEFAULT) -> None:
    """Stop the Envoy that a killed `carbonrouter up` has left running."""
    config = _load(file)
    if not config.state_dir.is_dir():
        typer.echo(f"no envoy of {config.state_dir} is running")
        return
    with explained(), exclusive(config.state_dir):
        left_over = find_left_over(EnvoyFiles(config.state_dir))
        if left_over is None:
            typer.echo(f"no envoy of {config.state_dir} is running")
            return
        asyncio.run(stop_process(left_over))
    typer.echo(f"stopped envoy, pid {left_over.pid}")


def check(file: ConfigOption = _DEFAULT) -> None:
    """Say whether a configuration file is right, and what is wrong with it if not."""
    config = _load(file)
    with explained():
        planned_services(config.services, config.gateway, Feeds(SystemClock()), clock=SystemClock())
        check_access(config.api)
    typer.echo(f"{file}: {len(config.services)} service(s), nothing to object to")


async def _up(config: Config, path: Path, loaded: FileVersion) -> None:
    runtime = Runtime(config)
    async with runtime.running():
        adopted = " (taken over)" if runtime.envoy.adopted else ""
        services = len(runtime.engine.sessions)
        typer.echo(f"envoy{adopted} serves {services} service(s) on http://{config.gateway.listen}")
        typer.echo(f"{where_to_look(config.api)}   Ctrl-C stops")
        follower = Follower(path, loaded=loaded, reload=runtime.reload)
        runtime.host.follower = follower
        await follower.run()


def where_to_look(api: Api) -> str:
    """Where the page and the metrics are."""
    base = f"{'https' if api.tls else 'http'}://{api.listen}"
    return f"live page: {base}/   metrics: {base}/metrics"


def _load(file: Path) -> Config:
    with explained():
        return load_config(file, Config)


@contextmanager
def explained() -> Iterator[None]:
    """Turn every foreseen failure into a message and an exit code."""
    try:
        yield
    except ConfigError as error:
        raise CliError(str(error), exit_code=2) from error
    except (StartError, EnvoyError) as error:
        raise CliError(str(error)) from error
