"""`carbonrouter demo`: one recorded day, or three with an outage, through a real Envoy."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from controlplane.cli.errors import CliError
from controlplane.cli.output import Output
from controlplane.cli.signals import run_until_signalled
from controlplane.demo import browser
from controlplane.demo.backends import BackendError
from controlplane.demo.outcome import budget_held, kept_up, outcome_dict, outcome_table
from controlplane.demo.plan import DAY_S, DemoPlan, Outage, aligned, days_of
from controlplane.demo.plot import draw
from controlplane.demo.run import DemoOutcome, play
from controlplane.demo.view import View, view_for
from controlplane.local.envoy import EnvoyError
from controlplane.statedir import StartError
from controlplane.traces import read_trace
from scheduler import Trace, TraceError

_WIDTH_OF_FILES = 120
_TOO_FAST = (
    "this machine could not keep up with the requests at this speed, so the figures above mean little: "
    "try a lower --speed, fewer --requests-per-slot, or less work per answer with --numbers"
)
_EXAMPLES = Path(__file__).parents[2] / "examples"
_DAY = _EXAMPLES / "demo" / "day.csv"
_RECORDING = _EXAMPLES / "weeks" / "gb_2023-01-01_20days.csv"
# 14 to 16 January 2023: two calm days around one on which the grid's intensity quadruples.
_FIRST_OF_THREE_S = 1_673_654_400.0
_DAYS = 3
_SPEED, _SPEED_OF_THREE = 900.0, 2160.0
_REQUESTS, _REQUESTS_OF_THREE = 150.0, 40.0


def demo(  # noqa: PLR0913, PLR0917 - one parameter an option
    trace: Annotated[
        Path | None,
        typer.Option(help="The recorded day: a CSV as `carbonrouter replay` takes it.", show_default="a day of 2023"),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(min=1, max=3600, help="Recorded seconds per real second.", show_default="900; outage: 2160"),
    ] = None,
    requests_per_slot: Annotated[
        float | None,
        typer.Option(min=1, max=2000, help="Requests in a slot, on average.", show_default="150; outage: 40"),
    ] = None,
    max_error_pct: Annotated[float, typer.Option(min=0, max=100, help="The promise: mean error of a day, %.")] = 4,
    numbers: Annotated[int, typer.Option(min=1000, help="Numbers that one answer averages: its work.")] = 1_000_000,
    outage: Annotated[
        bool, typer.Option("--outage", help="Play three days, and have the carbon source down in their middle.")
    ] = False,
    outage_hours: Annotated[float, typer.Option(min=1, max=66, help="With --outage: how long.")] = 24,
    noise: Annotated[
        float, typer.Option(min=0, max=50, help="With --outage: standard deviation of far forecasts, %.")
    ] = 10,
    open_page: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open the live page in a browser.", show_default="where one can be seen"),
    ] = None,
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything running at the end, until Ctrl-C.")] = False,
    plot: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("carbonrouter-day.png"),
    output: Annotated[Output, typer.Option("--output", "-o", help="How the result is printed.")] = Output.TABLE,
) -> None:
    """Play one recorded day: real requests through a real Envoy whose split follows a carbon schedule.

    Three flavours of the sample service are started, then the control plane and Envoy; a day's requests are sent at
    --speed times real time (at 900 a half-hour slot lasts two seconds). The end is a table of what was saved, from what
    the proxy reported, and a picture. Nothing is left running. Exit code 1 if a request failed or a budget was
    exceeded.

    With --outage it is three days, whose carbon comes over HTTP from a simulated GB Carbon Intensity API that is down
    for a day; the table then also says what the control plane told of that.

    Example: carbonrouter demo --max-error-pct 2
    """
    if outage and trace is not None:
        raise CliError("--outage has its own days: leave --trace out", exit_code=2)
    day = _trace(trace or _DAY)
    plan = DemoPlan(
        trace=day,
        trace_path=trace or _DAY,
        speed=speed or _SPEED,
        requests_per_slot=requests_per_slot or _REQUESTS,
        max_error_pct=max_error_pct,
        numbers=numbers,
        demand_path=None if day.requests_forecast is None else trace or _DAY,
    )
    if outage:
        plan = _with_outage(plan, hours=outage_hours, noise_pct=noise)
        plan = replace(plan, speed=speed or _SPEED_OF_THREE, requests_per_slot=requests_per_slot or _REQUESTS_OF_THREE)
    _check_writable(plot)
    # With -o json the result alone goes to standard output, so that it can be piped.
    progress = Console(stderr=output is Output.JSON)
    if not progress.is_terminal:
        progress.width = _WIDTH_OF_FILES

    def show(outcome: DemoOutcome) -> None:
        draw(outcome, plot)
        _print(outcome, progress, output)
        progress.print(f"picture of the day: {plot}", highlight=False)

    outcome = _play(
        plan, progress, show=show, stay=stay, open_page=browser.can_show() if open_page is None else open_page
    )
    if not kept_up(outcome):
        typer.echo(_TOO_FAST, err=True)
    if outcome.tally.failed:
        raise CliError(f"{outcome.tally.failed} request(s) failed: {'; '.join(outcome.tally.failures)}")
    if not budget_held(outcome):
        raise CliError("the error budget was exceeded")


def _print(outcome: DemoOutcome, progress: Console, output: Output) -> None:
    if output is Output.JSON:
        json.dump(outcome_dict(outcome), sys.stdout, indent=2)
        typer.echo()
    else:
        progress.print(outcome_table(outcome))


def _play(
    plan: DemoPlan, console: Console, *, show: Callable[[DemoOutcome], None], stay: bool, open_page: bool
) -> DemoOutcome:
    outcomes: list[DemoOutcome] = []

    async def main() -> None:
        with contextlib.ExitStack() as stack:
            view = stack.enter_context(view_for(console, plan))

            def over(outcome: DemoOutcome) -> None:
                outcomes.append(outcome)
                stack.close()  # a live view would be drawn over what comes now
                show(outcome)
                console.print("everything goes on, the clock stands still; Ctrl-C stops", highlight=False)

            outcome = await play(plan, _Audience(view, open_page=open_page), stay=over if stay else None)
        outcomes.append(outcome)
        show(outcome)

    try:
        if run_until_signalled(main()) and not outcomes:
            raise CliError("stopped before the day was over; everything has been cleaned up", exit_code=130)
    except (BackendError, EnvoyError, StartError) as error:
        raise CliError(str(error)) from error
    return outcomes[0]


class _Audience:
    """A view, and a browser if one is wanted."""

    def __init__(self, view: View, *, open_page: bool) -> None:
        self.stage, self.tick = view.stage, view.tick
        self._view = view
        self._open_page = open_page

    def page(self, url: str) -> None:
        """Say where the live page is, and open it."""
        self._view.page(url)
        if self._open_page:
            browser.show(url)


def _with_outage(plan: DemoPlan, *, hours: float, noise_pct: float) -> DemoPlan:
    """Three days with the requests of the one in `plan`, and the source down around their middle."""
    recording = _trace(_RECORDING)
    days = days_of(recording, first_s=_FIRST_OF_THREE_S, count=_DAYS, requests=plan.trace)
    middle_s, half_s = _FIRST_OF_THREE_S + _DAYS * DAY_S / 2, hours * 3600 / 2
    down = Outage(recording=recording, start_s=middle_s - half_s, end_s=middle_s + half_s, noise_pct=noise_pct)
    return replace(plan, trace=days, trace_path=_RECORDING, outage=down)


def _trace(path: Path) -> Trace:
    try:
        trace = read_trace(path)
    except TraceError as error:
        raise CliError(f"--trace: {error}", exit_code=2) from error
    if not aligned(trace):
        raise CliError(f"--trace {path}: must begin at midnight or at a whole multiple of its own length", exit_code=2)
    return trace


def _check_writable(path: Path) -> None:
    """Before two minutes have gone into what cannot be saved."""
    try:
        with path.open("ab"):
            pass
    except OSError as error:
        raise CliError(f"--plot {path}: cannot be written: {error.strerror}", exit_code=2) from error
