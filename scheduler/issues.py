"""Forecasts as they were issued, so that a replay knows at each moment only what was known then."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby

import numpy as np

from scheduler import table
from scheduler.model import FloatArray
from scheduler.outlook import DAY_S
from scheduler.table import LARGEST, MOST_ROWS, Row, TraceError

COLUMNS = _ISSUED, _TIME, _CARBON = ("issued", "time", "carbon_forecast_g_per_kwh")
MOST_ISSUES = 5_000
MOST_VALUES = 4_000
LARGEST_SLOT_S = 86400.0 * 31
LATEST_S = 250e9
"""Times are written as dates, which end in the year 9999."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One forecast: issued at `issued_s`, g/kWh for slots of `slot_s` from `start_s`, None where it says nothing.

    Raises ValueError on times out of range, slots not longer than 0 s, less than two values (written down, one has
    no length) or too many.
    """

    issued_s: float
    start_s: float
    slot_s: float
    values: tuple[float | None, ...]

    def __post_init__(self) -> None:
        if not (0.0 <= self.issued_s <= LATEST_S and 0.0 <= self.start_s <= LATEST_S):
            raise ValueError(f"a forecast needs times from 1970 to 9892, not {self.issued_s!r} and {self.start_s!r}")
        if not 0.0 < self.slot_s <= LARGEST_SLOT_S:
            raise ValueError(f"a forecast needs slots of up to {LARGEST_SLOT_S:g} s, not {self.slot_s!r}")
        if not 2 <= len(self.values) <= MOST_VALUES:
            raise ValueError(f"a forecast needs 2 to {MOST_VALUES} values, not {len(self.values)}")
        if not all(value is None or abs(value) <= LARGEST for value in self.values):
            raise ValueError(f"a forecast needs finite values up to {LARGEST:g} g/kWh, or None")

    def says(self, other: Issue) -> bool:
        """Whether both say the same, whenever they were issued."""
        return (self.start_s, self.slot_s, self.values) == (other.start_s, other.slot_s, other.values)

    def on_grid(self, *, start_s: float, slot_s: float, count: int) -> FloatArray:
        """Its values on `count` slots of `slot_s` from `start_s`: g/kWh (count,), NaN where it does not reach.

        A slot takes the value of the forecast's slot that holds its middle.
        """
        middle = start_s + (np.arange(count) + 0.5) * slot_s
        index = np.floor((middle - self.start_s) / self.slot_s)
        inside = (index >= 0) & (index < len(self.values))
        result = np.full(count, np.nan)
        result[inside] = np.array(self.values, dtype=float)[index[inside].astype(int)]
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastIssues:
    """The forecasts issued in the `keep_s` seconds before the newest, `most` at most, in the order of issue.

    They hold no more than MOST_ROWS values together, so that what is written can be read again.
    """

    issues: tuple[Issue, ...] = ()
    keep_s: float = 40 * DAY_S
    most: int = MOST_ISSUES

    def __post_init__(self) -> None:
        if not (self.keep_s > 0.0 and self.most >= 1):
            raise ValueError(f"keep_s must be > 0 and most >= 1, not {self.keep_s!r} and {self.most!r}")

    def keep(
        self, issued_s: float, start_s: float, slot_s: float, values: Iterable[float | None] | FloatArray
    ) -> ForecastIssues:
        """Return the archive with this forecast in it; NaN is None.

        What says the same as the forecast before it is not kept twice: it has been in force since. Another of the
        same moment is replaced. The oldest are dropped, never the newest. Raises ValueError as `Issue` does.
        """
        cells = tuple(None if value is None or math.isnan(value) else float(value) for value in values)
        issue = Issue(issued_s=issued_s, start_s=start_s, slot_s=slot_s, values=cells)
        before = self.issues[: bisect_left(self.issues, issued_s, key=_issued)]
        after = self.issues[bisect_right(self.issues, issued_s, key=_issued) :]
        near = _without_repeats((*before[-1:], issue, *after[:1]))
        return replace(self, issues=self._bounded((*before[:-1], *near, *after[1:])))

    def _bounded(self, issues: tuple[Issue, ...]) -> tuple[Issue, ...]:
        oldest_s = issues[-1].issued_s - self.keep_s
        first = max(bisect_left(issues, oldest_s, key=_issued), len(issues) - self.most)
        values = sum(len(issue.values) for issue in issues[first:])
        while values > MOST_ROWS:
            values -= len(issues[first].values)
            first += 1
        return issues[first:]

    def as_of(self, time_s: float) -> Issue | None:
        """The forecast in force at `time_s`: the last one issued then or before, None if there was none."""
        at = bisect_right(self.issues, time_s, key=_issued)
        return self.issues[at - 1] if at else None

    def known_at(self, time_s: float, *, start_s: float, slot_s: float, count: int) -> FloatArray:
        """Values foreseen at `time_s` for `count` slots from `start_s`: g/kWh (count,), NaN for nothing."""
        issue = self.as_of(time_s)
        return np.full(count, np.nan) if issue is None else issue.on_grid(start_s=start_s, slot_s=slot_s, count=count)

    def to_csv(self) -> Iterator[str]:
        """Yield the lines of a table that `parse_issues` reads: columns issued, time, carbon_forecast_g_per_kwh."""
        yield ",".join(COLUMNS) + "\n"
        for issue in self.issues:
            issued = _text(issue.issued_s)
            for slot, value in enumerate(issue.values):
                cell = "" if value is None else repr(value)
                yield f"{issued},{_text(issue.start_s + slot * issue.slot_s)},{cell}\n"


def parse_issues(lines: Iterable[str] | str, *, name: str) -> ForecastIssues:
    """Read a table of forecasts as issued: columns issued, time, carbon_forecast_g_per_kwh, others are ignored.

    The rows of one forecast stand together, equally far apart in time, and forecasts stand in the order of issue.
    Times are ISO 8601, UTC if they say nothing else; an empty cell is a slot of which nothing was said. Nothing is
    dropped but repeats. Raises TraceError.
    """
    issues: list[Issue] = []
    rows = ((table.moment(row, _ISSUED, name=name), row) for row in table.rows(lines, name=name, required=COLUMNS))
    for issued_s, group in groupby(rows, key=lambda timed: timed[0]):
        own = [row for _, row in group]
        line = own[0][0]
        if issues and issued_s <= issues[-1].issued_s:
            raise TraceError(f"{name}:{line}: column issued: it does not come after the forecast before")
        if len(issues) >= MOST_ISSUES:
            raise TraceError(f"{name}:{line}: column issued: more than {MOST_ISSUES} forecasts")
        issues.append(_issue(own, issued_s=issued_s, name=name))
    if not issues:
        raise TraceError(f"{name}: no forecast in it")
    span_s = issues[-1].issued_s - issues[0].issued_s
    return ForecastIssues(issues=_without_repeats(tuple(issues)), keep_s=max(span_s, ForecastIssues().keep_s))


def _issue(rows: list[Row], *, issued_s: float, name: str) -> Issue:
    line = rows[0][0]
    if len(rows) < 2:
        raise TraceError(f"{name}:{line}: column time: a forecast needs at least two rows")
    start_s, slot_s = _grid(rows, name=name)
    cells = [table.cell(row, _CARBON, name=name, minimum=-LARGEST) for row in rows]
    values = tuple(None if math.isnan(cell) else cell for cell in cells)
    try:
        return Issue(issued_s=issued_s, start_s=start_s, slot_s=slot_s, values=values)
    except ValueError as error:
        raise TraceError(f"{name}:{line}: column time: {error}") from error


def _grid(rows: list[Row], *, name: str) -> tuple[float, float]:
    """Start and slot length of a forecast's rows; each time is held against the first, so that errors do not add."""
    times = [table.moment(row, _TIME, name=name) for row in rows]
    slot_s = (times[-1] - times[0]) / (len(times) - 1)
    for at, (time_s, (line, cells)) in enumerate(zip(times, rows, strict=True)):
        if at and time_s <= times[at - 1]:
            raise TraceError(f"{name}:{line}: column time: {cells[_TIME]!r} does not come after the row before")
        if abs(time_s - times[0] - at * slot_s) > 1e-3 * slot_s:
            raise TraceError(f"{name}:{line}: column time: {cells[_TIME]!r} is not {slot_s:g} s after the row before")
    return times[0], slot_s


def _text(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")


def _without_repeats(issues: tuple[Issue, ...]) -> tuple[Issue, ...]:
    """Leave out what says the same as the forecast before it."""
    return tuple(each for at, each in enumerate(issues) if not at or not issues[at - 1].says(each))


def _issued(issue: Issue) -> float:
    return issue.issued_s
