"""How many requests are expected, where somebody can tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400.0


@dataclass(frozen=True)
class DemandForecast:
    """A recorded pattern of requests per slot, repeated by whole days so that times of day match.

    `requests` holds one figure per slot of `slot_s` from `start_s` (Unix seconds).
    """

    start_s: float
    slot_s: float
    requests: tuple[float, ...]

    def expected(self, *, start_s: float, slot_s: float, count: int) -> NDArray[np.float64]:
        """Requests expected in each of `count` slots of `slot_s` from `start_s`, shape (count,)."""
        days = max(1, round(len(self.requests) * self.slot_s / DAY_S))
        period = max(days * round(DAY_S / self.slot_s), 1)
        pattern = np.resize(np.array(self.requests, dtype=np.float64), period)
        served = np.concatenate(([0.0], np.cumsum(pattern)))  # from the pattern's start to each of its slots' ends
        edges = (start_s + slot_s * np.arange(count + 1) - self.start_s) / self.slot_s
        edges -= np.floor(edges[0] / period) * period  # near zero, where floats are fine
        rounds, places = np.divmod(edges, period)
        until = rounds * served[-1] + np.interp(places, np.arange(period + 1), served)
        return np.asarray(np.maximum(np.diff(until), 0.0), dtype=np.float64)

    def scaled(self, factor: float) -> DemandForecast:
        """The same pattern at another level."""
        if not (math.isfinite(factor) and factor >= 0):
            raise ValueError(f"demand cannot be scaled by {factor}")
        return DemandForecast(self.start_s, self.slot_s, tuple(value * factor for value in self.requests))
