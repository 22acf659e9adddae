"""Forecasts that are wrong in the way of real ones: little for the next slot, more for the day after tomorrow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from controlplane.carbonsim.tape import Floats

# Of one half-hour's error this much is left in the next: half of it is gone after eight and a half hours.
KEPT = 0.96
# After so many slots nothing that matters is left of an error: 0.96 ** 400 < 1e-7.
_MEMORY = 400
_BLOCK = 512
# Entropy of a generator must not be negative, and slots before 1970 are.
_OFFSET = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Relative forecast errors, an AR(1) along the lead whose standard deviation grows towards `pct` percent.

    What a slot will bring beyond the forecast is a shock w_s of that slot, and stays with KEPT a slot. A forecast
    issued at slot i does not know the shocks from i on; its error for slot t is the sum of KEPT^(t-s) w_s over
    s = i..t, of standard deviation pct * sqrt(1 - KEPT^(2 (t-i+1))). So forecasts that follow each other disagree by
    one shock only (the martingale model of forecast evolution, Heath and Jackson, IIE Transactions 26, 1994), and an
    error depends on nothing but (seed, i, t).
    """

    pct: float = 0.0
    seed: int = 0

    def errors(self, *, first: int, count: int, issue: int) -> Floats:
        """Relative errors (count,) of the slots from `first` on, issued at `issue`.

        For a slot that has gone, the forecast that was issued when it began counts.
        """
        if self.pct == 0.0:
            return np.zeros(count)
        begin = first if first <= issue else max(issue, first - _MEMORY)
        shocks = self._shocks(begin, first + count - begin)
        errors = np.empty(shocks.size)
        error = 0.0
        for place, shock in enumerate(shocks):
            error = shock + (KEPT * error if begin + place > issue else 0.0)
            errors[place] = error
        return errors[first - begin :]

    def _shocks(self, begin: int, count: int) -> Floats:
        head = begin // _BLOCK
        blocks = [_block(self.seed, number) for number in range(head, (begin + count - 1) // _BLOCK + 1)]
        offset = begin - head * _BLOCK
        scale = self.pct / 100.0 * math.sqrt(1.0 - KEPT**2)
        return np.concatenate(blocks)[offset : offset + count] * scale


@lru_cache(maxsize=64)
def _block(seed: int, number: int) -> Floats:
    return np.random.default_rng([seed, number + _OFFSET]).standard_normal(_BLOCK)
