"""The part of a trace's requests that may wait: when it runs, and when a clairvoyant would have run it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scheduler.model import FloatArray, IntArray
from scheduler.processing import (
    CreditBalance,
    ProcessingPolicy,
    Queue,
    Release,
    ReleaseBook,
    ReleasePlanPolicy,
    ThrottlePolicy,
    release_plan,
)
from scheduler.processing.transport import Volumes, cheapest_loads

PROCESSING: dict[str, type[ReleasePlanPolicy | ThrottlePolicy]] = {
    "release-plan": ReleasePlanPolicy,
    "throttle": ThrottlePolicy,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferral:
    """`share` of all requests may wait up to `wait_s`; `processing` names who decides when they run.

    Raises ValueError on values out of range or a name that does not exist.
    """

    share: float
    wait_s: float
    processing: str = "release-plan"

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"the share that may wait must be a fraction from 0 to 1, not {self.share!r}")
        if not (math.isfinite(self.wait_s) and self.wait_s >= 0.0):
            raise ValueError(f"requests must be able to wait a finite time >= 0 s, not {self.wait_s!r}")
        if self.processing not in PROCESSING:
            raise ValueError(f"processing is one of {', '.join(PROCESSING)}, not {self.processing!r}")


class WaitingLine:
    """The requests of one replay that may wait, slot by slot.

    `arrivals` (T,) come during each slot, `expected` (T,) are the same as foreseen, and `last` (T,) is the last slot
    of the budget window that each slot belongs to: requests are answered in the window in which they came, or the
    grams of two windows could not be told apart; what is left at its end runs then, and what exceeds the capacity
    counts as missed. The throttle, which slows down a fixed capacity, gets that of
    the busiest slot foreseen.
    """

    def __init__(
        self, deferral: Deferral, *, arrivals: FloatArray, expected: FloatArray, last: IntArray, slot_s: float
    ) -> None:
        self._policy: ProcessingPolicy = PROCESSING[deferral.processing]()
        self._wait_s, self._slot_s = deferral.wait_s, slot_s
        self._arrivals, self._expected, self._last = arrivals, expected, last
        self._capacity = float(expected.max(initial=0.0)) if deferral.processing == "throttle" else None
        self._book = ReleaseBook()
        self._release: Release | None = None
        self.ran = np.zeros(arrivals.size)
        self.deferred = np.zeros(arrivals.size)
        self.missed = np.zeros(arrivals.size)

    def plan(self, slot: int, carbon: FloatArray, *, now_s: float, credit_balance: float) -> FloatArray:
        """Decide for the slot that begins; returns the amounts (N,) planned for it and what follows in its window."""
        ahead = int(self._last[slot]) + 1 - slot
        queue = Queue(
            book=self._book,
            now_s=now_s,
            slot_s=self._slot_s,
            carbon_g_per_kwh=carbon[:ahead],
            arrivals=self._expected[slot : slot + ahead],
            wait_s=self._wait_s,
            capacity=None if self._capacity is None else np.full(ahead, self._capacity),
            credit=CreditBalance(balance=credit_balance),
        )
        self._release = self._policy.release(queue)
        planned = release_plan(queue).amounts.copy()
        now, later = self._release.amount(arriving=queue.arriving), planned[1:].sum()
        # What runs now does not run later as well, whichever of the two the plan had in mind.
        left = max(0.0, planned.sum() - now)
        planned[1:] = planned[1:] * (left / later) if later > 0.0 else left / max(1, ahead - 1)
        planned[0] = now
        return planned

    def run(self, slot: int, *, now_s: float) -> float:
        """Run the slot that was planned; returns the amount that really ran in it."""
        assert self._release is not None  # noqa: S101 - plan() comes first
        held, arriving = self._book.amount, float(self._arrivals[slot])
        last_s = now_s + (self._last[slot] - slot) * self._slot_s
        book = self._book.arrive(arriving, deadline_s=min(now_s + self._wait_s, last_s))
        amount = min(self._release.amount(arriving=arriving), book.amount)
        amount = amount if self._capacity is None else min(amount, self._capacity)
        if slot == self._last[slot]:  # what was put off for good would look like carbon saved
            amount = book.amount
        self.ran[slot] = amount
        self.deferred[slot] = min(amount, held)
        self.missed[slot] = min(amount, book.overdue(now_s))
        if slot == self._last[slot] and self._capacity is not None:
            self.missed[slot] = max(self.missed[slot], amount - self._capacity)
        self._book = book.ran(amount)
        return amount


def clairvoyant_loads(arrivals: FloatArray, *, carbon: FloatArray, wait_s: float, slot_s: float) -> FloatArray:
    """Amounts (T,) run in each slot when every arrival (T,) waits for the best slot (by carbon (T,)) of its time."""
    come = np.arange(arrivals.size)
    wait_slots = math.floor(wait_s / slot_s * (1.0 + 1e-12))
    return cheapest_loads(
        Volumes(amount=arrivals, first=come, last=np.minimum(come + wait_slots, arrivals.size - 1)), cost=carbon
    )
