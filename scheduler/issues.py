"""Forecasts as they were issued, so that a replay knows at each moment only what was known then."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby, pairwise

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

SLACK_S = DAY_S
"""What was issued later than what is being kept, by more than this, was issued by a clock that was wrong."""
_JUMP_S = 2 * DAY_S
"""A longer time without any forecast is an outage or a wrong clock, and does not make those before it older."""


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
    """The forecasts of the newest `keep_s` seconds in which any were issued, `most` at most, in the order of issue.

    They hold no more than MOST_ROWS values together, so that what is written can be read again. A clock that is
    wrong for a while costs next to nothing: a jump makes nothing older, and what was issued ahead of its time goes
    once it is outnumbered. `dropped` is how many forecasts the last call of `keep` did not keep any longer: with a
    right clock hardly ever more than one.
    """

    issues: tuple[Issue, ...] = ()
    keep_s: float = 40 * DAY_S
    most: int = MOST_ISSUES
    dropped: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if not (self.keep_s > 0.0 and self.most >= 1):
            raise ValueError(f"keep_s must be > 0 and most >= 1, not {self.keep_s!r} and {self.most!r}")

    def keep(
        self, issued_s: float, start_s: float, slot_s: float, values: Iterable[float | None] | FloatArray
    ) -> ForecastIssues:
        """Return the archive with this forecast in it; NaN is None.

        What says the same as the forecast before it is not kept twice: it has been in force since. Another of the
        same moment is replaced. The oldest are dropped, never the one that is being kept. Raises ValueError as `Issue`
        does.
        """
        cells = tuple(None if value is None or math.isnan(value) else float(value) for value in values)
        issue = Issue(issued_s=issued_s, start_s=start_s, slot_s=slot_s, values=cells)
        before = self.issues[: bisect_left(self.issues, issued_s, key=_issued)]
        after = self.issues[bisect_right(self.issues, issued_s, key=_issued) :]
        near = _without_repeats((*before[-1:], issue, *after[:1]))
        every = (*before[:-1], *near, *after[1:])
        issues = self._bounded(every, now_s=issued_s)
        return replace(self, issues=issues, dropped=len(every) - len(issues))

    def _bounded(self, issues: tuple[Issue, ...], *, now_s: float) -> tuple[Issue, ...]:
        """Leave out what is too old, too much, or from a clock that was ahead; never what is in force at `now_s`."""
        ahead = bisect_right(issues, now_s + SLACK_S, key=_issued)
        # The fewer are wrong: what a clock that starts in 1970 says must not cost all that was kept before.
        kept = list(issues if len(issues) - ahead > ahead else issues[:ahead])
        present = kept[bisect_right(kept, now_s, key=_issued) - 1]
        values = sum(len(issue.values) for issue in kept)
        while len(kept) > self.most or values > MOST_ROWS:
            last = kept[-1].issued_s > now_s + SLACK_S
            values -= len(kept.pop(-1 if last else 0 if kept[0] is not present else 1).values)
        oldest = _oldest(kept, keep_s=self.keep_s)
        return tuple(issue for at, issue in enumerate(kept) if at >= oldest or issue is present)

    def as_of(self, time_s: float) -> Issue | None:
        """The forecast in force at `time_s`: the last one issued then or before, None if there was none."""
        at = bisect_right(self.issues, time_s, key=_issued)
        return self.issues[at - 1] if at else None

    def known_at(self, time_s: float, *, start_s: float, slot_s: float, count: int) -> FloatArray:
        """Values foreseen at `time_s` for `count` slots from `start_s`: g/kWh (count,), NaN for nothing."""
        issue = self.as_of(time_s)
        return np.full(count, np.nan) if issue is None else issue.on_grid(start_s=start_s, slot_s=slot_s, count=count)

    def in_force(self, *, start_s: float, slot_s: float, count: int) -> int:
        """How many of `count` slots from `start_s` begin with a forecast in force that reaches one of those left."""
        if not self.issues:
            return 0
        starts = start_s + slot_s * np.arange(count)
        at = np.searchsorted([issue.issued_s for issue in self.issues], starts, side="right") - 1
        begins, ends = np.array([_said(issue) for issue in self.issues]).T
        reaches = (ends[at] > starts + 0.5 * slot_s) & (begins[at] <= starts[-1] + 0.5 * slot_s)
        return int(np.count_nonzero(reaches & (at >= 0)))

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
    span_s = sum(_ages(issues))
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


def _oldest(issues: Sequence[Issue], *, keep_s: float) -> int:
    """Index of the first one issued within the newest `keep_s`."""
    at, age_s = len(issues) - 1, 0.0
    for step_s in reversed(_ages(issues)):
        age_s += step_s
        if age_s > keep_s:
            break
        at -= 1
    return at


def _ages(issues: Sequence[Issue]) -> list[float]:
    """By how much each is older than the one after it, in seconds."""
    steps = (later.issued_s - earlier.issued_s for earlier, later in pairwise(issues))
    return [step_s if step_s <= _JUMP_S else 0.0 for step_s in steps]


def _said(issue: Issue) -> tuple[float, float]:
    """From when until when the forecast says something; an empty time where it never does."""
    known = [at for at, value in enumerate(issue.values) if value is not None]
    if not known:
        return math.inf, -math.inf
    return issue.start_s + known[0] * issue.slot_s, issue.start_s + (known[-1] + 1) * issue.slot_s


def _issued(issue: Issue) -> float:
    return issue.issued_s
