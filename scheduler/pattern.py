"""Demand learned from counts alone: reports go in, requests to be expected come out, with their own error.

A week is divided into buckets of half an hour. Reports are added up in the running bucket; when it closes, its
rate joins a history of four weeks, and what had been foreseen for it, a day earlier as a rule, is compared.
What the history says about the time to come is worked out in `season.py`. Days and weeks are those of UTC.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from scheduler._plain import items, number, optional_number, record
from scheduler.model import FloatArray
from scheduler.season import BUCKET_S, DAY, WEEK, weekly_pattern

HISTORY = 4 * WEEK
LONGEST_REPORT_S = float(DAY * BUCKET_S)
"""A longer report says nothing about the time of day, and is more likely a clock that jumped."""

_LEAST_BUCKETS = 2
_UNKNOWN = -1
_SCALE = 1000.0
_MOST_REQUESTS = 1e15
_ERROR_FADE = math.exp(-1.0 / WEEK)
_DAY_FADE = math.exp(-1.0 / DAY)
_SUMS = ("absolute", "actual", "forecast", "day_actual", "day_forecast", "compared", "worst", "worst_day")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandPattern:
    """The history of one service's demand, and how well it was foreseen.

    `bucket` is the number of the running bucket since 1970, with `requests` in `covered_s` seconds of it so far;
    `until_s` is the end of the latest report. `history` holds the buckets before it and `foreseen` the forecasts
    for it and the next ones, both in thousandths of log(1 + requests), so that a state stays small (-1: unknown).
    The rest are faded sums over compared buckets: of |actual - forecast|, actual, forecast, the last two also
    with a memory of a day, and their number; `worst` and `worst_day` are the largest relative deviations of a
    bucket and of a day's total, at most 1, faded. `week` is what the history amounts to, kept because it changes
    only when a bucket closes; it is no part of the value.
    """

    bucket: int | None = None
    requests: float = 0.0
    covered_s: float = 0.0
    until_s: float | None = None
    history: tuple[int, ...] = ()
    foreseen: tuple[int, ...] = ()
    absolute: float = 0.0
    actual: float = 0.0
    forecast: float = 0.0
    day_actual: float = 0.0
    day_forecast: float = 0.0
    compared: float = 0.0
    worst: float = 0.0
    worst_day: float = 0.0
    week: FloatArray | None = field(default=None, repr=False, compare=False)

    @property
    def error(self) -> float | None:
        """Sum of |actual - forecast| over sum of actual requests per bucket, faded over a week (WAPE).

        None before anything was compared; 1 when requests were foreseen and none came.
        """
        if self.compared <= 0.0:
            return None
        if self.actual <= 0.0:
            return 1.0 if self.absolute > 0.0 else 0.0
        return self.absolute / self.actual

    @property
    def bias(self) -> float | None:
        """Actual over foreseen requests, faded over a week; None before requests were foreseen."""
        return self.actual / self.forecast if self.forecast > 0.0 else None

    def observe(self, requests: float, *, since_s: float, until_s: float) -> DemandPattern:
        """Return the pattern after `requests` answers spread evenly over (since_s, until_s].

        Time already covered counts once, so that proxies may report in turn; what belongs to closed buckets is
        left out. A clock set back by more than a day, or a report longer than LONGEST_REPORT_S, begins a new
        bucket with what was learned kept. Raises ValueError on a negative count and on what is not finite.
        """
        if not (math.isfinite(requests) and requests >= 0.0 and math.isfinite(since_s) and math.isfinite(until_s)):
            raise ValueError(f"cannot observe {requests!r} requests in ({since_s!r}, {until_s!r}]")
        span, last = until_s - since_s, bucket_of(until_s)
        if span < 0.0:
            return self
        if span > LONGEST_REPORT_S or (self.bucket is not None and last < self.bucket - DAY):
            return self._moved(last, until_s=until_s)
        requests = min(requests, _MOST_REQUESTS)
        if span == 0.0:
            late = self.bucket is not None and last < self.bucket
            return self if late else self._moved(last)._added(requests, until_s, until_s)
        pattern, first = self, bucket_of(since_s)
        for bucket in range(first if self.bucket is None else max(first, self.bucket), last + 1):
            begin_s, end_s = max(since_s, bucket * BUCKET_S), min(until_s, (bucket + 1) * BUCKET_S)
            # A report that ends where a bucket ends moves on to the next one, so that the full one counts at once.
            pattern = pattern._moved(bucket)
            if begin_s < end_s:
                pattern = pattern._added(requests * (end_s - begin_s) / span, begin_s, end_s)
        return pattern

    def _added(self, requests: float, begin_s: float, end_s: float) -> DemandPattern:
        until_s = end_s if self.until_s is None else max(self.until_s, end_s)
        fresh_s = max(0.0, end_s - begin_s if self.until_s is None else end_s - max(begin_s, self.until_s))
        return replace(
            self,
            requests=min(self.requests + requests, _MOST_REQUESTS),
            covered_s=min(self.covered_s + fresh_s, float(BUCKET_S)),
            until_s=until_s,
        )

    def _moved(self, bucket: int, *, until_s: float | None = None) -> DemandPattern:
        """Close the running bucket if `bucket` is another, and leave those between unknown."""
        if self.bucket is None:
            return replace(self, bucket=bucket, until_s=until_s)
        if bucket == self.bucket:
            return self if until_s is None else replace(self, until_s=until_s)
        closed = self._closed()
        gap = bucket - self.bucket - 1
        if 0 <= gap < 2 * WEEK:
            history, foreseen = _latest(closed.history, gap), closed.foreseen[gap:]
            return replace(closed, bucket=bucket, history=history, foreseen=foreseen, week=None if gap else closed.week)
        # A clock that jumped: what was learned about the hours of the week stands, what was foreseen does not.
        history = _latest(closed.history, gap % WEEK)
        return replace(closed, bucket=bucket, history=history, foreseen=(), week=None, until_s=until_s)

    def _closed(self) -> DemandPattern:
        """Compare the running bucket, add it to the history, and foresee as many as are missing."""
        assert self.bucket is not None  # noqa: S101
        known = self.covered_s >= BUCKET_S / 2
        actual = _coded(self.requests * BUCKET_S / self.covered_s) if known else _UNKNOWN
        pattern = self._compared(actual, self.foreseen[0]) if known and self.foreseen else self
        history = (*self.history, actual)[-HISTORY:]
        foreseen, week = self.foreseen[1:], None
        if _known(history) >= _LEAST_BUCKETS:
            week = _week(history, (self.bucket + 1) % WEEK)
            ahead = range(self.bucket + 1 + len(foreseen), self.bucket + 1 + DAY)
            foreseen = (*foreseen, *(_coded(float(week[bucket % WEEK])) for bucket in ahead))
        return replace(
            pattern,
            bucket=self.bucket + 1,
            requests=0.0,
            covered_s=0.0,
            history=history,
            foreseen=foreseen,
            week=week,
        )

    def _compared(self, coded: int, foreseen: int) -> DemandPattern:
        actual, forecast = _decoded(coded), _decoded(foreseen)
        day_actual = self.day_actual * _DAY_FADE + actual
        day_forecast = self.day_forecast * _DAY_FADE + forecast
        day = _deviation(day_actual, day_forecast) if self.compared >= DAY / 2 else 0.0
        return replace(
            self,
            absolute=self.absolute * _ERROR_FADE + abs(actual - forecast),
            actual=self.actual * _ERROR_FADE + actual,
            forecast=self.forecast * _ERROR_FADE + forecast,
            day_actual=day_actual,
            day_forecast=day_forecast,
            compared=self.compared * _ERROR_FADE + 1.0,
            worst=max(self.worst * _ERROR_FADE, _deviation(actual, forecast)),
            worst_day=max(self.worst_day * _ERROR_FADE, day),
        )

    def expected(self, *, start_s: float, slot_s: float, count: int) -> FloatArray | None:
        """Return the requests (count,) expected in slots of `slot_s` seconds from `start_s`.

        None before an hour was observed. Raises ValueError on slots of no length or times that are not finite.
        """
        if not (math.isfinite(start_s) and math.isfinite(slot_s) and slot_s > 0.0 and count >= 0):
            raise ValueError(f"cannot expect requests in {count!r} slots of {slot_s!r} s from {start_s!r}")
        if self.bucket is None or _known(self.history) < _LEAST_BUCKETS:
            return None
        if self.week is None:
            object.__setattr__(self, "week", _week(self.history, self.bucket % WEEK))
        week = np.asarray(self.week)
        sums = np.concatenate((np.zeros(1), np.cumsum(week)))
        edges = start_s % (WEEK * BUCKET_S) / BUCKET_S + np.arange(count + 1) * (slot_s / BUCKET_S)
        weeks, rest = np.divmod(edges, WEEK)
        within = np.interp(rest, np.arange(WEEK + 1), sums)
        result: FloatArray = np.maximum(np.diff(weeks) * sums[-1] + np.diff(within), 0.0)
        return result

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe data, at most 16 KB of it."""
        return {
            "bucket": self.bucket,
            "until_s": self.until_s,
            "requests": self.requests,
            "covered_s": self.covered_s,
            "history": list(self.history),
            "foreseen": list(self.foreseen),
            **{key: getattr(self, key) for key in _SUMS},
        }

    @classmethod
    def from_dict(cls, data: object) -> DemandPattern:
        """Read what `to_dict` wrote; ValueError on anything else."""
        plain = ("requests", "covered_s", *_SUMS)
        fields = record(data, what="demand", keys=("bucket", "until_s", "history", "foreseen", *plain))
        numbers = {key: number(fields[key], what=f"demand.{key}", minimum=0.0) for key in plain}
        history = _codes(fields["history"], what="demand.history", most=HISTORY)
        foreseen = _codes(fields["foreseen"], what="demand.foreseen", most=DAY)
        bucket = fields["bucket"]
        if bucket is not None and type(bucket) is not int:
            raise ValueError(f"demand.bucket: {bucket!r} is not a whole number")
        if bucket is None and (history or foreseen or numbers["covered_s"]):
            raise ValueError("demand: counts without a bucket")
        if numbers["covered_s"] > BUCKET_S or max(numbers["worst"], numbers["worst_day"]) > 1.0 or _UNKNOWN in foreseen:
            raise ValueError("demand: covered time, forecasts or deviations are out of range")
        until_s = optional_number(fields["until_s"], what="demand.until_s")
        return cls(bucket=bucket, until_s=until_s, history=history, foreseen=foreseen, week=None, **numbers)


def bucket_of(time_s: float) -> int:
    """Return the number of the bucket in which `time_s` falls."""
    return math.floor(time_s / BUCKET_S)


def _latest(history: tuple[int, ...], unknown: int) -> tuple[int, ...]:
    return (*history, *([_UNKNOWN] * unknown))[-HISTORY:]


def _known(history: tuple[int, ...]) -> int:
    return len(history) - history.count(_UNKNOWN)


def _coded(requests: float) -> int:
    return round(_SCALE * math.log1p(min(requests, _MOST_REQUESTS)))


def _decoded(code: int) -> float:
    return math.expm1(code / _SCALE)


def _deviation(actual: float, forecast: float) -> float:
    if forecast <= 0.0:
        return 1.0 if actual > 0.0 else 0.0
    return min(1.0, abs(actual / forecast - 1.0))


def _week(history: tuple[int, ...], end: int) -> FloatArray:
    """Weekly pattern of a coded history."""
    codes = np.array(history)
    counts = np.where(codes >= 0, np.expm1(codes / _SCALE), np.nan)
    return weekly_pattern(counts, end=end + HISTORY)


def _codes(value: object, *, what: str, most: int) -> tuple[int, ...]:
    codes = items(value, what=what)
    largest = _coded(_MOST_REQUESTS)
    if len(codes) > most or not all(type(code) is int and _UNKNOWN <= code <= largest for code in codes):
        raise ValueError(f"{what}: expected at most {most} whole numbers from {_UNKNOWN} to {largest}")
    return tuple(codes)
