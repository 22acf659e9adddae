"""What a provider foresees, on equal slots."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scheduler.model import FloatArray

DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a provider foresees: slots of `slot_s` from `start_s`, carbon in g/kWh (T,), requests per slot (T,).

    It may begin in the past and should reach the end of the window. None means that no forecast is known. NaN
    cells are bridged. Raises ValueError on other shapes, infinities, or negative requests.
    """

    start_s: float
    slot_s: float
    carbon_g_per_kwh: FloatArray | None = None
    requests: FloatArray | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and math.isfinite(self.slot_s) and self.slot_s > 0.0):
            raise ValueError(f"an outlook needs a finite start and slots longer than 0 s, not {self.slot_s!r}")
        for name in ("carbon_g_per_kwh", "requests"):
            values = getattr(self, name)
            if values is not None and (np.ndim(values) != 1 or np.isinf(values).any()):
                raise ValueError(f"outlook: {name} must have one finite value (or NaN) per slot")
        if self.requests is not None and (self.requests < 0.0).any():
            raise ValueError("outlook: requests must be >= 0")

    def slot_of(self, time_s: float) -> int:
        """Index of the slot that holds `time_s`; negative before the outlook begins."""
        index = math.floor((time_s - self.start_s) / self.slot_s)
        return index if self.start_of(index + 1) > time_s else index + 1

    def start_of(self, index: int) -> float:
        """Start of slot `index`, in epoch seconds."""
        return self.start_s + index * self.slot_s

    def carbon_at(self, *, first: int, count: int) -> FloatArray:
        """The provider's carbon of `count` slots from index `first`, (count,), NaN where it says nothing."""
        result = np.full(count, np.nan)
        known = self.carbon_g_per_kwh
        if known is not None:
            low, high = max(first, 0), min(first + count, known.size)
            if low < high:
                result[low - first : high - first] = known[low:high]
        return result

    def carbon_key(self, *, first: int, count: int) -> tuple[float, float, int, bytes | None]:
        """What it says of the carbon of `count` slots from index `first`, as a key for what is computed from them."""
        known, first = self.carbon_g_per_kwh, max(first, 0)
        said = None if known is None else known[first : first + max(count, 0)].tobytes()
        return self.start_s, self.slot_s, first, said
