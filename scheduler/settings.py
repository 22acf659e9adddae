"""What the operator of a service chooses."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    """The promise and how it is pursued.

    `max_error`: mean error (fraction) promised over each window of `window_s`, aligned to the epoch plus
    `window_offset_s`. `guard`: relative deviation of demand that must not break the promise (see
    scheduler.guard); None learns it from the deviations seen. `carbon_ar`: how much of the forecast's last error
    is left a slot later. `volume_prior_slots`: see scheduler.demand. `sampling_sigmas`:
    deviations of sampling noise reserved in every step; 0 where requests are split exactly.

    Raises ValueError on values out of range.
    """

    max_error: float
    window_s: float = 86400.0
    window_offset_s: float = 0.0
    guard: float | None = None
    carbon_ar: float = 0.8
    volume_prior_slots: float = 8.0
    sampling_sigmas: float = 0.0

    def __post_init__(self) -> None:
        for name in ("max_error", "guard", "carbon_ar"):
            value = getattr(self, name)
            if name == "guard" and value is None:
                continue
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} must be a fraction from 0 to 1, not {value!r}")
        if not (math.isfinite(self.window_s) and self.window_s > 0.0 and math.isfinite(self.window_offset_s)):
            raise ValueError(f"the window must be longer than 0 s and finite, not {self.window_s!r}")
        for name in ("volume_prior_slots", "sampling_sigmas"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"{name} must be finite and >= 0, not {value!r}")
