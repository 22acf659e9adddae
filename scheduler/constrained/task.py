"""What is to be planned, with the demands that always win already settled.

Full quality satisfies every blackout, precision floor and budget that can be satisfied at all. So what these three
ask for is lowered here to what full quality gives, and all that remains to be weighed are shares and steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.constraints import BUDGET_UNMET, PRECISION_FLOOR_UNMET, BoolArray, Constraints
from scheduler.hull import Steps, efficient_steps
from scheduler.model import Flavour, FloatArray
from scheduler.nested import SlotCounts, spare_budgets
from scheduler.planner import Offers

CLOSE = 1e-5
"""By how much a share may miss its limit unreported: a tenth of the least integer weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """T slots, S flavours, K budgets.

    `steps` is the hull of the offers and `steps.first` (T,) the flavour of full quality. `greatest_error` (T,) is
    the precision floor, `budgets` (K,) the budgets, both no stricter than full quality. `low` and `high` (S,) are
    the shares outside `blackout` (T,). No share may change by more than `max_change` from slot to slot or from
    `previous` (S,), except into a blackout. `conditions` names what had to be lowered.
    """

    offers: Offers
    steps: Steps
    until: SlotCounts
    budgets: FloatArray
    blackout: BoolArray
    greatest_error: FloatArray
    low: FloatArray
    high: FloatArray
    max_change: float
    previous: FloatArray | None
    conditions: tuple[str, ...]

    @property
    def asks_nothing(self) -> bool:
        """Whether only the budgets limit the plan."""
        shares = bool((self.low > 0.0).any() or (self.high < 1.0).any())
        floor = bool(np.isfinite(self.greatest_error).any())
        return not (shares or floor or self.max_change < 1.0 or self.blackout.any())

    @property
    def full_quality(self) -> FloatArray:
        """Shares (T, S) of full quality."""
        weights = np.zeros(self.offers.error.shape)
        weights[np.arange(self.steps.first.size), self.steps.first] = 1.0
        return weights

    @property
    def least_error(self) -> FloatArray:
        """Mean error (T,) of full quality."""
        error: FloatArray = self.offers.error[np.arange(self.steps.first.size), self.steps.first]
        return error

    def changes(self, weights: FloatArray) -> FloatArray:
        """Change of every share into each slot (T, S), 0 where no limit applies."""
        before = weights[0] if self.previous is None else self.previous
        change = np.diff(weights, axis=0, prepend=before[None, :])
        change[self.blackout] = 0.0
        return change

    def keeps_limits(self, weights: FloatArray) -> bool:
        """Whether the weights (T, S) hold the greatest shares and the step limit."""
        free = weights[~self.blackout]
        return bool(
            (free <= self.high + CLOSE).all() and (np.abs(self.changes(weights)) <= self.max_change + CLOSE).all()
        )


def settle(  # noqa: PLR0913 - the inputs of a plan
    offers: Offers,
    *,
    flavours: Sequence[Flavour],
    until: SlotCounts,
    budgets: FloatArray,
    constraints: Constraints,
    blackout: BoolArray,
    previous: FloatArray | None,
) -> Task:
    """Lower the floor and the budgets to what full quality gives; `flavours` (S,) are those on offer."""
    names = [flavour.name for flavour in flavours]
    energy = np.array([flavour.energy_j for flavour in flavours], dtype=np.float64)
    steps = efficient_steps(error=offers.error, grams=offers.grams, energy=energy)
    least = offers.error[np.arange(steps.first.size), steps.first]
    spare, feasible = spare_budgets(least * offers.requests, until, budgets)
    allowed = np.inf if constraints.min_precision is None else 1.0 - constraints.min_precision
    conditions = () if (least <= allowed + 1e-12).all() else (PRECISION_FLOOR_UNMET,)
    return Task(
        offers=offers,
        steps=steps,
        until=until,
        budgets=np.cumsum(least * offers.requests)[until - 1] + spare,
        blackout=blackout,
        greatest_error=np.maximum(allowed, least),
        low=np.array([constraints.least_share.get(name, 0.0) for name in names]),
        high=np.array([constraints.greatest_share.get(name, 1.0) for name in names]),
        max_change=1.0 if constraints.max_change is None else constraints.max_change,
        previous=previous,
        conditions=conditions if feasible else (*conditions, BUDGET_UNMET),
    )
