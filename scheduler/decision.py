"""What the controller hands out: weights for a slot, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scheduler.forecast import Basis
from scheduler.model import FloatArray
from scheduler.policies import DEFAULT_POLICY, Binding


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasons:
    """Why the weights are what they are.

    `carbon_now_g_per_kwh` is the estimate for this slot and `shadow_price` the grams one more error-request of
    budget would save (both None when nothing is known of carbon); `budget_left_error_requests` is what the rest
    of the window may still spend, on the requests expected. `binding` is what held the error down, `forecast`
    what the plan rests on, `off_hull` the flavours without weight because they cost more for less, `unavailable`
    those without because they cannot answer. `policy` is who decided, `conditions` what it could not meet, and
    `diagnostics` are its own figures.
    """

    carbon_now_g_per_kwh: float | None
    budget_left_error_requests: float
    shadow_price: float | None
    binding: Binding
    forecast: Basis
    off_hull: tuple[str, ...]
    unavailable: tuple[str, ...] = ()
    policy: str = DEFAULT_POLICY
    conditions: tuple[str, ...] = ()
    diagnostics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Integer weights by flavour, summing to TOTAL_WEIGHT, for one slot.

    `expected_error` is the mean error of these weights; `planned_weights` (T, S) are the shares planned for this
    slot and as many later ones as the policy planned, for display.
    """

    slot_start_s: float
    slot_end_s: float
    valid_until_s: float
    weights: Mapping[str, int]
    expected_error: float
    planned_weights: FloatArray
    reasons: Reasons

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe data."""
        reasons = self.reasons
        return {
            "slot_start_s": self.slot_start_s,
            "slot_end_s": self.slot_end_s,
            "valid_until_s": self.valid_until_s,
            "weights": dict(self.weights),
            "expected_error": self.expected_error,
            "planned_weights": self.planned_weights.tolist(),
            "reasons": {
                "carbon_now_g_per_kwh": reasons.carbon_now_g_per_kwh,
                "budget_left_error_requests": reasons.budget_left_error_requests,
                "shadow_price": reasons.shadow_price,
                "binding": reasons.binding,
                "forecast": reasons.forecast,
                "off_hull": list(reasons.off_hull),
                "unavailable": list(reasons.unavailable),
                "policy": reasons.policy,
                "conditions": list(reasons.conditions),
                "diagnostics": dict(reasons.diagnostics),
            },
        }
