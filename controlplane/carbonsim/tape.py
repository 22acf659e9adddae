"""What is played: values of half-hour slots, over all time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler import Trace, TraceError

SLOT_S = 1800
_SLOTS_A_DAY = 48

Floats = NDArray[np.float64]
Slots = NDArray[np.int64]
"""Half-hours since the Unix epoch."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tape:
    """Half-hours from `first_slot` (half-hours since the epoch) on, in g CO2e/kWh; arrays (T,), NaN for unknown.

    Asked for a slot outside, it repeats, or else holds its first and last values. `pattern` says that it is bound to
    no time of day, and may begin anew at any.
    """

    name: str
    first_slot: int
    forecast: Floats
    actual: Floats
    repeat: bool = True
    pattern: bool = False
    title: str = ""
    description: str = ""

    def at(self, slots: Slots) -> tuple[Floats, Floats]:
        """Forecast and actual values of any slots, in their shape."""
        offsets = slots - self.first_slot
        size = self.forecast.size
        indices = offsets % size if self.repeat else np.clip(offsets, 0, size - 1)
        return self.forecast[indices], self.actual[indices]


def recorded(trace: Trace) -> Tape:
    """A trace whose whole days are laid end to end, so that a time of day meets the same time of day.

    This is the mapping of `carbon.file.FileSource` with `repeat`; of a trace shorter than a day the rest of the day is
    unknown. Longer slots than half an hour are held, of shorter ones the mean is taken. Without a forecast column
    the recorded values stand in for the forecast.

    Raises:
        TraceError: half-hours and the trace's slots do not fit into each other.
    """
    actual = trace.carbon_actual.astype(np.float64)
    actual[list(trace.unseen_carbon)] = np.nan
    forecast = trace.carbon_actual if trace.carbon_forecast is None else trace.carbon_forecast
    if trace.start_s % SLOT_S:
        raise TraceError(f"{trace.name}: must begin at a full or half hour")
    return Tape(
        name=trace.name,
        first_slot=int(trace.start_s // SLOT_S),
        forecast=_days(_half_hours(forecast.astype(np.float64), trace)),
        actual=_days(_half_hours(actual, trace)),
    )


def _half_hours(values: Floats, trace: Trace) -> Floats:
    held, rest = divmod(trace.slot_s, SLOT_S)
    if held >= 1 and rest == 0:
        return np.repeat(values, int(held))
    share, rest = divmod(SLOT_S, trace.slot_s)
    if rest:
        raise TraceError(f"{trace.name}: slots of {trace.slot_s:g} s and half-hours do not fit into each other")
    padded = np.pad(values, (0, -values.size % int(share)), constant_values=np.nan).reshape(-1, int(share))
    return mean_of_known(padded)


def mean_of_known(values: Floats) -> Floats:
    """Means (n,) of rows (n, m), leaving out what is unknown; NaN where all of a row is."""
    known = np.isfinite(values)
    counts = known.sum(axis=1)
    means: Floats = np.where(known, values, 0.0).sum(axis=1) / np.maximum(counts, 1)
    means[counts == 0] = np.nan
    return means


def _days(values: Floats) -> Floats:
    size = max(1, values.size // _SLOTS_A_DAY) * _SLOTS_A_DAY
    return np.pad(values, (0, max(0, size - values.size)), constant_values=np.nan)[:size]
