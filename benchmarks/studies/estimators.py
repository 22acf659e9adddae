"""Ways to correct the provider's carbon forecast, each with its mean gap to the clairvoyant optimum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.table import Table

import scheduler.forecast as forecast
from benchmarks.studies.data import BUDGETS, days, flavours, mean, single_days, weeks, with_noise
from scheduler import FloatArray, Trace, replay, settings_for

ARS = (0.0, 0.7, 0.8, 0.85)
Smoother = Callable[..., FloatArray]


def main(console: Console) -> None:
    """Print a row per way to smooth, a pair of figures per share of the last error that is carried on."""
    sets = (days(), [with_noise(day, level=1.0, noise=0.03, seed=at) for at, day in enumerate(single_days(weeks()))])
    table = Table("smoothing", *(f"AR {ar:g}" for ar in ARS), "over", title="mean gap %, 12 days / 20 GB days")
    for name, smoother, weight in _ways():
        cells, over = [], 0
        with _smoothing(smoother, weight):
            for ar in ARS:
                gaps = [_gaps(traces, ar) for traces in sets]
                over += sum(each for _, each in gaps)
                cells.append(" / ".join(f"{gap:.3f}" for gap, _ in gaps))
        table.add_row(name, *cells, str(over))
    console.print(table)


def _gaps(traces: list[Trace], ar: float) -> tuple[float, int]:
    results = [
        replay(trace, flavours(), settings=replace(settings_for(trace, max_error=budget), carbon_ar=ar))[0]
        for trace in traces
        for budget in BUDGETS
    ]
    return mean([each.gap_to_clairvoyant_pct for each in results]), sum(each.over_budget for each in results)


def _ways() -> Iterator[tuple[str, Smoother, float]]:
    shipped = forecast.NOISE_WEIGHT
    yield "none", _binomial(0), shipped
    yield "binomial 1-2-1, 3 passes", _binomial(3), shipped
    yield "binomial 1-2-1, 6 passes", _binomial(6), shipped
    for weight in (4.0, 8.0, 12.0, 16.0, 24.0):
        mark = " (shipped)" if weight == shipped else ""
        yield f"learned spline, noise weight {weight:g}{mark}", forecast.smooth, weight


def _binomial(passes: int) -> Smoother:
    def smooth(values: FloatArray, *, bandwidth: float) -> FloatArray:  # noqa: ARG001 - it does not learn
        for _ in range(passes):
            padded = np.concatenate((values[:1], values, values[-1:]))
            values = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
        return values.copy()

    return smooth


@contextmanager
def _smoothing(smoother: Smoother, weight: float) -> Iterator[None]:
    """The estimator has no switch for what nobody should choose; a study may reach inside."""
    shipped = forecast.smooth, forecast.NOISE_WEIGHT
    forecast.smooth, forecast.NOISE_WEIGHT = smoother, weight
    try:
        yield
    finally:
        forecast.smooth, forecast.NOISE_WEIGHT = shipped
