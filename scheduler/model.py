"""Flavours, weights and units: the nouns that every other module of the scheduler shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

TOTAL_WEIGHT = 10_000
"""What the integer weights of one service always sum to (the total of an Envoy weighted cluster)."""

JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """One way to answer a request.

    `error` is the mean error of its answers as a fraction 0-1 (1 - precision); `energy_j` is the energy of
    one request in joules. Raises ValueError when either is not finite or out of range.
    """

    name: str
    error: float
    energy_j: float

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a flavour needs a name")
        if not (math.isfinite(self.error) and 0.0 <= self.error <= 1.0):
            raise ValueError(f"flavour {self.name!r}: error must be a fraction from 0 to 1, not {self.error!r}")
        if not (math.isfinite(self.energy_j) and self.energy_j >= 0.0):
            raise ValueError(f"flavour {self.name!r}: energy must be finite and >= 0 J, not {self.energy_j!r}")


def check_flavours(flavours: Sequence[Flavour]) -> tuple[Flavour, ...]:
    """Return the flavours as a tuple; ValueError when there is none or two share a name."""
    if not flavours:
        raise ValueError("at least one flavour is needed")
    names = [flavour.name for flavour in flavours]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two flavours are named {name!r}")
    return tuple(flavours)


def errors_of(flavours: Sequence[Flavour]) -> FloatArray:
    """Return the error of each flavour, shape (S,)."""
    return np.array([flavour.error for flavour in flavours], dtype=np.float64)


def grams_per_request(flavours: Sequence[Flavour], carbon_g_per_kwh: ArrayLike) -> FloatArray:
    """Return g CO2e of one request, shape (T, S), for a carbon intensity of shape (T,) in g/kWh."""
    kwh = np.array([flavour.energy_j for flavour in flavours], dtype=np.float64) / JOULES_PER_KWH
    return np.outer(np.asarray(carbon_g_per_kwh, dtype=np.float64), kwh)


def integer_weights(shares: ArrayLike, *, errors: ArrayLike) -> tuple[int, ...]:
    """Turn shares (S,) >= 0 of any positive sum into integers that sum to exactly TOTAL_WEIGHT.

    Every share is rounded down and what is left goes to the flavour with the least error, so that rounding
    never spends error budget. Raises ValueError on shares that are empty, negative, not finite or all zero.
    """
    values = np.asarray(shares, dtype=np.float64)
    quality = np.asarray(errors, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or values.shape != quality.shape:
        raise ValueError(f"need one share per flavour, got shapes {values.shape} and {quality.shape}")
    if not (np.isfinite(values).all() and (values >= 0.0).all() and np.isfinite(quality).all()):
        raise ValueError(f"shares must be finite and >= 0, got {values.tolist()}")
    largest = float(values.max())
    if largest <= 0.0:
        raise ValueError("shares must not all be zero")
    scaled = values / largest  # by the largest first, so that the sum cannot overflow
    weights = np.floor(scaled / scaled.sum() * TOTAL_WEIGHT).astype(np.int64)
    best = np.flatnonzero(quality == quality.min())  # of equally good ones, that which is used most
    weights[best[int(values[best].argmax())]] += TOTAL_WEIGHT - int(weights.sum())
    return tuple(int(weight) for weight in weights)
