"""One budget for a week beside seven daily ones, on the same weeks: 48 h of forecast, only the past beyond it."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.studies.data import BUDGETS, DAY, days, flavours, mean, weeks
from scheduler import BudgetWindow, ControllerSettings, ReplayResult, Trace, replay
from scheduler.outlook import DAY_S
from scheduler.trace import join

LEAD_S = 48 * 3600.0


def main(console: Console) -> None:
    """Print one table for each trace."""
    for trace, length in (
        (weeks(), 7),
        (join(days(), name="12 days joined"), 7),
        (join(days(), name="12 days joined"), 12),
    ):
        table = Table(
            "budget %",
            "daily windows",
            "daily clairvoyant",
            f"{length}-day window",
            "smaller by %",
            "over",
            title=f"{trace.name}: % above the bound of {length}-day windows, mean over all starts",
        )
        for budget in BUDGETS:
            daily, clairvoyant, long, over = _gaps(trace, length=length, budget=budget)
            smaller = 100 * (1 - long / daily)
            table.add_row(
                f"{100 * budget:g}", f"{daily:.3f}", f"{clairvoyant:.3f}", f"{long:.3f}", f"{smaller:.0f}", over
            )
        console.print(table)


def _gaps(trace: Trace, *, length: int, budget: float) -> tuple[float, float, float, str]:
    """Mean gaps in % of daily windows, the daily clairvoyant and long windows to the long windows' bound."""
    each_day = _replayed(trace, budget, days=1, first=0)
    found: list[tuple[float, float, float]] = []
    over = 0
    total = trace.carbon_actual.size // DAY
    for first in range(min(length, total - length + 1)):
        for result in _replayed(trace, budget, days=length, first=first):
            day = round((result.start_s - trace.start_s) / DAY_S)
            same = each_day[day : day + length]
            if (day - first) % length or len(same) < length or result.served.shape[0] < length * DAY:
                continue  # the piece before the first whole window, or after the last
            bound = result.clairvoyant_g
            grams = (sum(each.grams for each in same), sum(each.clairvoyant_g for each in same), result.grams)
            found.append(tuple(100 * (value / bound - 1) for value in grams))  # type: ignore[arg-type]
            over += result.over_budget
    daily, clairvoyant, long = (mean(column) for column in zip(*found, strict=True))
    return daily, clairvoyant, long, f"{over} of {len(found)}"


def _replayed(trace: Trace, budget: float, *, days: int, first: int) -> tuple[ReplayResult, ...]:
    """Replay in windows of `days`, one of which begins on day `first`; earlier days are the past that is known."""
    length_s = days * DAY_S
    window = BudgetWindow(length_s=length_s, offset_s=(trace.start_s + first * DAY_S) % length_s)
    settings = ControllerSettings(max_error=budget, window=window)
    return replay(trace, flavours(), settings=settings, lead_s=LEAD_S)
