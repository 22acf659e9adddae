"""Replayed results as a table: every window of a small study, the means of a large one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scheduler import ReplayResult

_MOST_ROWS = 60
_WIDTH_OF_FILES = 120
_CAPTION = "gap: above the clairvoyant optimum; vs best, vs mix: saved against each"


def print_results(results: Sequence[ReplayResult]) -> None:
    """Print each result, or the means of each policy and budget where there are too many to read; then the notes."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH_OF_FILES)
    console.print(_table(results, each=len(results) <= _MOST_ROWS))
    if len(results) > _MOST_ROWS:
        console.print(f"means of {len(results)} results; -o json prints each")
    for name, note in dict.fromkeys((result.trace, note) for result in results for note in result.notes):
        console.print(f"{name}: {note}", markup=False, highlight=False, soft_wrap=True)


def _table(results: Sequence[ReplayResult], *, each: bool) -> Table:
    table = Table(caption=_CAPTION)
    waiting = any(
        result.realised_deferral_gain_pct is not None or result.deferred_requests or result.deadlines_missed
        for result in results
    )
    carries = any(result.carried_pct for result in results)
    leads = [column for column in _LEADS if column.wanted(results, each=each)]
    for column in leads:
        table.add_column(column.heading, overflow="fold")
    granted = ("carried %", "granted %") if carries else ()
    for heading in ("budget %", *granted, "error %", "gap %", "vs best %", "vs mix %", "over"):
        table.add_column(heading, justify="right")
    if waiting:
        table.add_column("of possible waiting gain %", justify="right")
        table.add_column("deadlines missed", justify="right", overflow="fold")
    if each:
        for result in results:
            _add(table, [result], lead=[column.of(result) for column in leads], carries=carries, waiting=waiting)
        table.add_section()
    groups = list(_groups(results))
    if len(results) == 1 or any(len(group) > 1 for _, _, group in groups):
        for policy, budget, group in groups:
            known = {"trace": "mean", "window": "", "policy": policy}
            lead = [known[column.heading] for column in leads]
            _add(table, group, lead=lead, carries=carries, waiting=waiting, budget=budget)
    return table


@dataclass(frozen=True)
class _Lead:
    """A column that says which result a row is of; only there when rows differ in it, or when it names the row."""

    heading: str
    of: Callable[[ReplayResult], str]

    def wanted(self, results: Sequence[ReplayResult], *, each: bool) -> bool:
        differ = len({self.of(result) for result in results}) > 1
        return {"trace": each, "window": each and differ, "policy": differ or not each}[self.heading]


_LEADS = (
    _Lead("trace", lambda result: escape(Path(result.trace).name)),
    _Lead("window", lambda result: result.window_start[:16].replace("T", " ")),
    _Lead("policy", lambda result: result.policy),
)


def _groups(results: Sequence[ReplayResult]) -> Iterator[tuple[str, str, list[ReplayResult]]]:
    """The results of each policy under each budget, and then under all."""
    for policy in dict.fromkeys(result.policy for result in results):
        mine = [result for result in results if result.policy == policy]
        budgets = dict.fromkeys(result.max_error_pct for result in mine)
        for budget in budgets:
            yield policy, f"{budget:g}", [result for result in mine if result.max_error_pct == budget]
        if len(budgets) > 1:
            yield policy, "all", mine


def _add(  # noqa: PLR0913 - a row, and which columns there are
    table: Table,
    group: Sequence[ReplayResult],
    *,
    lead: list[str],
    carries: bool,
    waiting: bool,
    budget: str | None = None,
) -> None:
    def mean(value: Callable[[ReplayResult], float | None], *, digits: int = 3) -> str:
        known = [number for result in group if (number := value(result)) is not None]
        return f"{sum(known) / len(known):.{digits}f}" if known else "n/a"

    over = sum(result.over_budget for result in group)
    table.add_row(
        *lead,
        budget or f"{group[0].max_error_pct:g}",
        *([mean(lambda result: result.carried_pct), mean(lambda result: result.granted_pct)] if carries else []),
        mean(lambda result: result.mean_error_pct, digits=4),
        mean(lambda result: result.gap_to_clairvoyant_pct),
        mean(lambda result: result.saving_vs_always_best_pct),
        mean(lambda result: result.gain_vs_blind_mix_pct),
        f"{over} of {len(group)}" if budget else "OVER" if over else "-",
        *([mean(lambda result: result.realised_deferral_gain_pct, digits=1)] if waiting else []),
        *([f"{sum(result.deadlines_missed for result in group):,.0f}"] if waiting else []),
    )
