"""A recorded trace through a processing policy, slot by slot, knowing only what came before each slot."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scheduler.history import CarbonHistory
from scheduler.model import FloatArray
from scheduler.outlook import Outlook
from scheduler.processing.base import CreditBalance, ProcessingPolicy, Queue
from scheduler.processing.book import ReleaseBook
from scheduler.processing.estimate import carbon_expected
from scheduler.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingReplay:
    """What was run per slot (T,), and what it means.

    `carbon` is sum of amount x actual intensity (g/kWh x requests: times the energy of a request, grams);
    `at_once` and `clairvoyant` are the same if nothing waits, and at best. `missed` is the amount that ran after the
    slot of its deadline; `unserved` what is left when the trace ends. What is not run costs no carbon here: compare
    policies only where nothing is left.
    """

    ran: FloatArray
    carbon: float
    at_once: float
    clairvoyant: float
    missed: float
    unserved: float
    conditions: tuple[str, ...]

    @property
    def share_of_gain(self) -> float | None:
        """Share of the clairvoyant's gain over running all at once; None where there is nothing to gain."""
        best = self.at_once - self.clairvoyant
        return (self.at_once - self.carbon) / best if best > 0.0 else None


def replay_processing(  # noqa: PLR0913 - a trace and what may wait in it
    trace: Trace,
    policy: ProcessingPolicy,
    *,
    wait_s: float,
    share: float = 1.0,
    capacity: FloatArray | None = None,
    credit: CreditBalance | None = None,
) -> ProcessingReplay:
    """Replay a trace whose requests, `share` of them, may wait up to `wait_s`; the last slot ends every wait.

    Requests of a slot are known when it is over. A trace without requests has constant demand.
    `capacity` (T,) bounds what really runs. The clairvoyant is without capacity.
    """
    slots = trace.carbon_actual.size
    demand = np.full(slots, 1000.0) if trace.requests_actual is None else trace.requests_actual
    arrivals = share * demand
    expected = arrivals if trace.requests_forecast is None else share * trace.requests_forecast
    outlook = Outlook(start_s=trace.start_s, slot_s=trace.slot_s, carbon_g_per_kwh=trace.carbon_forecast)
    history, book = CarbonHistory(), ReleaseBook()
    ran, missed, conditions = np.zeros(slots), 0.0, set[str]()
    for slot in range(slots):
        now_s = outlook.start_of(slot)
        queue = Queue(
            book=book,
            now_s=now_s,
            slot_s=trace.slot_s,
            carbon_g_per_kwh=carbon_expected(history, outlook, first=slot, count=slots - slot),
            arrivals=expected[slot:],
            wait_s=wait_s,
            capacity=None if capacity is None else capacity[slot:],
            credit=credit,
        )
        release = policy.release(queue)
        conditions.update(release.conditions)
        book = book.arrive(float(arrivals[slot]), deadline_s=now_s + wait_s)
        amount = min(release.amount(arriving=float(arrivals[slot])), book.amount)
        ran[slot] = amount if capacity is None else min(amount, float(capacity[slot]))
        missed += min(float(ran[slot]), book.overdue(now_s))
        book = book.ran(float(ran[slot]))
        if slot not in trace.unseen_carbon:
            forecast = None if trace.carbon_forecast is None else float(trace.carbon_forecast[slot])
            history = history.observe(now_s, actual=float(trace.carbon_actual[slot]), forecast=forecast)
    best = clairvoyant_grams(arrivals, carbon=trace.carbon_actual, wait_slots=math.floor(wait_s / trace.slot_s))
    return ProcessingReplay(
        ran=ran,
        carbon=float(ran @ trace.carbon_actual),
        at_once=float(arrivals @ trace.carbon_actual),
        clairvoyant=best,
        missed=missed,
        unserved=book.amount,
        conditions=tuple(sorted(conditions)),
    )


def clairvoyant_grams(arrivals: FloatArray, *, carbon: FloatArray, wait_slots: int) -> float:
    """Return sum over arrivals (T,) of the least carbon (T,) in the slot of each and the `wait_slots` after it."""
    best = np.array([carbon[slot : slot + wait_slots + 1].min() for slot in range(carbon.size)])
    return float(arrivals @ best)
