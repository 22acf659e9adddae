"""What was observed of carbon intensity, beside what had been foreseen."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from scheduler._plain import items, number, optional_number
from scheduler.model import FloatArray
from scheduler.outlook import Outlook


@dataclass(frozen=True, slots=True, kw_only=True)
class CarbonHistory:
    """The last observed slots, oldest first: (slot start, actual g/kWh, forecast g/kWh or None)."""

    slots: tuple[tuple[float, float, float | None], ...] = ()
    keep: int = 7 * 48

    def observe(self, slot_start_s: float, *, actual: float, forecast: float | None) -> CarbonHistory:
        """Return the history with this slot entered; the same slot again replaces what was known of it."""
        entry = (
            number(slot_start_s, what="slot start"),
            number(actual, what="actual carbon intensity"),
            optional_number(forecast, what="forecast carbon intensity"),
        )
        at = bisect_left(self.slots, slot_start_s, key=lambda slot: slot[0])
        after = at + (at < len(self.slots) and self.slots[at][0] == slot_start_s)
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
        """Actual and forecast of `count` outlook slots from index `first`; NaN where unknown."""
        actual, forecast = np.full(count, np.nan), np.full(count, np.nan)
        for start_s, seen, foreseen in self.slots:
            index = round((start_s - outlook.start_s) / outlook.slot_s) - first
            if 0 <= index < count:
                actual[index] = seen
                forecast[index] = np.nan if foreseen is None else foreseen
        return actual, forecast
