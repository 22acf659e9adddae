"""Over which stretch of time a promise is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from scheduler.outlook import DAY_S

ROLLING_PARTS = 48
"""A rolling window moves in this many steps; finer ones would only make the books longer."""

Kind = Literal["calendar", "month", "rolling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetWindow:
    """The windows of a promise.

    `calendar`: back to back, each of `length_s`, aligned to the epoch plus `offset_s` (a day of a place at UTC-5
    has the offset 5 h). `month`: calendar months in UTC shifted by `offset_s`; `length_s` means nothing then.
    `rolling`: the last `length_s` at the end of every 48th of it (of every slot, where slots are longer).
    `carry_over` is the most unused credit that a window takes over from the one before, as a share of what that one
    was granted; a rolling window has no "before". Raises ValueError on values out of range.
    """

    length_s: float = DAY_S
    offset_s: float = 0.0
    kind: Kind = "calendar"
    carry_over: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.length_s) and self.length_s > 0.0 and math.isfinite(self.offset_s)):
            raise ValueError(f"the window must be longer than 0 s and finite, not {self.length_s!r}")
        if self.kind not in ("calendar", "month", "rolling"):
            raise ValueError(f"the window is calendar, month or rolling, not {self.kind!r}")
        if not 0.0 <= self.carry_over <= 1.0:
            raise ValueError(f"carry_over must be a fraction from 0 to 1, not {self.carry_over!r}")
        if self.carry_over and self.kind == "rolling":
            raise ValueError("carry_over needs windows that follow each other; a rolling window always carries all")

    @property
    def parts(self) -> int:
        """How many books one window consists of."""
        return ROLLING_PARTS if self.kind == "rolling" else 1

    def part_of(self, time_s: float) -> tuple[float, float]:
        """Start and end of the stretch whose requests are booked together with those of `time_s`."""
        if self.kind == "month":
            return _month(time_s, offset_s=self.offset_s)
        return _aligned(time_s, length_s=self.length_s / self.parts, offset_s=self.offset_s)

    def of(self, time_s: float) -> tuple[float, float]:
        """Start and end of the window that is open at `time_s`; a rolling one ends with its current part."""
        start_s, end_s = self.part_of(time_s)
        return (end_s - self.length_s, end_s) if self.kind == "rolling" else (start_s, end_s)

    def before(self, time_s: float) -> tuple[float, float]:
        """Start and end of the window before that; of a rolling one, of that which ended with the last part."""
        return self.of(math.nextafter(self.part_of(time_s)[0], -math.inf))

    def planned_until(self, now_s: float) -> float:
        """How far a plan must look: to the end of the window, or one whole rolling window ahead."""
        return now_s + self.length_s if self.kind == "rolling" else self.part_of(now_s)[1]


def _aligned(time_s: float, *, length_s: float, offset_s: float) -> tuple[float, float]:
    index = math.floor((time_s - offset_s) / length_s)
    if offset_s + index * length_s > time_s:  # the division rounded up across the boundary
        index -= 1
    return offset_s + index * length_s, offset_s + (index + 1) * length_s


def _month(time_s: float, *, offset_s: float) -> tuple[float, float]:
    # Whole seconds: a datetime rounds to microseconds, and the last moment of a month would fall into the next.
    day = datetime.fromtimestamp(math.floor(time_s - offset_s), UTC)
    first = day.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    return first.timestamp() + offset_s, following.timestamp() + offset_s
