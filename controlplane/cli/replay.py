"""`carbonrouter replay` and `carbonrouter report`: what recorded days would have emitted, beside what is possible."""

from __future__ import annotations

import json
import secrets
import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from controlplane.cli.errors import CliError
from controlplane.cli.output import Output
from controlplane.cli.replay_table import print_results
from controlplane.cli.study_options import takes_a_study
from controlplane.report import picture_ending, replay_plot, report_page
from controlplane.study import Study
from scheduler import ReplayResult

_PAGE = Path("carbonrouter-report.html")


@takes_a_study
def replay(
    study: Study,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the results into this file (.png, .svg or .pdf).", show_default=False)
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print the results.")] = Output.TABLE,
) -> None:
    """Replay recorded traces through a policy and compare with what was possible.

    A trace has the columns time, carbon_actual_g_per_kwh and, optionally, carbon_forecast_g_per_kwh,
    requests_actual and requests_forecast. A policy sees only what was known at each moment. There is one result
    for each budget window.

    Example: carbonrouter replay weeks.csv --flavours flavours.csv --max-error-pct 2 --window 7d --lead 48h

    Example: carbonrouter replay --scenario carbon-scenario --max-error-pct 15 --policy all

    "gap" is how far above the clairvoyant optimum a window ended; "vs best" what was saved against always
    serving the best flavour; "vs mix" what was gained over the cheapest constant mix with the same error,
    which is the part that comes from looking at carbon.
    """
    if plot is not None:
        _check_ending(plot)  # said before the work rather than after it
    results = _results(study)
    if plot is not None:
        _written(plot, lambda: replay_plot(results, study.flavours, plot))
    if output is Output.JSON:
        typer.echo(json.dumps([result.to_dict() for result in results], indent=2, allow_nan=False))
    else:
        print_results(results)


@takes_a_study
def report(
    study: Study,
    page: Annotated[Path, typer.Option(help="The HTML file to write; it needs nothing from outside.")] = _PAGE,
    source: Annotated[
        str, typer.Option(help="Where the carbon figures come from, with their licence: printed on the page.")
    ] = "",
) -> None:
    """Replay recorded traces and write one self-contained HTML page about the result.

    The page says what was promised and what was delivered, puts each saving beside always serving the best
    flavour, the carbon-blind mix of equal error and the clairvoyant bound, and names its data: kind, source, what
    is measured and what is modelled. It can be read offline and printed. The options are those of `carbonrouter
    replay`.

    Example: carbonrouter report weeks.csv --flavours flavours.csv --max-error-pct 2 --window 7d --lead 48h
    """
    results = _results(study)
    text = report_page(
        results,
        study.flavours,
        sources=study.sources(origin=source),
        command=shlex.join(["carbonrouter", *sys.argv[1:]]),
        made_at=datetime.now(UTC),
        version=version("carbonrouter"),
    )
    _written(page, lambda: _replace(page, text))
    typer.echo(f"{page}: {len(results)} results, {len(text.encode()) / 1024:.0f} KiB")


def _results(study: Study) -> list[ReplayResult]:
    """Run the study, with a line about its progress where a person is watching."""
    columns = (TextColumn("replaying"), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        runs = progress.track(study.run(), total=study.size)
        return [result for results in runs for result in results]


def _check_ending(path: Path) -> None:
    try:
        picture_ending(path)
    except ValueError as error:
        raise CliError(f"--plot: {error}", exit_code=2) from error


def _replace(path: Path, text: str) -> None:
    """Write a page so that whoever reads it finds the old one or the new one, never half of it.

    Unlike the engine's own files it is for others to read, and a link to it stays one.
    """
    if path.exists() and not path.is_file():  # a pipe is written to, not replaced; a folder is refused
        path.write_text(text, encoding="utf-8")
        return
    target = path.resolve()
    fresh = target.with_name(f".carbonrouter-{secrets.token_hex(8)}")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _written(path: Path, write: Callable[[], object]) -> None:
    try:
        write()
    except OSError as error:
        raise CliError(f"{path}: cannot be written: {error.strerror or error}") from error
