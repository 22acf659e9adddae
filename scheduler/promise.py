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
    if window.kind == "rolling":
        ends = slot_end_s + slot_s * np.arange(ahead)
        credit = np.array([ledger.total(end - window.length_s, end).credit for end in ends.tolist()])
        until = np.arange(1, ahead + 1)
    else:
        credit = np.array([ledger.open(window, now_s).credit])
        until = np.array([ahead])
        totals = totals[-1:]
    flying = volume.in_flight * (max_error - volume.in_flight_error)
    low, high = (1.0 - guard) * volume.low, (1.0 + guard) * volume.high
    steps = np.minimum(volume.step, totals)
    later = low * (totals - steps)

    def exposure(at: int) -> Exposure:
        step = float(steps[at])
        return Exposure(
            max_error=max_error,
            least_error=least_error,
            credit=float(credit[at]),
            in_flight=(low * volume.in_flight, high * volume.in_flight),
            in_flight_error=volume.in_flight_error,
            step=(low * step, high * step),
            later=float(later[at]),
        )

    # Of the moments after the step only the tightest matters; those within it each see a part of it.
    whole = np.flatnonzero(steps >= volume.step)
    if whole.size:
        whole = whole[[int((credit[whole] + later[whole] * (max_error - least_error)).argmin())]]
    within = np.flatnonzero(steps < volume.step)
    return Promise(
        until=until,
        budgets=credit + max_error * totals + flying,
        exposures=tuple(exposure(int(at)) for at in (*within, *whole)),
    )
