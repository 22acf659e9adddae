"""What of a trace may be known when."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scheduler.issues import ForecastIssues
from scheduler.model import FloatArray
from scheduler.outlook import Outlook
from scheduler.replay.defer import Deferral, WaitingLine
from scheduler.replay.windows import WINDOWS, left_out, windows_of
from scheduler.trace import Trace
from scheduler.window import BudgetWindow

CONSTANT_DEMAND = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What of a trace may be known when."""

    trace: Trace
    lead_s: float | None
    issues: ForecastIssues | None
    deferral: Deferral | None
    label: str

    @property
    def demand(self) -> FloatArray:
        """All requests by the slot they come in (T,)."""
        actual = self.trace.requests_actual
        return np.full(self.trace.carbon_actual.size, CONSTANT_DEMAND) if actual is None else actual

    @property
    def waiting_share(self) -> float:
        """Share of the requests that may wait."""
        return 0.0 if self.deferral is None else self.deferral.share

    @property
    def requests(self) -> FloatArray:
        """Requests that are answered at once (T,)."""
        return self.demand * (1.0 - self.waiting_share)

    @property
    def foreseen(self) -> FloatArray | None:
        """All requests as foreseen (T,); constant demand is known to be, recorded demand without a forecast is not."""
        return self.demand if self.trace.requests_actual is None else self.trace.requests_forecast

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
        trace = self.trace
        requests = None if self.foreseen is None else self.foreseen * (1.0 - self.waiting_share)
        return Outlook(
            start_s=trace.start_s, slot_s=trace.slot_s, carbon_g_per_kwh=self._carbon(slot), requests=requests
        )

    def _carbon(self, slot: int) -> FloatArray | None:
        trace = self.trace
        if self.issues is not None:
            return self.issues.known_at(
                trace.start_s + slot * trace.slot_s,
                start_s=trace.start_s,
                slot_s=trace.slot_s,
                count=trace.carbon_actual.size,
            )
        if trace.carbon_forecast is None:
            return None
        seen = trace.carbon_forecast.size
        if self.lead_s is not None:
            seen = slot + max(1, math.ceil(self.lead_s / trace.slot_s - 1e-9))
        forecast = trace.carbon_forecast[:seen].copy()
        # A hole is bridged with what is known by then, not with a value that lies beyond the lead.
        forecast[[hole for hole in trace.unforeseen_carbon if hole < forecast.size]] = np.nan
        return forecast

    def notes(self, window: BudgetWindow) -> tuple[str, ...]:
        """What a reader of the figures must know."""
        trace = self.trace
        notes = [f"bridged {what}" for what in trace.bridged]
        if self.issues is not None:
            notes.append("carbon forecasts as they were issued at the time")
        elif trace.carbon_forecast is None:
            notes.append("no carbon forecast: planned from past actuals")
        if trace.requests_actual is None:
            notes.append("no requests: constant demand")
        elif trace.requests_forecast is None:
            notes.append("no request forecast: demand is learned from what was served")
        if WINDOWS.get(self.label.partition(" ")[0], 0.0) > window.length_s * (1.0 + 1e-9):
            notes.append(f"the trace is shorter than {self.label}: one window of {window.length_s / 3600.0:g} h")
        if (missing := left_out(trace, windows_of(trace, window))) is not None:
            notes.append(missing)
        return tuple(notes)

    def issued(self, slot: int, outlook: Outlook) -> float | None:
        """The forecast of `slot` that was in force when it began."""
        carbon = outlook.carbon_g_per_kwh
        if carbon is None or slot >= carbon.size or math.isnan(carbon[slot]):
            return None
        return float(carbon[slot])
