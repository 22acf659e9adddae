"""`carbonrouter demo`: one recorded day through a real Envoy."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from controlplane.cli.errors import CliError
from controlplane.cli.output import Output
from controlplane.cli.signals import run_until_signalled
from controlplane.demo.backends import BackendError
from controlplane.demo.outcome import budget_held, kept_up, outcome_dict, outcome_table
from controlplane.demo.plot import draw
from controlplane.demo.run import DemoOutcome, DemoPlan, aligned, play
from controlplane.demo.view import view_for
from controlplane.local.envoy import EnvoyError
from controlplane.statedir import StartError
from controlplane.traces import read_trace
from scheduler import Trace, TraceError

_WIDTH_OF_FILES = 120
_TOO_FAST = (
    "this machine could not keep up with the requests at this speed, so the figures above mean little: "
    "try a lower --speed, fewer --requests-per-slot, or less work per answer with --numbers"
)
_DAY = Path(__file__).parents[2] / "examples" / "demo" / "day.csv"


def demo(  # noqa: PLR0913, PLR0917 - one parameter an option
    trace: Annotated[Path, typer.Option(help="The recorded day: a CSV as `carbonrouter replay` takes it.")] = _DAY,
    speed: Annotated[float, typer.Option(min=1, max=3600, help="Recorded seconds per real second.")] = 900,
    requests_per_slot: Annotated[float, typer.Option(min=1, max=2000, help="Requests in a slot, on average.")] = 150,
    max_error_pct: Annotated[float, typer.Option(min=0, max=100, help="The promise: mean error of the day, %.")] = 4,
    numbers: Annotated[int, typer.Option(min=1000, help="Numbers that one answer averages: its work.")] = 1_000_000,
    plot: Annotated[Path, typer.Option(help="Where the picture of the day goes.")] = Path("carbonrouter-day.png"),
    output: Annotated[Output, typer.Option("--output", "-o", help="How the result is printed.")] = Output.TABLE,
) -> None:
    """Play one recorded day: real requests through a real Envoy whose split follows a carbon schedule.

    Three flavours of the sample service are started, then the control plane and Envoy; a day's requests are sent at
    --speed times real time (at 900 a half-hour slot lasts two seconds). The end is a table of what was saved, from what
    the proxy reported, and a picture. Nothing is left running. Exit code 1 if a request failed or the budget was
    exceeded.

    Example: carbonrouter demo --max-error-pct 2
    """
    plan = DemoPlan(
        trace=_trace(trace),
        trace_path=trace,
        speed=speed,
        requests_per_slot=requests_per_slot,
        max_error_pct=max_error_pct,
        numbers=numbers,
    )
    _check_writable(plot)
    # With -o json the result alone goes to standard output, so that it can be piped.
    progress = Console(stderr=output is Output.JSON)
    if not progress.is_terminal:
        progress.width = _WIDTH_OF_FILES
    outcome = _play(plan, progress)
    draw(outcome, plot)
    if output is Output.JSON:
        json.dump(outcome_dict(outcome), sys.stdout, indent=2)
        typer.echo()
    else:
        progress.print(outcome_table(outcome))
    progress.print(f"picture of the day: {plot}", highlight=False)
    if not kept_up(outcome):
        typer.echo(_TOO_FAST, err=True)
    if outcome.tally.failed:
        raise CliError(f"{outcome.tally.failed} request(s) failed: {'; '.join(outcome.tally.failures)}")
    if not budget_held(outcome):
        raise CliError("the error budget was exceeded")


def _play(plan: DemoPlan, console: Console) -> DemoOutcome:
    outcomes: list[DemoOutcome] = []

    async def main() -> None:
        with view_for(console, plan) as view:
            outcomes.append(await play(plan, on_stage=view.stage, on_tick=view.tick))

    try:
        if run_until_signalled(main()):
            raise CliError("stopped before the day was over; everything has been cleaned up", exit_code=130)
    except (BackendError, EnvoyError, StartError) as error:
        raise CliError(str(error)) from error
    return outcomes[0]


def _trace(path: Path) -> Trace:
    try:
        trace = read_trace(path)
    except TraceError as error:
        raise CliError(f"--trace: {error}", exit_code=2) from error
    if not aligned(trace):
        raise CliError(
            f"--trace {path}: must begin at a whole multiple of its own length, e.g. at midnight", exit_code=2
        )
    return trace


def _check_writable(path: Path) -> None:
    """Before two minutes have gone into what cannot be saved."""
    try:
        with path.open("ab"):
            pass
    except OSError as error:
        raise CliError(f"--plot {path}: cannot be written: {error.strerror}", exit_code=2) from error
