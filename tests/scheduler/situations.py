"""Situations for tests of policies: every field has a harmless default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from scheduler import Flavour
from scheduler.forecast import Basis
from scheduler.guard import Exposure
from scheduler.policies.base import LOOKAHEAD_SLOTS, Situation
from scheduler.promise import Promise

NOW_S = 1_700_006_400.0

REFERENCE_FLAVOURS = (  # the reference system's: emissions factors 1, .6 and .3
    Flavour(name="p100", error=0.0, energy_j=10.0),
    Flavour(name="p50", error=0.5, energy_j=6.0),
    Flavour(name="p30", error=0.7, energy_j=3.0),
)


def situation(
    *,
    flavours: Sequence[Flavour] = REFERENCE_FLAVOURS,
    carbon: Sequence[float] = (200.0,),
    provided: Sequence[float] | None = None,
    basis: Basis = "provider",
    requests: Sequence[float] | None = None,
    max_error: float = 0.15,
    slot_s: float = 1800.0,
    promise: Promise | None = None,
    sampling_sigmas: float = 0.0,
    memory: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Situation:
    """A situation whose carbon goes on flat to the slots a policy always sees.

    Requests are 100 in each slot of `carbon` unless given. The promise is that of a calendar window which opens
    now: one budget of what `max_error` grants them, and nothing served before.
    """
    volumes = np.full(len(carbon), 100.0) if requests is None else np.array(requests, dtype=float)
    ahead = max(volumes.size, LOOKAHEAD_SLOTS)
    return Situation(
        flavours=tuple(flavours),
        now_s=NOW_S,
        slot_start_s=NOW_S,
        slot_s=slot_s,
        carbon=_flat_on(carbon, ahead),
        provided=_flat_on(carbon if provided is None else provided, ahead),
        basis=basis,
        requests=volumes,
        max_error=max_error,
        promise=promise
        or fresh_promise(volumes, max_error=max_error, least_error=min(flavour.error for flavour in flavours)),
        sampling_sigmas=sampling_sigmas,
        memory={} if memory is None else memory,
        seed=seed,
    )


def fresh_promise(requests: np.ndarray, *, max_error: float, least_error: float) -> Promise:
    """What these requests (T,) may err in one window, when all of them are still to come."""
    total = float(requests.sum())
    first = float(requests[0]) if requests.size else 0.0
    exposure = Exposure(
        max_error=max_error,
        least_error=least_error,
        credit=0.0,
        in_flight=0.0,
        step=(first, first),
        later=total - first,
    )
    return Promise(until=np.array([requests.size]), budgets=np.array([max_error * total]), exposures=(exposure,))


def _flat_on(values: Sequence[float], count: int) -> np.ndarray:
    """The first `count` values, the last one repeated where there are fewer."""
    known = np.array(values, dtype=float)[:count]
    return np.concatenate((known, np.full(count - known.size, known[-1])))
