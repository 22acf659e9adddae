"""What each guard costs and what it holds when the world is not as foreseen: a table for all guards, and one in which
the default meets other seeds and troubles than those it was chosen on, beside the guard that trusts no forecast."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.studies.data import BUDGETS, DAY, days, flavours, mean, overshoot_pct, weeks, with_noise
from scheduler import BudgetWindow, FloatArray, ReplayResult, Trace, replay, settings_for
from scheduler.trace import join

GUARDS = (None, 0.0, 0.03, 0.06, 0.1, 0.2, 0.5, 1.0)
LEVELS = (0.6, 0.8, 1.2, 1.4)
OTHER_SEEDS = {None: range(100, 111), 1.0: range(100, 103)}
"""Seeds of the second table by guard; nothing was chosen on them."""


def main(console: Console) -> None:
    """Print, for every kind of trouble, a row per guard; then the same for other seeds."""
    table = _table()
    for name, traces in TROUBLES.items():
        for guard in GUARDS:
            _add(table, name, guard, traces())
        table.add_section()
    console.print(table)
    table = _table()
    for name, changed in OTHERS.items():
        for guard, seeds in OTHER_SEEDS.items():
            _add(table, name, guard, [trace for seed in seeds for trace in changed(seed)])
        table.add_section()
    for guard in OTHER_SEEDS:
        _add(table, "demand learned, Pareto bursts", guard, [bursts(seed) for seed in (100, 101)])
    console.print(table)


def _table() -> Table:
    return Table("trouble", "guard", "gap %", "over", "worst overshoot, % of the promise")


def _add(table: Table, name: str, guard: float | None, traces: Iterable[Trace]) -> None:
    results = [each for trace in traces for each in _replayed(trace, guard)]
    table.add_row(
        name,
        "learned" if guard is None else f"{100 * guard:g} %",
        f"{mean([each.gap_to_clairvoyant_pct for each in results]):.3f}",
        f"{sum(each.over_budget for each in results)} of {len(results)}",
        f"{max(overshoot_pct(each) for each in results):.3f}",
    )


def _replayed(trace: Trace, guard: float | None) -> list[ReplayResult]:
    """All budget windows of a day in the trace, under each budget."""
    return [
        result
        for budget in BUDGETS
        for result in replay(
            trace, flavours(), settings=settings_for(trace, max_error=budget, guard=guard, window=BudgetWindow())
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


def leveled(level: float, *, noise: float = 0.2) -> Callable[[int], list[Trace]]:
    """Demand at another level than foreseen all day."""
    return changing(lambda hour: np.full(hour.size, level), noise=noise)


def changing(level: Callable[[FloatArray], FloatArray], *, noise: float = 0.03) -> Callable[[int], list[Trace]]:
    """The days with demand at a `level` that depends on the hour (T,), with Gaussian noise: a list per seed."""

    def traces(seed: int) -> list[Trace]:
        found = []
        for day, trace in enumerate(days()):
            noisy = with_noise(trace, level=1.0, noise=noise, seed=1000 * seed + day)
            assert noisy.requests_actual is not None
            found.append(replace(noisy, requests_actual=noisy.requests_actual * level(np.arange(DAY) * 24.0 / DAY)))
        return found

    return traces


def step(before: float, after: float, *, at_hour: float) -> Callable[[int], list[Trace]]:
    """Demand at one level until an hour, and at another from then on."""
    return changing(lambda hour: np.where(hour < at_hour, before, after))


def bursts(seed: int) -> Trace:
    """Twenty days whose demand nobody foretells: a daily course, and one slot in twenty times 1 + a Pareto variate."""
    trace = weeks()
    rng = np.random.default_rng(seed)
    slots = np.arange(trace.carbon_actual.size)
    course = 1000.0 - 500.0 * np.cos(2.0 * np.pi * slots / DAY)
    factor = np.where(rng.random(slots.size) < 0.05, 1.0 + rng.pareto(1.5, slots.size), 1.0)
    return replace(trace, requests_actual=course * factor, requests_forecast=None)


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

OTHERS: dict[str, Callable[[int], list[Trace]]] = {
    **{f"volume x {level:g}, 20 % noise": leveled(level) for level in LEVELS},
    "volume x 1.4 falling to 0.6, 3 % noise": changing(lambda hour: 1.4 - 0.8 * hour / 24.0),
    "x 1.4, from noon x 0.6, 3 % noise": step(1.4, 0.6, at_hour=12.0),
    "x 1, from noon x 0.7, 3 % noise": step(1.0, 0.7, at_hour=12.0),
    "x 1, from 18:00 x 0.9, 3 % noise": step(1.0, 0.9, at_hour=18.0),
}
