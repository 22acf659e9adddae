"""What waiting gains, as a share of what it gains a clairvoyant."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.studies.data import BUDGETS, days, flavours, mean, single_days, weeks
from scheduler import ReplayResult, Trace, replay, settings_for
from scheduler.replay import PROCESSING, Deferral


def main(console: Console) -> None:
    """Print a row per set of days, processing policy, share and hours.

    The gain is the share of what a clairvoyant gains by waiting: its mean over the days and budgets without missed
    deadlines (how many, where not all), and that of the sums over all.
    """
    table = Table("days", "processing", "may wait", "hours", "gain %, mean", "gain %, pooled", "missed %", "over")
    for name, traces in (("12 days", days()), ("20 GB days", list(single_days(weeks())))):
        for processing in PROCESSING:
            for share in (0.1, 0.3):
                for hours in (2, 6, 12):
                    _add(table, name, traces, Deferral(share=share, wait_s=hours * 3600.0, processing=processing))
            table.add_section()
    console.print(table)


def _add(table: Table, name: str, traces: list[Trace], deferral: Deferral) -> None:
    results = [
        replay(trace, flavours(), settings=settings_for(trace, max_error=budget), deferral=deferral)[0]
        for trace in traces
        for budget in BUDGETS
    ]
    waited = sum(each.requests for each in results) * deferral.share
    table.add_row(
        name,
        deferral.processing,
        f"{100 * deferral.share:g} %",
        f"{deferral.wait_s / 3600:g}",
        _mean(results),
        f"{_pooled(traces, results):.1f}",
        f"{100 * sum(each.deadlines_missed for each in results) / waited:.2f}",
        f"{sum(each.over_budget for each in results)} of {len(results)}",
    )


def _mean(results: list[ReplayResult]) -> str:
    known = [each.realised_deferral_gain_pct for each in results if each.realised_deferral_gain_pct is not None]
    if not known:
        return "n/a"
    return f"{mean(known):.1f}" + (f" ({len(known)} of {len(results)})" if len(known) < len(results) else "")


def _pooled(traces: list[Trace], results: list[ReplayResult]) -> float:
    """What waiting gained in all, as a share of what it gained the clairvoyant in all."""
    without = [
        replay(trace, flavours(), settings=settings_for(trace, max_error=budget))[0]
        for trace in traces
        for budget in BUDGETS
    ]
    gained = sum(each.grams for each in without) - sum(each.grams for each in results)
    bound = sum(each.clairvoyant_g for each in without) - sum(each.clairvoyant_g for each in results)
    return 100.0 * gained / bound
