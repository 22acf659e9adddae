"""The promise of a service in `carbonrouter.yaml`: its budget, and what is demanded besides."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

import scheduler.constraints as demanded
from controlplane.config.fields import Flag, Name, Percent, Section, duration
from scheduler import BudgetWindow

_LONGEST_S = 31 * 86_400.0
_SHORTEST_S = 3600.0
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _window(value: object) -> float | str:
    if value == "month":
        return "month"
    try:
        length_s = duration(value)
    except ValueError as error:
        raise ValueError("must be month, or from 1h to 31d, such as 7d") from error
    if not _SHORTEST_S <= length_s <= _LONGEST_S:
        raise ValueError("must be month, or from 1h to 31d, such as 7d")
    return length_s


def _time_of_day(value: object) -> float:
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a time of day in UTC in quotes, such as '08:30'")
    return 86_400.0 if match[1] is None else 3600.0 * int(match[1]) + 60.0 * int(match[2])


def _moment(value: object) -> float:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime):
        if not isinstance(moment, date):
            raise ValueError("must be a moment such as 2026-12-24T18:00Z")  # noqa: TRY004 - what pydantic expects
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


TimeOfDay = Annotated[
    float, BeforeValidator(_time_of_day), WithJsonSchema({"type": "string", "examples": ["08:30", "24:00"]})
]
Moment = Annotated[
    float,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-12-24T18:00Z"]}),
]
Window = Annotated[
    float | Literal["month"],
    BeforeValidator(_window),
    WithJsonSchema({"type": "string", "examples": ["1d", "7d", "month"]}),
]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Budget(Section):
    """The promise: over each window, the mean error of all answers stays at or below this."""

    max_error_pct: Percent
    window: Window = 86_400.0
    rolling: Flag = False
    carry_over_pct: Percent = 0.0
    guard_pct: Percent | None = None

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.rolling and self.window == "month":
            raise ValueError("a rolling window needs a length, such as 30d")
        if self.rolling and self.carry_over_pct:
            raise ValueError("carry_over_pct: a rolling window carries everything over already")
        return self

    def budget_window(self) -> BudgetWindow:
        """The window as the scheduler sees it."""
        carry_over = self.carry_over_pct / 100
        if self.window == "month":
            return BudgetWindow(kind="month", carry_over=carry_over)
        return BudgetWindow(length_s=self.window, kind="rolling" if self.rolling else "calendar", carry_over=carry_over)


class DailyBlackout(Section):
    """Full quality at these times of the UTC day, over midnight where the end comes before the start."""

    daily_from: TimeOfDay
    daily_to: TimeOfDay
    weekdays: tuple[Weekday, ...] = ()


class SpanBlackout(Section):
    """Full quality from one moment to another."""

    start: Moment
    end: Moment


class Constraints(Section):
    """What is demanded of every slot besides the budget."""

    least_share_pct: dict[Name, Percent] = Field(default_factory=dict)
    greatest_share_pct: dict[Name, Percent] = Field(default_factory=dict)
    max_change_pct: Annotated[Percent, Field(gt=0)] | None = None
    min_precision_pct: Percent | None = None
    blackouts: tuple[DailyBlackout | SpanBlackout, ...] = ()

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        self.demanded()
        return self

    def demanded(self) -> demanded.Constraints:
        """The same as the scheduler sees them.

        Raises:
            ValueError: they contradict each other.
        """
        return demanded.Constraints(
            least_share={name: share / 100 for name, share in self.least_share_pct.items()},
            greatest_share={name: share / 100 for name, share in self.greatest_share_pct.items()},
            max_change=None if self.max_change_pct is None else self.max_change_pct / 100,
            min_precision=None if self.min_precision_pct is None else self.min_precision_pct / 100,
            blackouts=tuple(_blackout(each) for each in self.blackouts),
        )


def _blackout(each: DailyBlackout | SpanBlackout) -> demanded.Blackout:
    if isinstance(each, SpanBlackout):
        return demanded.SpanBlackout(start_s=each.start, end_s=each.end)
    weekdays = tuple(_WEEKDAYS.index(day) for day in each.weekdays)
    return demanded.DailyBlackout(start_s=each.daily_from, end_s=each.daily_to, weekdays=weekdays)
