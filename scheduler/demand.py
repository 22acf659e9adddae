"""Requests to come: the provider's forecast, scaled by how much more or less than foreseen has been seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from scheduler._plain import items, number, record
from scheduler.model import FloatArray
from scheduler.outlook import DAY_S, Outlook

MEMORY_S = DAY_S
"""Observed volume fades with this time constant, so that yesterday's level is a hint and last week's is not."""

LEAST_GUARD = 0.06
GUARD_MARGIN = 1.5

_MOST_EXPECTATIONS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeModel:
    """Faded sums of what was observed, over how long, and of observed and foreseen where both are known.

    `expected` holds (start, end, requests per second) of the slots for which counts are still to come;
    `slot_seen` and `slot_foreseen` are the sums of the slot that is being counted, and `worst` is the largest
    relative deviation of a whole slot, faded.
    """

    seen: float = 0.0
    seen_s: float = 0.0
    matched: float = 0.0
    foreseen: float = 0.0
    slot_seen: float = 0.0
    slot_foreseen: float = 0.0
    worst: float = 0.0
    expected: tuple[tuple[float, float, float], ...] = ()

    def expect(self, *, start_s: float, end_s: float, rate_per_s: float) -> VolumeModel:
        """Return the model that knows what was foreseen for the slot from `start_s` to `end_s`."""
        earlier = tuple(slot for slot in self.expected if slot[1] <= start_s)
        return replace(self, expected=(*earlier, (start_s, end_s, rate_per_s))[-_MOST_EXPECTATIONS:])

    def observe(self, requests: float, *, since_s: float, until_s: float) -> VolumeModel:
        """Return the model after `requests` answers in (since_s, until_s]; an empty interval teaches nothing."""
        span = until_s - since_s
        if span <= 0.0:
            return self
        overlaps = [(max(0.0, min(until_s, end) - max(since_s, start)), rate) for start, end, rate in self.expected]
        fade = math.exp(-span / MEMORY_S)
        known = sum(overlap for overlap, _ in overlaps) >= 0.999 * span
        foreseen = sum(overlap * rate for overlap, rate in overlaps)
        model = replace(
            self,
            seen=self.seen * fade + requests,
            seen_s=self.seen_s * fade + span,
            matched=self.matched * fade + (requests if known else 0.0),
            foreseen=self.foreseen * fade + (foreseen if known else 0.0),
            slot_seen=self.slot_seen + (requests if known else 0.0),
            slot_foreseen=self.slot_foreseen + (foreseen if known else 0.0),
            worst=self.worst * fade,
            expected=tuple(slot for slot in self.expected if slot[1] > until_s),
        )
        return model if len(model.expected) == len(self.expected) else model._closed()

    def _closed(self) -> VolumeModel:
        """Learn from a slot that is fully counted: single reports are too short to tell noise from deviation."""
        foreseen = self.slot_foreseen * self.raw_ratio()
        deviation = abs(self.slot_seen / foreseen - 1.0) if foreseen > 0.0 else 0.0
        return replace(self, slot_seen=0.0, slot_foreseen=0.0, worst=max(self.worst, min(1.0, deviation)))

    def guard(self) -> float:
        """Relative deviation of demand to be prepared for: a margin over the worst slot seen, and a least value."""
        return min(1.0, max(LEAST_GUARD, GUARD_MARGIN * self.worst))

    def ratio(self, *, requests_per_slot: float, prior_slots: float) -> float:
        """Observed over foreseen volume, shrunk to 1 by `prior_slots` slots of prior, so that noise averages out."""
        prior = prior_slots * requests_per_slot
        expected, came = prior + self.foreseen, prior + self.matched
        return came / expected if expected > 0.0 and came > 0.0 else 1.0

    def raw_ratio(self) -> float:
        """Observed over foreseen volume as it stands; 1 before both are known."""
        return self.matched / self.foreseen if self.foreseen > 0.0 else 1.0

    def rate_per_s(self) -> float:
        """Observed requests per second; 1 before anything was observed (only ratios matter then)."""
        return self.seen / self.seen_s if self.seen > 0.0 else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe data."""
        return {
            "seen": self.seen,
            "seen_s": self.seen_s,
            "matched": self.matched,
            "foreseen": self.foreseen,
            "slot_seen": self.slot_seen,
            "slot_foreseen": self.slot_foreseen,
            "worst": self.worst,
            "expected": [list(slot) for slot in self.expected],
        }

    @classmethod
    def from_dict(cls, data: object) -> VolumeModel:
        """Read what `to_dict` wrote; ValueError on anything else."""
        sums = ("seen", "seen_s", "matched", "foreseen", "slot_seen", "slot_foreseen", "worst")
        fields = record(data, what="volume", keys=(*sums, "expected"))
        expected = []
        for entry in items(fields["expected"], what="volume.expected"):
            slot = [number(value, what="volume.expected") for value in items(entry, what="volume.expected")]
            if len(slot) != 3 or slot[1] <= slot[0] or slot[2] < 0.0:
                raise ValueError(f"volume.expected: {entry!r} is not a slot (start, end, requests per second)")
            expected.append((slot[0], slot[1], slot[2]))
        numbers = {key: number(fields[key], what=f"volume.{key}", minimum=0.0) for key in sums}
        return cls(expected=tuple(expected), **numbers)


class Flight(NamedTuple):
    """Requests answered at a mean error between two times within a slot, and not counted yet."""

    since_s: float
    until_s: float
    requests: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Requests expected in the rest of a window, after correction.

    `slots` (T,): in each slot from now on (the first and last may be cut); `in_flight`: what was answered
    since the last counts; `step`: until counts come back. Factors `low` <= 1
    <= `high` on all of these reach from the least to the most of what the provider, the correction and the bare
    counts say. `base_per_s` is the rate of this slot before correction; `foreseen` says that it comes from a
    forecast.
    """

    slots: FloatArray
    in_flight: tuple[Flight, ...]
    step: float
    low: float
    high: float
    base_per_s: float
    foreseen: bool


def volume_ahead(  # noqa: PLR0913 - four times that only the caller knows
    model: VolumeModel,
    outlook: Outlook,
    *,
    now_s: float,
    counted_s: float,
    step_end_s: float,
    window_end_s: float,
    prior_slots: float,
    commands: Sequence[tuple[float, float, float]] = (),
    otherwise: float = 0.0,
) -> Volume:
    """Expect the requests between `counted_s` <= `now_s` <= `step_end_s` <= `window_end_s`.

    Without a provider's forecast demand is taken to stay at the observed level. `commands` are (from, to, mean
    error) of what was in force since `counted_s`; `otherwise` is the error where none was.
    """
    first, slot = outlook.slot_of(counted_s), outlook.slot_of(now_s)
    count = max(slot, outlook.slot_of(math.nextafter(window_end_s, -math.inf))) - first + 1
    foreseen = foreseen_requests(outlook, first=first, count=count)
    if foreseen is None:
        base = np.full(count, model.rate_per_s() * outlook.slot_s)
        ratio, raw = 1.0, 1.0
    else:
        base = foreseen
        ratio = model.ratio(requests_per_slot=float(base.mean()), prior_slots=prior_slots)
        raw = model.raw_ratio()
    starts = outlook.start_s + np.arange(first, first + count) * outlook.slot_s

    def between(since_s: float, until_s: float) -> FloatArray:
        inside = np.minimum(starts + outlook.slot_s, until_s) - np.maximum(starts, since_s)
        share: FloatArray = np.clip(inside / outlook.slot_s, 0.0, 1.0)
        return ratio * base * share

    spans = commands or ((counted_s, now_s, otherwise),)
    flying = [
        Flight(max(since, float(start)), min(until, float(start) + outlook.slot_s), float(requests), error)
        for since, until, error in spans
        for start, requests in zip(starts, between(since, until), strict=True)
        if requests > 0.0
    ]
    return Volume(
        slots=between(now_s, window_end_s)[slot - first :],
        in_flight=tuple(flying),
        step=float(between(now_s, step_end_s).sum()),
        low=min(1.0, ratio, raw) / ratio,
        high=max(1.0, ratio, raw) / ratio,
        base_per_s=float(base[slot - first]) / outlook.slot_s,
        foreseen=foreseen is not None,
    )


def foreseen_requests(outlook: Outlook, *, first: int, count: int) -> FloatArray | None:
    """Provider's requests of `count` outlook slots from `first`, or None when it knows of none.

    Beyond the outlook the mean by slot of the day is repeated (the plain mean for slots of the day never seen).
    """
    if outlook.requests is None:
        return None
    if first >= 0 and first + count <= outlook.requests.size:
        asked = outlook.requests[first : first + count]
        if np.isfinite(asked).all():
            return asked
    if np.isnan(outlook.requests).all():
        return None
    known, index = outlook.requests, np.arange(first, first + count)
    inside = (index >= 0) & (index < known.size)
    result = np.full(count, np.nan)
    result[inside] = known[index[inside]]
    if not inside.all():
        usual = _usual_day(known, day=max(1, round(DAY_S / outlook.slot_s)))
        result[~inside] = usual[index[~inside] % usual.size]
    finite = np.isfinite(known)
    holes = np.isnan(result)
    if holes.any():
        result[holes] = np.interp(index[holes], np.flatnonzero(finite), known[finite])
    return result


def _usual_day(known: FloatArray, *, day: int) -> FloatArray:
    """Mean of what is known by slot of the day (day,), the plain mean for slots never seen."""
    finite = np.isfinite(known)
    slots = np.flatnonzero(finite) % day
    seen = np.bincount(slots, minlength=day)
    sums = np.bincount(slots, weights=known[finite], minlength=day)
    usual: FloatArray = np.where(seen > 0, sums / np.maximum(seen, 1), known[finite].mean())
    return usual
