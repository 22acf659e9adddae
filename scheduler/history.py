"""What was observed of carbon intensity, beside what had been foreseen."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, cast

import numpy as np

from scheduler._plain import items, number, optional_number
from scheduler.model import FloatArray
from scheduler.outlook import Outlook

MOST_MEMOS = 8

_COLUMNS = "columns"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CarbonHistory:
    """The last observed slots, oldest first: (slot start, actual g/kWh, forecast g/kWh or None).

    `keep` slots at most, by default 35 days of half-hours: a month's window and a few days to learn from before
    it. `memo` is scratch for what is computed from this history; it dies with it and is no part of its value.
    """

    slots: tuple[tuple[float, float, float | None], ...] = ()
    keep: int = 35 * 48
    memo: dict[object, object] = field(default_factory=dict, init=False, repr=False, compare=False)

    def observe(self, slot_start_s: float, *, actual: float, forecast: float | None) -> CarbonHistory:
        """Return the history with this slot entered; the same slot again replaces what was known of it."""
        entry = (
            number(slot_start_s, what="slot start"),
            number(actual, what="actual carbon intensity"),
            optional_number(forecast, what="forecast carbon intensity"),
        )
        if not self.slots or self.slots[-1][0] < slot_start_s:
            return self._appended(entry)
        at = bisect_left(self.slots, slot_start_s, key=lambda slot: slot[0])
        after = at + (self.slots[at][0] == slot_start_s)
        if self.slots[at:after] == (entry,):
            return self
        slots = (*self.slots[:at], entry, *self.slots[after:])
        return CarbonHistory(slots=slots[-self.keep :], keep=self.keep)

    def to_list(self) -> list[list[float | None]]:
        """Return JSON-safe data."""
        return [list(slot) for slot in self.slots]

    @classmethod
    def from_list(cls, data: object) -> CarbonHistory:
        """Read what `to_list` wrote; ValueError on anything else."""
        history = cls()
        for entry in items(data, what="carbon history"):
            fields = items(entry, what="carbon history slot")
            if len(fields) != 3:
                raise ValueError(f"carbon history slot: expected 3 fields, got {len(fields)}")
            start_s = number(fields[0], what="carbon history slot start")
            history = history.observe(start_s, actual=fields[1], forecast=fields[2])
        return history

    def on_grid(self, outlook: Outlook, *, first: int, count: int) -> tuple[FloatArray, FloatArray]:
        """Actual and forecast (count,), in g/kWh, of the outlook's slots from index `first`; NaN where unknown."""
        actual, forecast = np.full(count, np.nan), np.full(count, np.nan)
        if self.slots:
            columns = self._columns()
            index = np.rint((columns[:, 0] - outlook.start_s) / outlook.slot_s) - first
            inside = (index >= 0) & (index < count)
            at = index[inside].astype(int)
            actual[at], forecast[at] = columns[inside, 1], columns[inside, 2]
        return actual, forecast

    def remembered(self, key: object, make: Callable[[], T]) -> T:
        """Return what `make` gave for this key before, calling it the first time.

        Services decide every few seconds, observations and forecasts change every half hour. What is returned is
        shared: it must not be changed.
        """
        if key not in self.memo:
            while len(self.memo) >= MOST_MEMOS:
                self.memo.pop(next(iter(self.memo)), None)
            self.memo[key] = make()
        return cast("T", self.memo[key])

    def _appended(self, entry: tuple[float, float, float | None]) -> CarbonHistory:
        later = CarbonHistory(slots=(*self.slots, entry)[-self.keep :], keep=self.keep)
        if (columns := self.memo.get(_COLUMNS)) is not None:
            # Adding a row costs a fiftieth of reading them all, and every replayed slot adds one.
            row = np.array([entry], dtype=float)
            later.memo[_COLUMNS] = np.concatenate((cast("FloatArray", columns), row))[-self.keep :]
        return later

    def _columns(self) -> FloatArray:
        """Slots as one array (n, 3); a forecast that is not known is NaN."""
        return self.remembered(_COLUMNS, lambda: np.array(self.slots, dtype=float))
