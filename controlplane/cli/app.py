"""The command line: every command's home, and one way to fail."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from controlplane.cli import local
from controlplane.cli.carbon_sim import carbon_sim
from controlplane.cli.demo import demo
from controlplane.cli.engine import engine
from controlplane.cli.errors import CliError
from controlplane.cli.replay import replay, report

app = typer.Typer(
    name="carbonrouter",
    help="Carbon-aware traffic splitting between the flavours of a service, for Envoy.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo)
app.command()(local.up)
app.command()(engine)
app.command()(local.down)
app.command()(local.check)
app.command()(replay)
app.command()(report)
app.command("carbon-sim")(carbon_sim)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"carbonrouter {version('carbonrouter')}")
        raise typer.Exit


@app.callback()
def common(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what is being done.")] = False,
) -> None:
    """Options that come before the command."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # What happens to the configuration and to Envoy is for whoever started them, asked for or not.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it would watch its own words in a log beside the file
    for name in ("controlplane.local", "controlplane.host", "controlplane.follow"):
        logging.getLogger(name).setLevel(logging.INFO)


def run() -> None:
    """Run, and turn every foreseen failure into a message and an exit code."""
    try:
        app()
    except CliError as error:
        typer.echo(str(error), err=True)
        sys.exit(error.exit_code)
