"""The efficient options of every slot: the lower convex hull of (error, grams per request).

An option above the hull is never worth using: a mix of its two neighbours on the hull errs as much and emits
less. Walking along the hull from the least error gives steps of falling worth (grams saved per unit of error),
which is the greedy order of the multiple-choice knapsack relaxation (Sinha and Zoltners 1979,
doi:10.1287/opre.27.3.503).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler.model import Flavour, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The hull edges of T slots, K = the most edges any slot has; missing edges have `ratio` 0.

    `first` (T,): index of the least-error option; `target` (K, T): option that edge k of the slot leads to;
    `ratio` (K, T): grams saved per unit of error, falling with k; `error` (K, T): error added by the edge.
    """

    first: NDArray[np.intp]
    target: NDArray[np.intp]
    ratio: FloatArray
    error: FloatArray


def efficient_steps(*, error: FloatArray, grams: FloatArray, energy: FloatArray | None = None) -> Steps:
    """Wrap the lower hull of every slot at once; `error` and `grams` are (T, S) and finite.

    Of options that err equally little the cheapest comes first, and of those that of least `energy` (S,): at a carbon
    intensity of 0 all are equally cheap.
    """
    slots = np.arange(error.shape[0])
    at = _least_error(error, grams, energy)
    first = at
    at_error, at_grams = error[slots, at], grams[slots, at]
    worth = np.full(error.shape[0], np.inf)
    targets, ratios, errors = [], [], []
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(error.shape[1] - 1):
            more = error - at_error[:, None]
            slope = np.where(more > 0.0, (at_grams[:, None] - grams) / more, 0.0)
            at = slope.argmax(axis=1)
            best = slope[slots, at]
            if not (best > 0.0).any():
                break
            worth = np.minimum(best, worth)  # rounding may not make a later edge look steeper
            targets.append(at)
            ratios.append(worth)
            errors.append(np.where(worth > 0.0, more[slots, at], 0.0))
            at_error, at_grams = error[slots, at], grams[slots, at]
    shape = (len(targets), error.shape[0])
    return Steps(
        first=first,
        target=np.array(targets, dtype=np.intp).reshape(shape),
        ratio=np.array(ratios, dtype=np.float64).reshape(shape),
        error=np.array(errors, dtype=np.float64).reshape(shape),
    )


def _least_error(error: FloatArray, grams: FloatArray, energy: FloatArray | None) -> NDArray[np.intp]:
    """Index (T,) of the option with the least error, the cheapest of equals, and of those that of least energy."""
    cost = np.where(error == error.min(axis=1)[:, None], grams, np.inf)
    if energy is not None:
        cost = np.where(cost == cost.min(axis=1)[:, None], energy, np.inf)
    least: NDArray[np.intp] = cost.argmin(axis=1)
    return least


def hull_corners(flavours: Sequence[Flavour]) -> FloatArray:
    """Errors of the flavours on the hull of (error, energy), rising, shape (K,); read-only."""
    return _corner_errors(tuple(flavours))


@functools.lru_cache(maxsize=4096)
def _corner_errors(flavours: tuple[Flavour, ...]) -> FloatArray:
    """Kept, because every decision asks and the answer changes only with the flavours."""
    errors = _corners(flavours)[0]
    errors.flags.writeable = False
    return errors


def off_hull(flavours: Sequence[Flavour]) -> tuple[str, ...]:
    """Names of flavours that no plan uses because a mix of others gives as little error for less energy."""
    corner_error, corner_energy = _corners(flavours)
    return tuple(
        flavour.name
        for flavour in flavours
        if flavour.error > corner_error[-1]
        or flavour.energy_j > float(np.interp(flavour.error, corner_error, corner_energy)) * (1.0 + 1e-12)
    )


def _corners(flavours: Sequence[Flavour]) -> tuple[FloatArray, FloatArray]:
    error = np.array([[flavour.error for flavour in flavours]])
    energy = np.array([[flavour.energy_j for flavour in flavours]])
    steps = efficient_steps(error=error, grams=energy)
    edges = steps.target[:, 0][steps.ratio[:, 0] > 0.0]
    corners = np.concatenate((steps.first, edges))
    return error[0, corners], energy[0, corners]
