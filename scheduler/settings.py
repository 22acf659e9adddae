"""What the operator of a service chooses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from scheduler.constraints import Constraints
from scheduler.policies import DEFAULT_POLICY, policy_named
from scheduler.window import BudgetWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    """The promise and how it is pursued.

    `max_error`: mean error (fraction) promised over each `window`. `policy`: who decides (see
    scheduler.policies), `seed` what its chance starts from, `constraints` what is demanded besides. `guard`:
    relative deviation of demand that must not break the promise (see scheduler.guard); None learns it from the
    deviations seen. As long as demand is neither foretold nor learned the guard is 1, whatever is set here.
    `carbon_ar`: how much of the forecast's last error is left a slot later. `volume_prior_slots`: see
    scheduler.demand. `sampling_sigmas`: deviations of sampling noise reserved in every step; 0 where requests are
    split exactly.

    Raises ValueError on values out of range.
    """

    max_error: float
    window: BudgetWindow = field(default_factory=BudgetWindow)
    policy: str = DEFAULT_POLICY
    seed: int = 0
    constraints: Constraints | None = None
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
        if self.constraints is not None and not getattr(policy_named(self.policy), "honours_constraints", False):
            raise ValueError(f"policy {self.policy!r} heeds no constraints; {DEFAULT_POLICY!r} does")
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, not {self.seed!r}")
        for name in ("volume_prior_slots", "sampling_sigmas"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"{name} must be finite and >= 0, not {value!r}")
