"""Carbon intensity to come, for choosing one slot among many: what forecast and observations say together.

Both are taken as Gaussian processes: the grid a is smooth around an unknown level, and the forecast is
f = a + drift + noise, its drift fading from slot to slot. Known are f where the provider gives it and a where it was
observed; the estimate is the mean of a given both (Rasmussen and Williams 2006, eq. 2.23). It weighs the forecast
against the continuation of what was observed, where `scheduler.forecast` smooths the forecast and carries its last
error on. Missing values are simply not among what is known.
"""

from __future__ import annotations

import math

import numpy as np

from scheduler.forecast import Past, carbon_ahead
from scheduler.history import CarbonHistory
from scheduler.model import FloatArray
from scheduler.outlook import Outlook

SMOOTH_SLOTS = 14.0
"""Over how many slots the grid changes (length of a Matern 3/2 kernel)."""

SWING = 0.30
DRIFT = 0.06
NOISE = 0.05
"""Standard deviations of the grid, the forecast's drift and its noise, as shares of the level."""

DRIFT_KEPT = 0.8
"""How much of the drift is left a slot later."""

PAST_SLOTS = 24
AHEAD_SLOTS = 96
"""How far to look: farther away nothing changes, and the work grows with the cube."""

_LEVEL = 2.0
_OBSERVED = 1e-3


def carbon_expected(
    history: CarbonHistory, outlook: Outlook, *, first: int, count: int, ar: float = DRIFT_KEPT
) -> FloatArray:
    """Estimate the carbon intensity of `count` outlook slots from index `first`, the present one: g/kWh (count,) >= 0.

    Where no forecast reaches, and more than `AHEAD_SLOTS` ahead, this is `scheduler.forecast.carbon_ahead` (the only
    one that `ar` is for).
    """
    usual, _ = carbon_ahead(history, outlook, first=first, count=count, ar=ar)
    known_of = Past.of(history, outlook, first=first, count=min(AHEAD_SLOTS, count))
    past = min(PAST_SLOTS, known_of.now)
    begin = known_of.now - past
    actual, forecast = known_of.actual[begin:], known_of.forecast[begin:]
    reach = np.flatnonzero(np.isfinite(forecast[past:]))
    if not reach.size:
        return usual.copy()
    known = int(reach[-1]) + 1
    joint = expect(forecast=forecast[: past + known], actual=actual[: past + known])[past:]
    return np.concatenate((np.maximum(joint, 0.0), usual[known:]))


def expect(*, forecast: FloatArray, actual: FloatArray) -> FloatArray:
    """Mean of the grid (n,) given forecast (n,) and actual (n,), each NaN where unknown; needs one known forecast."""
    slots = np.arange(forecast.size)
    foreseen, seen = slots[np.isfinite(forecast)], slots[np.isfinite(actual)]
    level = float(np.abs(forecast[foreseen]).mean())
    if level == 0.0:
        return np.zeros(forecast.size)
    grid = _LEVEL**2 + SWING**2 * _matern(slots.size)
    drift = DRIFT**2 * DRIFT_KEPT ** np.abs(np.subtract.outer(foreseen, foreseen))
    known = np.concatenate((foreseen, seen))
    covariance = grid[np.ix_(known, known)]
    covariance[: foreseen.size, : foreseen.size] += drift
    covariance[np.diag_indices(known.size)] += np.where(np.arange(known.size) < foreseen.size, NOISE**2, _OBSERVED**2)
    deviation = np.concatenate((forecast[foreseen], actual[seen])) / level - 1.0
    mean: FloatArray = level * (1.0 + grid[:, known] @ np.linalg.solve(covariance, deviation))
    return mean


def _matern(size: int) -> FloatArray:
    slots = np.arange(float(size))
    distance = np.abs(np.subtract.outer(slots, slots)) * math.sqrt(3.0) / SMOOTH_SLOTS
    correlation: FloatArray = (1.0 + distance) * np.exp(-distance)
    return correlation
