"""The promise ahead: what the coming slots may err, and what the step now decided rests on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler.demand import Volume
from scheduler.guard import Exposure
from scheduler.ledger import Ledger
from scheduler.model import FloatArray
from scheduler.window import BudgetWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Budgets of the slots ahead: those before `until[k]` (K,) may err `budgets[k]` (K,) error-requests in all.

    A calendar window has one budget, that of all the slots it has left. A rolling one has one per slot: each
    coming moment is the end of a window that the past still counts in. `exposures` say the same of the step now
    decided (see scheduler.guard).
    """

    until: NDArray[np.intp]
    budgets: FloatArray
    exposures: tuple[Exposure, ...]


def promise_ahead(  # noqa: PLR0913 - the books, the demand, and the two errors that are known
    ledger: Ledger,
    window: BudgetWindow,
    volume: Volume,
    *,
    max_error: float,
    least_error: float,
    guard: float,
    now_s: float,
    slot_end_s: float,
    slot_s: float,
) -> Promise:
    """Return the promise for the slots of `volume`, the first of which ends at `slot_end_s`."""
    ahead = volume.slots.size
    totals = np.cumsum(volume.slots)
    low, high = (1.0 - guard) * volume.low, (1.0 + guard) * volume.high
    flights = _Flights.of(volume, max_error=max_error, low=low, high=high)
    if window.kind == "rolling":
        since_s = slot_end_s + slot_s * np.arange(ahead, dtype=np.float64) - window.length_s
        credit = ledger.credits(since_s=since_s)
        until = np.arange(1, ahead + 1)
    else:
        since_s = np.array([window.of(now_s)[0]])
        credit = np.array([_open_credit(ledger, window, flights, now_s=now_s)])
        until = np.array([ahead])
        totals = totals[-1:]
    flying, at_worst = flights.since(since_s)
    steps = np.minimum(volume.step, totals)
    later = low * (totals - steps)

    def exposure(at: int) -> Exposure:
        step = float(steps[at])
        return Exposure(
            max_error=max_error,
            least_error=least_error,
            credit=float(credit[at]),
            in_flight=float(at_worst[at]),
            step=(low * step, high * step),
            later=float(later[at]),
        )

    # Of the moments after the step only the tightest matters; those within it each see a part of it.
    whole = np.flatnonzero(steps >= volume.step)
    if whole.size:
        whole = whole[[int((credit + at_worst + later * (max_error - least_error))[whole].argmin())]]
    within = np.flatnonzero(steps < volume.step)
    return Promise(
        until=until,
        budgets=credit + max_error * totals + flying,
        exposures=tuple(exposure(int(at)) for at in (*within, *whole)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flights:
    """When requests not counted yet were answered, and the credit (K,) they bring as expected and at worst."""

    since_s: FloatArray
    until_s: FloatArray
    expected: FloatArray
    worst: FloatArray

    @classmethod
    def of(cls, volume: Volume, *, max_error: float, low: float, high: float) -> _Flights:
        # Each may deviate its own way: more where much was erred, less where credit was saved.
        since_s, until_s, requests, errors = np.array(volume.in_flight, dtype=np.float64).reshape(-1, 4).T
        expected = requests * (max_error - errors)
        return cls(
            since_s=since_s, until_s=until_s, expected=expected, worst=np.minimum(low * expected, high * expected)
        )

    def since(self, times_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Credit of what was answered since each time (T,): as expected, and at worst."""
        share = (self.until_s - np.maximum(self.since_s, times_s[:, None])) / (self.until_s - self.since_s)
        share = np.clip(share, 0.0, 1.0)
        return share @ self.expected, share @ self.worst


def _open_credit(ledger: Ledger, window: BudgetWindow, flights: _Flights, *, now_s: float) -> float:
    """Credit of the open window; what is taken over is only what uncounted requests of the one before leave of it."""
    books = ledger.open(window, now_s)
    if not books.carried:
        return books.credit
    before = ledger.before(window, now_s)
    times_s = np.array(window.before(now_s))
    pending = -float(np.diff(flights.since(times_s)[1])[0])
    left = 0.0 if before is None else before.credit + min(0.0, pending)
    return books.credit - max(0.0, books.carried - max(0.0, left))
