"""The default policy: the exact plan of what is left of the window, as far as the guard lets it be followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from scheduler.constrained import ConstrainedPlan, plan_constrained
from scheduler.constraints import BUDGET_UNMET, Constraints
from scheduler.guard import error_ceiling, noise_ceiling
from scheduler.hull import hull_corners
from scheduler.model import FloatArray, IntArray, errors_of, grams_per_request
from scheduler.policies.base import Binding, Proposal, Situation

_NOTHING_DEMANDED = Constraints()


class Optimal:
    """Plans the rest of the window anew at every decision, with the budget that is left."""

    honours_constraints = True
    makes_up = True

    def propose(self, situation: Situation) -> Proposal:
        """Return the plan, its first slot moved towards quality as far as the guard demands."""
        planned = _planned(situation)
        plan = planned.plan
        error = float(plan.weights[0] @ errors_of(situation.flavours))
        ceiling = _ceiling(situation, error=error)
        price = None if situation.basis == "none" else plan.shadow_price
        binding: Binding = "infeasible" if not plan.feasible else "budget" if plan.binding else "none"
        if ceiling >= error - 1e-12:
            return Proposal(shares=plan.weights, shadow_price=price, binding=binding, conditions=planned.conditions)
        ceilings = np.array([max(ceiling, -1.0)])  # in debt that nothing settles it is -inf
        capped = _plan(situation, slots=1, requests=np.ones(1), until=np.array([1]), budgets=ceilings)
        unmet = (name for name in capped.conditions if name != BUDGET_UNMET)  # it is the guard's ceiling, no budget
        return Proposal(
            shares=np.vstack((capped.plan.weights, plan.weights[1:])),
            shadow_price=price,
            binding="guard" if plan.feasible else binding,
            conditions=tuple(dict.fromkeys((*unmet, *planned.conditions))),
        )

    def observe(self, memory: Mapping[str, float], **_: float) -> Mapping[str, float]:
        """Nothing to learn: the ledger is in the promise."""
        return memory


def _planned(situation: Situation) -> ConstrainedPlan:
    """Plan slot by slot, or one constant mix when no slot is better than another: any order would be a guess."""
    promise, ahead = situation.promise, situation.requests.size
    alike = np.ptp(situation.carbon[:ahead]) == 0.0 and promise.budgets.size == 1 and situation.constraints is None
    if not alike:
        return _plan(situation, slots=ahead, requests=situation.requests, until=promise.until, budgets=promise.budgets)
    total = np.array([situation.requests.sum()])
    mix = _plan(situation, slots=1, requests=total, until=np.array([1]), budgets=promise.budgets)
    return replace(mix, plan=replace(mix.plan, weights=np.tile(mix.plan.weights, (ahead, 1))))


def _plan(
    situation: Situation, *, slots: int, requests: FloatArray, until: IntArray, budgets: FloatArray
) -> ConstrainedPlan:
    return plan_constrained(
        flavours=situation.flavours,
        error=np.tile(errors_of(situation.flavours), (slots, 1)),
        grams=grams_per_request(situation.flavours, situation.carbon[:slots]),
        requests=requests,
        budgets=(until, budgets),
        constraints=situation.constraints or _NOTHING_DEMANDED,
        slot_starts_s=situation.slot_start_s + situation.slot_s * np.arange(slots, dtype=np.float64),
        slot_s=situation.slot_s,
        previous=situation.previous,
    )


def _ceiling(situation: Situation, *, error: float) -> float:
    """Largest mean error <= `error` of this step that keeps the promise at every moment it is kept for."""
    corners = hull_corners(situation.flavours)
    for exposure in situation.promise.exposures:
        error = noise_ceiling(
            exposure,
            planned=min(error, error_ceiling(exposure)),
            corners=corners,
            sigmas=situation.sampling_sigmas,
        )
    return error
