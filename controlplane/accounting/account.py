"""The records of one service by slot, and how they become settled totals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from controlplane.accounting.records import FlavourLoad, SlotRecord, Terms
from controlplane.accounting.scenarios import credit_elsewhere, scenarios
from controlplane.accounting.settlement import SETTLE_AFTER_S, Pending, Settled
from controlplane.accounting.summary import Summary, add_to, served_by_slot, summarise
from scheduler import BudgetWindow, Flavour, FloatArray


class Account(BaseModel):
    """The records of one service on a grid of `slot_s` seconds aligned to the epoch, by slot number.

    `pending` holds what was counted and is not settled yet, by slot number.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    slot_s: float
    slots: dict[int, SlotRecord] = Field(default_factory=dict)
    pending: dict[int, Pending] = Field(default_factory=dict)
    settled: Settled = Field(default_factory=Settled)

    def slot(self, time_s: float) -> SlotRecord:
        """The record of the slot that holds `time_s`, made if missing."""
        return self.slots.setdefault(math.floor(time_s / self.slot_s), SlotRecord())

    def peek(self, time_s: float) -> SlotRecord:
        """The record of the slot that holds `time_s`; an empty one that is kept nowhere if there is none."""
        return self.slots.get(math.floor(time_s / self.slot_s), SlotRecord())

    def add(
        self, loads: Mapping[str, FlavourLoad], *, since_s: float, until_s: float, terms: Terms | None = None
    ) -> None:
        """Enter what was served in (since_s, until_s], shared out over the slots it spans by time.

        With `terms` it is to be settled too, at their energy.
        """
        for number, share in self._spread(since_s, until_s):
            record = self.slots.setdefault(number, SlotRecord())
            for name, load in loads.items():
                add_to(record.served, name, load.served * share)
                add_to(record.failed, name, load.failed * share)
                add_to(record.metered_requests, name, load.metered_requests * share)
                add_to(record.metered_j, name, load.metered_j * share)
            served = {name: load.served * share for name, load in loads.items() if load.served}
            if terms is not None and served:
                self.pending.setdefault(number, Pending()).add(served, terms)

    def command(self, weights: Mapping[str, int], *, since_s: float, until_s: float) -> None:
        """Enter that `weights` were commanded from `since_s` to `until_s`."""
        for number, share in self._spread(since_s, until_s):
            record = self.slots.setdefault(number, SlotRecord())
            for name, weight in weights.items():
                add_to(record.commanded, name, weight * share * (until_s - since_s))

    def note_carbon(self, *, start_s: float, slot_s: float, forecast: FloatArray, actual: FloatArray) -> None:
        """Enter a source's series, g/kWh (T,), NaN where unknown, into the slots in which something happened.

        The source's slots may be longer or shorter than ours: each of ours gets the mean over the time it spans. What
        is known already stays where the series knows nothing; an actual value needs the whole slot to be known.
        """
        for number, record in self.slots.items():
            begin = (number * self.slot_s - start_s) / slot_s
            end = begin + self.slot_s / slot_s
            first, last = max(0, math.floor(begin)), min(forecast.size, math.ceil(end))
            if first >= last:
                continue
            cells = np.arange(first, last)
            spans = np.minimum(end, cells + 1) - np.maximum(begin, cells)
            record.carbon_forecast = _mean(forecast[first:last], spans, otherwise=record.carbon_forecast)
            if begin >= -1e-9 and end <= forecast.size + 1e-9 and np.isfinite(actual[first:last]).all():
                record.carbon_actual = _mean(actual[first:last], spans, otherwise=record.carbon_actual)

    def settle(self, *, now_s: float, kept_since_s: float) -> bool:
        """Enter into the totals what is pending in slots whose intensity is final; whether anything was.

        That is: the slot has ended and its actual intensity is known, or its end is `SETTLE_AFTER_S` ago, or it is
        about to be forgotten since it ended before `kept_since_s`.
        """
        first_kept = math.floor(kept_since_s / self.slot_s)
        ready = [number for number in self.pending if self._is_final(number, now_s=now_s, first_kept=first_kept)]
        for number in ready:
            self._settle_slot(number)
        return bool(ready)

    def regridded(self, slot_s: float) -> Account:
        """An account of other slots: the records cannot be taken over, the totals go on, and nothing stays pending."""
        for number in list(self.pending):
            self._settle_slot(number)
        return Account(slot_s=slot_s, settled=self.settled)

    def close_windows(
        self, window: BudgetWindow, terms: Terms, *, now_s: float, carried: Callable[[float], float]
    ) -> int:
        """Enter into the totals the windows that have ended and whose slots are settled; how many.

        `carried` tells the credit a window took over, from its start. What is counted late for a closed window is
        settled with its slot, and stays out of the windows' totals.
        """
        closed, until_s = self.settled.windows, self._settled_until_s(window, now_s)
        ahead = closed.until_s is not None and closed.until_s > window.of(now_s)[1]  # by a clock that was set back
        if closed.until_s is not None and until_s <= closed.until_s and not ahead:
            return 0
        before = closed.windows
        for start_s, end_s in self._unclosed(window, until_s=until_s):
            self._close_window(terms, start_s=start_s, end_s=end_s, carried=carried(start_s))
        closed.until_s = until_s
        return closed.windows - before

    def keep_only(self, names: set[str]) -> None:
        """Drop the totals of flavours that are none of these and have nothing pending."""
        waiting = {name for pending in self.pending.values() for name in pending.requests}
        self.settled.keep_only(names | waiting)

    def forget_before(self, time_s: float) -> None:
        """Drop the slots that ended before `time_s`."""
        first = math.floor(time_s / self.slot_s)
        self.slots = {number: record for number, record in self.slots.items() if number >= first}

    def between(self, start_s: float, end_s: float) -> list[tuple[float, SlotRecord]]:
        """(start, record) of the slots that begin in [start_s, end_s), in order of time."""
        numbers = sorted(number for number in self.slots if start_s <= number * self.slot_s < end_s)
        return [(number * self.slot_s, self.slots[number]) for number in numbers]

    def summary(
        self, flavours: Sequence[Flavour], *, max_error: float, start_s: float, end_s: float, carried: float = 0.0
    ) -> Summary:
        """Judge the slots that begin in [start_s, end_s); answers of flavours no longer listed are left out.

        `carried` is the credit, in error-requests, that may be spent besides `max_error`.
        """
        records = [record for _, record in self.between(start_s, end_s)]
        return summarise(records, flavours, max_error=max_error, carried=carried)

    def _is_final(self, number: int, *, now_s: float, first_kept: int) -> bool:
        record, end_s = self.slots.get(number), (number + 1) * self.slot_s
        if record is None or record.settled_as is not None or number < first_kept:
            return True
        return end_s <= now_s and (record.carbon_actual is not None or end_s + SETTLE_AFTER_S <= now_s)

    def _settle_slot(self, number: int) -> None:
        pending, record = self.pending.pop(number), self.slots.get(number, SlotRecord())
        if record.settled_as is None:
            record.settled_as, record.settled_g_per_kwh = "unknown", None
            if record.carbon is not None:
                record.settled_as = "forecast" if record.carbon_actual is None else "actual"
                record.settled_g_per_kwh = max(0.0, record.carbon)
        if record.settled_as == "unknown" or record.settled_g_per_kwh is None:
            self.settled.requests_without_carbon += sum(pending.requests.values())
        else:
            self.settled.add(pending, basis=record.settled_as, g_per_kwh=record.settled_g_per_kwh)

    def _settled_until_s(self, window: BudgetWindow, now_s: float) -> float:
        """Up to which start of a window, at most that of the open one, nothing is pending."""
        open_s = window.of(now_s)[0]
        first = min(self.pending, default=None)
        return open_s if first is None else min(open_s, window.of(first * self.slot_s)[0])

    def _unclosed(self, window: BudgetWindow, *, until_s: float) -> list[tuple[float, float]]:
        """The windows before `until_s` in which something was served that is in no closed one."""
        found: list[tuple[float, float]] = []
        for start_s, record in self.between(-math.inf, until_s):
            if record.served and not record.closed and not (found and start_s < found[-1][1]):
                found.append(window.of(start_s))
        return found

    def _close_window(self, terms: Terms, *, start_s: float, end_s: float, carried: float) -> None:
        records = [record for _, record in self.between(start_s, end_s) if not record.closed]
        known = [record for record in records if record.carbon_settled is not None]
        served = served_by_slot(known, terms.flavours)
        carbon = np.array([max(0.0, record.carbon_settled or 0.0) for record in known])
        unknown = float(served_by_slot(records, terms.flavours).sum() - served.sum())
        carried += credit_elsewhere(terms.flavours, max_error=terms.max_error, requests=unknown)
        spent = scenarios(terms, served=served, carbon_g_per_kwh=carbon, carried=carried)
        self.settled.windows.add(float(served.sum()), spent)
        for record in records:
            record.closed = True

    def _spread(self, since_s: float, until_s: float) -> list[tuple[int, float]]:
        """The slots in (since_s, until_s] and the share of that time in each; all in the last one if it is empty."""
        last = math.floor(math.nextafter(until_s, -math.inf) / self.slot_s)
        if until_s <= since_s:
            return [(last, 1.0)]
        first = math.floor(since_s / self.slot_s)
        edges = [since_s, *(number * self.slot_s for number in range(first + 1, last + 1)), until_s]
        length = until_s - since_s
        return [(first + place, (end - start) / length) for place, (start, end) in enumerate(itertools.pairwise(edges))]


def _mean(values: FloatArray, spans: FloatArray, *, otherwise: float | None) -> float | None:
    known = np.isfinite(values) & (spans > 1e-9)
    return float(np.average(values[known], weights=spans[known])) if known.any() else otherwise
