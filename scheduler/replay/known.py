"""What of a trace may be known when."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scheduler.issues import ForecastIssues
from scheduler.model import FloatArray
from scheduler.outlook import Outlook
from scheduler.replay.defer import Deferral, WaitingLine
from scheduler.replay.windows import left_out, windows_of
from scheduler.trace import Trace
from scheduler.window import BudgetWindow

CONSTANT_DEMAND = 1000.0


def lead_of(trace: Trace, *, lead_s: float | None, issues: ForecastIssues | None) -> str:
    """What a replay knows of the carbon to come, in words."""
    if issues is not None:
        return "as issued at the time"
    if trace.carbon_forecast is None:
        return "no forecast"
    if lead_s is not None:
        return f"the forecast column, seen {lead_s / 3600:g} h ahead"
    return "the forecast column, all of it seen from the start"


@dataclass(frozen=True, kw_only=True)
class Known:
    """What of a trace may be known when; at each slot it hands over the outlook of `ahead` slots, and of the past."""

    trace: Trace
    lead_s: float | None
    issues: ForecastIssues | None
    deferral: Deferral | None
    label: str
    ahead: int

    @cached_property
    def demand(self) -> FloatArray:
        """All requests by the slot they come in (T,)."""
        actual = self.trace.requests_actual
        return np.full(self.trace.carbon_actual.size, CONSTANT_DEMAND) if actual is None else actual

    @property
    def waiting_share(self) -> float:
        """Share of the requests that may wait."""
        return 0.0 if self.deferral is None else self.deferral.share

    @cached_property
    def requests(self) -> FloatArray:
        """Requests that are answered at once (T,)."""
        return self.demand * (1.0 - self.waiting_share)

    @cached_property
    def foreseen(self) -> FloatArray | None:
        """All requests as foreseen (T,); constant demand is known to be, recorded demand without a forecast is not."""
        return self.demand if self.trace.requests_actual is None else self.trace.requests_forecast

    @property
    def lead(self) -> str:
        """What is known of the carbon to come, in words."""
        return lead_of(self.trace, lead_s=self.lead_s, issues=self.issues)

    @property
    def slots_in_force(self) -> int:
        """Slots at whose beginning a forecast as issued was in force that says something of what is to come."""
        if self.issues is None:
            return 0
        trace = self.trace
        return self.issues.in_force(start_s=trace.start_s, slot_s=trace.slot_s, count=trace.carbon_actual.size)

    def waiting_line(self, window: BudgetWindow) -> WaitingLine | None:
        """The requests that may wait; None where none may."""
        if self.deferral is None:
            return None
        share, slots = self.deferral.share, self.trace.carbon_actual.size
        last = np.full(slots, slots - 1, dtype=np.intp)
        for part in windows_of(self.trace, window):
            last[part] = part.stop - 1
        foreseen = self.demand if self.foreseen is None else self.foreseen
        return WaitingLine(
            self.deferral,
            arrivals=self.demand * share,
            expected=foreseen * share,
            last=last,
            slot_s=self.trace.slot_s,
        )

    def outlook(self, slot: int) -> Outlook:
        """What is foreseen when `slot` begins."""
        trace, end = self.trace, slot + self.ahead
        requests = None if self._foreseen_at_once is None else self._foreseen_at_once[:end]
        return Outlook(
            start_s=trace.start_s, slot_s=trace.slot_s, carbon_g_per_kwh=self._carbon(slot), requests=requests
        )

    @cached_property
    def _foreseen_at_once(self) -> FloatArray | None:
        return None if self.foreseen is None else self.foreseen * (1.0 - self.waiting_share)

    def _carbon(self, slot: int) -> FloatArray | None:
        trace, end = self.trace, slot + self.ahead
        if self.issues is not None:
            return self.issues.known_at(
                trace.start_s + slot * trace.slot_s,
                start_s=trace.start_s,
                slot_s=trace.slot_s,
                count=min(trace.carbon_actual.size, end),
            )
        if self._forecast is None:
            return None
        if self.lead_s is not None:
            end = min(end, slot + max(1, math.ceil(self.lead_s / trace.slot_s - 1e-9)))
        return self._forecast[:end]

    @cached_property
    def _forecast(self) -> FloatArray | None:
        """The forecast column with its holes: one is bridged with what is known by then, not with a later value."""
        trace = self.trace
        if trace.carbon_forecast is None:
            return None
        forecast = trace.carbon_forecast.copy()
        forecast[list(trace.unforeseen_carbon)] = np.nan
        return forecast

    def notes(self, window: BudgetWindow) -> tuple[str, ...]:
        """What a reader of the figures must know."""
        trace = self.trace
        notes = [f"bridged {what}" for what in trace.bridged]
        if self.issues is not None:
            slots = trace.carbon_actual.size
            notes.append(f"carbon forecasts as issued at the time: in force in {self.slots_in_force} of {slots} slots")
        elif trace.carbon_forecast is None:
            notes.append("no carbon forecast: planned from past actuals")
        if trace.requests_actual is None:
            notes.append("no requests: constant demand")
        elif trace.requests_forecast is None:
            notes.append("no request forecast: demand is learned from what was served")
        if (missing := left_out(trace, windows_of(trace, window))) is not None:
            notes.append(missing)
        return tuple(notes)

    def issued(self, slot: int, outlook: Outlook) -> float | None:
        """The forecast of `slot` that was in force when it began."""
        carbon = outlook.carbon_g_per_kwh
        if carbon is None or slot >= carbon.size or math.isnan(carbon[slot]):
            return None
        return float(carbon[slot])
