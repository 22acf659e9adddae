"""The recorded traces every study uses, and changes made to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from scheduler import Flavour, FloatArray, ReplayResult, Trace, parse_flavours, parse_trace

EXAMPLES = Path(__file__).parents[2] / "examples"
BUDGETS = (0.01, 0.02, 0.04, 0.08)
DAY = 48


def flavours() -> tuple[Flavour, ...]:
    """The paper's three."""
    path = EXAMPLES / "demo" / "flavours.csv"
    return parse_flavours(path.read_text(), name=path.name)


def days() -> list[Trace]:
    """The twelve published day traces, camel before stable."""
    return [parse_trace(path.read_text(), name=path.stem) for path in sorted((EXAMPLES / "days").glob("*.csv"))]


def weeks() -> Trace:
    """Twenty contiguous days of carbon, constant demand."""
    [path] = (EXAMPLES / "weeks").glob("*.csv")
    return parse_trace(path.read_text(), name=path.stem)


def single_days(trace: Trace) -> Iterator[Trace]:
    """Each day of a trace on its own, with the demand of the trace."""
    for day in range(trace.carbon_actual.size // DAY):
        yield part(trace, slice(day * DAY, (day + 1) * DAY), name=f"{trace.name} day {day + 1}")


def part(trace: Trace, slots: slice, *, name: str) -> Trace:
    """Some slots of a trace."""

    def cut(values: FloatArray | None) -> FloatArray | None:
        return None if values is None else values[slots]

    inside = range(slots.start, slots.stop)
    return Trace(
        name=name,
        start_s=trace.start_s + slots.start * trace.slot_s,
        slot_s=trace.slot_s,
        carbon_actual=trace.carbon_actual[slots],
        carbon_forecast=cut(trace.carbon_forecast),
        requests_actual=cut(trace.requests_actual),
        requests_forecast=cut(trace.requests_forecast),
        unseen_carbon=frozenset(slot - slots.start for slot in trace.unseen_carbon if slot in inside),
        unseen_requests=frozenset(slot - slots.start for slot in trace.unseen_requests if slot in inside),
    )


def with_noise(trace: Trace, *, level: float, noise: float, seed: int) -> Trace:
    """The trace with as many requests as foreseen, times `level` and Gaussian noise."""
    foreseen = trace.requests_forecast
    if foreseen is None:
        foreseen = np.full(trace.carbon_actual.size, 1000.0)
    factor = level * np.clip(1.0 + noise * np.random.default_rng(seed).standard_normal(foreseen.size), 0.0, None)
    return replace(trace, requests_actual=foreseen * factor, requests_forecast=foreseen)


def mean(values: Sequence[float | None]) -> float:
    """Mean of what is known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known)


def overshoot_pct(result: ReplayResult) -> float:
    """By how much of the promise a window ended above it, in percent."""
    return max(0.0, 100.0 * (result.mean_error_pct / result.max_error_pct - 1.0)) if result.over_budget else 0.0
