"""`carbonrouter replay`: what recorded days would have emitted, beside what is possible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controlplane.cli.output import Output
from controlplane.traces import read_text, read_trace
from scheduler import Flavour, ReplayResult, Trace, TraceError, parse_flavours, settings_for
from scheduler import replay as replay_trace


def replay(
    traces: Annotated[list[Path], typer.Argument(help="One CSV file per budget window.", show_default=False)],
    flavours: Annotated[
        Path,
        typer.Option(help="CSV with flavour, error_pct and energy_j (or energy_ms_at_50w).", show_default=False),
    ],
    max_error_pct: Annotated[
        list[float],
        typer.Option(help="Mean error promised, in %; may be given several times.", show_default=False),
    ],
    guard_pct: Annotated[
        float | None,
        typer.Option(help="Deviation of demand, in %, that must not break the promise.", show_default="built in"),
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print the results.")] = Output.TABLE,
) -> None:
    """Replay recorded days through the controller and compare with what was possible.

    A trace has the columns time, carbon_actual_g_per_kwh and, optionally, carbon_forecast_g_per_kwh,
    requests_actual and requests_forecast. Each trace is one budget window; the controller sees only what was
    known at each moment.

    Example: carbonrouter replay monday.csv tuesday.csv --flavours flavours.csv --max-error-pct 2

    "gap" is how far above the clairvoyant optimum the day ended; "vs best" what was saved against always
    serving the best flavour; "vs mix" what was gained over the cheapest constant mix with the same error,
    which is the part that comes from looking at carbon.
    """
    try:
        _check_percent("--max-error-pct", max_error_pct)
        _check_percent("--guard-pct", [] if guard_pct is None else [guard_pct])
        chosen = parse_flavours(read_text(flavours), name=str(flavours))
        parsed = [read_trace(path) for path in traces]
    except TraceError as error:
        typer.echo(f"carbonrouter replay: {error}", err=True)
        raise typer.Exit(2) from error
    results = [
        _run(trace, chosen, max_error_pct=percent, guard_pct=guard_pct) for trace in parsed for percent in max_error_pct
    ]
    if output is Output.JSON:
        typer.echo(json.dumps([result.to_dict() for result in results], indent=2, allow_nan=False))
    else:
        _print_table(results)


def _check_percent(option: str, values: list[float]) -> None:
    for value in values:
        if not 0.0 <= value <= 100.0:
            raise TraceError(f"{option}: {value:g} is not between 0 and 100")


def _run(trace: Trace, flavours: tuple[Flavour, ...], *, max_error_pct: float, guard_pct: float | None) -> ReplayResult:
    guard = None if guard_pct is None else guard_pct / 100.0
    return replay_trace(trace, flavours, settings=settings_for(trace, max_error=max_error_pct / 100.0, guard=guard))


def _print_table(results: list[ReplayResult]) -> None:
    table = Table(caption="gap: above the clairvoyant optimum; vs best, vs mix: saved against each")
    table.add_column("trace", overflow="fold")
    for heading in ("budget %", "error %", "gap %", "vs best %", "vs mix %", "over"):
        table.add_column(heading, justify="right")
    for result in results:
        table.add_row(
            escape(Path(result.trace).name),
            f"{result.max_error_pct:g}",
            f"{result.mean_error_pct:.4f}",
            _percent(result.gap_to_clairvoyant_pct),
            _percent(result.saving_vs_always_best_pct),
            _percent(result.gain_vs_blind_mix_pct),
            "OVER" if result.over_budget else "-",
        )
    table.add_section()
    table.add_row(
        "mean",
        "",
        "",
        _percent(_mean([result.gap_to_clairvoyant_pct for result in results])),
        _percent(_mean([result.saving_vs_always_best_pct for result in results])),
        _percent(_mean([result.gain_vs_blind_mix_pct for result in results])),
        f"{sum(result.over_budget for result in results)} of {len(results)}",
    )
    console = Console()
    console.print(table)
    for name, note in dict.fromkeys((result.trace, note) for result in results for note in result.notes):
        console.print(f"{name}: {note}", markup=False, highlight=False, soft_wrap=True)


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
