"""What each guard costs and what it holds when the world is not as foreseen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.studies.data import BUDGETS, DAY, days, flavours, mean, overshoot_pct, with_noise
from scheduler import ReplayResult, Trace, replay, settings_for
from scheduler.trace import join

GUARDS = (None, 0.0, 0.03, 0.06, 0.1, 0.2, 0.5, 1.0)
LEVELS = (0.6, 0.8, 1.2, 1.4)


def main(console: Console) -> None:
    """Print, for every kind of trouble, a row per guard."""
    table = Table("trouble", "guard", "gap %", "over", "worst overshoot, % of the promise")
    for name, traces in TROUBLES.items():
        for guard in GUARDS:
            results = [each for trace in traces() for each in _replayed(trace, guard)]
            table.add_row(
                name,
                "learned" if guard is None else f"{100 * guard:g} %",
                f"{mean([each.gap_to_clairvoyant_pct for each in results]):.3f}",
                f"{sum(each.over_budget for each in results)} of {len(results)}",
                f"{max(overshoot_pct(each) for each in results):.3f}",
            )
        table.add_section()
    console.print(table)


def _replayed(trace: Trace, guard: float | None) -> list[ReplayResult]:
    """All budget windows of a day in the trace, under each budget."""
    return [
        result
        for budget in BUDGETS
        for result in replay(
            trace, flavours(), settings=settings_for(trace, max_error=budget, guard=guard, window="1d")
        )
    ]


def as_recorded() -> list[Trace]:
    """No trouble."""
    return days()


def noise() -> list[Trace]:
    """Demand as foreseen with 3 % noise."""
    return [with_noise(trace, level=1.0, noise=0.03, seed=seed) for seed, trace in enumerate(days())]


def wrong_volume() -> list[Trace]:
    """0.6 to 1.4 times the demand foreseen, with 20 % noise from slot to slot."""
    return [
        with_noise(trace, level=level, noise=0.2, seed=seed) for level in LEVELS for seed, trace in enumerate(days())
    ]


def wrong_demand() -> list[Trace]:
    """Demand comes half a day from when it was foreseen."""
    return [replace(trace, requests_forecast=np.roll(_foreseen(trace), DAY // 2)) for trace in days()]


def wrong_carbon() -> list[Trace]:
    """The carbon forecast is that of another half of the day."""
    return [replace(trace, carbon_forecast=np.roll(_forecast(trace), DAY // 2)) for trace in days()]


def blackout() -> list[Trace]:
    """The twelve days in a row; of the whole sixth neither forecast, nor actual carbon, nor counts are heard."""
    whole = join(days(), name="12 days joined")
    silent = frozenset(range(5 * DAY, 6 * DAY))
    forecast = _forecast(whole).copy()
    forecast[list(silent)] = np.nan
    return [replace(whole, carbon_forecast=forecast, unseen_carbon=silent, unseen_requests=silent)]


def collapse() -> list[Trace]:
    """At noon demand falls to a tenth of what was foreseen."""
    return [
        replace(trace, requests_actual=np.where(np.arange(DAY) < DAY // 2, 1.0, 0.1) * _foreseen(trace))
        for trace in days()
    ]


def _foreseen(trace: Trace) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    assert trace.requests_forecast is not None
    return trace.requests_forecast


def _forecast(trace: Trace) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    assert trace.carbon_forecast is not None
    return trace.carbon_forecast


TROUBLES: dict[str, Callable[[], list[Trace]]] = {
    "as recorded": as_recorded,
    "3 % noise": noise,
    "volume x 0.6-1.4, 20 % noise": wrong_volume,
    "demand half a day off": wrong_demand,
    "carbon forecast half a day off": wrong_carbon,
    "24 h without data": blackout,
    "demand falls to a tenth at noon": collapse,
}
