"""`carbonrouter up`, `down` and `check`: one machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from controlplane.cli.errors import CliError
from controlplane.cli.signals import run_until_signalled
from controlplane.clock import SystemClock
from controlplane.config import Config, ConfigError, load_config
from controlplane.feeds import Feeds
from controlplane.local.envoy import EnvoyError, EnvoyFiles, find_left_over, stop_process
from controlplane.local.runtime import FileVersion, Runtime, RuntimeStartError, exclusive, file_version
from controlplane.planned import planned_services

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
    with _explained():
        run_until_signalled(_up(config, file.resolve(), loaded))
    typer.echo("stopped")


def down(file: ConfigOption = _DEFAULT) -> None:
    """Stop the Envoy that a killed `carbonrouter up` has left running."""
    config = _load(file)
    if not config.state_dir.is_dir():
        typer.echo(f"no envoy of {config.state_dir} is running")
        return
    with _explained(), exclusive(config.state_dir):
        left_over = find_left_over(EnvoyFiles(config.state_dir))
        if left_over is None:
            typer.echo(f"no envoy of {config.state_dir} is running")
            return
        asyncio.run(stop_process(left_over))
    typer.echo(f"stopped envoy, pid {left_over.pid}")


def check(file: ConfigOption = _DEFAULT) -> None:
    """Say whether a configuration file is right, and what is wrong with it if not."""
    config = _load(file)
    with _explained():
        planned_services(config, Feeds(SystemClock()))
    typer.echo(f"{file}: {len(config.services)} service(s), nothing to object to")


async def _up(config: Config, path: Path, loaded: FileVersion) -> None:
    runtime = Runtime(config)
    async with runtime.running():
        gateway, status = config.gateway.listen, config.status.listen
        adopted = " (taken over)" if runtime.envoy.adopted else ""
        typer.echo(f"envoy{adopted} serves {len(config.services)} service(s) on http://{gateway}")
        typer.echo(f"status: http://{status}/status   metrics: http://{status}/metrics   Ctrl-C stops")
        await runtime.reload_on_change(path, loaded=loaded)


def _load(file: Path) -> Config:
    with _explained():
        return load_config(file)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise CliError(str(error), exit_code=2) from error
    except (RuntimeStartError, EnvoyError) as error:
        raise CliError(str(error)) from error
