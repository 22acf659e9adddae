"""What the demo plays."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scheduler import Trace, TraceError

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """The carbon source is a provider on the network, and is down from `start_s` until `end_s`, Unix seconds.

    Attributes:
        recording: what the provider plays; it reaches beyond the days of the demo.
        noise_pct: how wrong its forecasts are at long leads, in %; see `carbonsim.SimOptions`.
    """

    recording: Trace
    start_s: float
    end_s: float
    noise_pct: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """What to play.

    Attributes:
        trace: the recorded days; its requests_actual are scaled to `requests_per_slot` on average.
        trace_path: where they came from.
        speed: how many recorded seconds pass in one real second.
        max_error_pct: the promise for each window.
        numbers: how many numbers a flavour averages for one answer; what costs energy.
        demand_path: where the pattern of requests is recorded; None if nothing foretells them.
        outage: None takes carbon from the file itself.
    """

    trace: Trace
    trace_path: Path
    speed: float
    requests_per_slot: float
    max_error_pct: float
    numbers: int
    demand_path: Path | None = None
    outage: Outage | None = None

    @property
    def scale(self) -> float:
        """Requests of the demo per request of the trace."""
        mean = 1.0 if self.trace.requests_actual is None else float(self.trace.requests_actual.mean())
        return self.requests_per_slot / mean if mean > 0 else 0.0

    @property
    def requests(self) -> list[int]:
        """How many requests each slot gets."""
        if self.trace.requests_actual is None:
            return [round(self.requests_per_slot)] * self.trace.carbon_actual.size
        return [round(count * self.scale) for count in self.trace.requests_actual]

    @property
    def start_s(self) -> float:
        """Start of the first day, Unix seconds."""
        return self.trace.start_s

    @property
    def end_s(self) -> float:
        """End of the last day, Unix seconds."""
        return self.trace.start_s + self.trace.slot_s * self.trace.carbon_actual.size

    @property
    def window_s(self) -> float:
        """Length of a budget window: a day, or all of a trace that has no whole days."""
        return window_length_s(self.trace)

    @property
    def windows(self) -> list[tuple[float, float]]:
        """Start and end of each budget window."""
        count = round((self.end_s - self.start_s) / self.window_s)
        return [(self.start_s + k * self.window_s, self.start_s + (k + 1) * self.window_s) for k in range(count)]

    def window_of(self, time_s: float) -> tuple[float, float]:
        """The window that holds `time_s`, or the nearest."""
        place = math.floor((time_s - self.start_s) / self.window_s)
        return self.windows[min(max(place, 0), len(self.windows) - 1)]

    def requests_between(self, start_s: float, end_s: float) -> int:
        """How many requests the slots get that begin in [start_s, end_s)."""
        first, last = (math.ceil((each - self.start_s) / self.trace.slot_s - 1e-9) for each in (start_s, end_s))
        return sum(self.requests[max(first, 0) : max(last, 0)])


def window_length_s(trace: Trace) -> float:
    """A day if the trace has whole days from midnight on (UTC), else its whole length."""
    length_s = trace.slot_s * trace.carbon_actual.size
    whole_days = length_s >= DAY_S and _divides(DAY_S, length_s) and _divides(DAY_S, trace.start_s)
    return DAY_S if whole_days and _divides(trace.slot_s, DAY_S) else length_s


def aligned(trace: Trace) -> bool:
    """Whether the trace fills its budget windows: they are aligned to the epoch."""
    return _divides(window_length_s(trace), trace.start_s)


def days_of(recording: Trace, *, first_s: float, count: int, requests: Trace) -> Trace:
    """`count` days of `recording` from `first_s`, Unix seconds, on; each with the requests of the day `requests`.

    Raises:
        TraceError: the days are not in the recording, or the slots of the two are not the same.
    """
    a_day = round(DAY_S / recording.slot_s)
    first = round((first_s - recording.start_s) / recording.slot_s)
    last = first + count * a_day
    if first < 0 or last > recording.carbon_actual.size:
        raise TraceError(f"{recording.name}: has no {count} days from there on")
    if requests.slot_s != recording.slot_s or requests.carbon_actual.size != a_day:
        raise TraceError(f"{requests.name}: is no day in the slots of {recording.name}")
    days = replace(
        recording,
        start_s=first_s,
        carbon_actual=recording.carbon_actual[first:last],
        carbon_forecast=None if recording.carbon_forecast is None else recording.carbon_forecast[first:last],
        requests_actual=None if requests.requests_actual is None else np.tile(requests.requests_actual, count),
        requests_forecast=None if requests.requests_forecast is None else np.tile(requests.requests_forecast, count),
        bridged=(),
    )
    unseen = frozenset(slot - first for slot in recording.unseen_carbon if first <= slot < last)
    unforeseen = frozenset(slot - first for slot in recording.unforeseen_carbon if first <= slot < last)
    return replace(days, unseen_carbon=unseen, unforeseen_carbon=unforeseen)


def _divides(part: float, whole: float) -> bool:
    return math.isclose(math.remainder(whole, part), 0.0, abs_tol=1e-6)
