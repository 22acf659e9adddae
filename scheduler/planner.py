"""The exact planner: which option serves which share of each slot under one error budget.

Minimise sum r_t g_ts x_ts subject to sum r_t q_ts x_ts <= B, sum_s x_ts = 1, x >= 0. The relaxation of a
multiple-choice knapsack: sort the hull edges of all slots by worth and fill the budget (see scheduler.hull).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.hull import Steps, efficient_steps
from scheduler.model import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to serve: `weights` (T, S), each row summing to 1.

    `error_requests` and `grams` are the plan's totals. `shadow_price` is the grams that one more error-request
    of budget would save; `binding` says that it is positive. `feasible` is False when even the least error
    exceeds the budget; the plan then serves the least error.
    """

    weights: FloatArray
    error_requests: float
    grams: float
    shadow_price: float
    binding: bool
    feasible: bool


@dataclass(frozen=True, slots=True)
class Offers:
    """What can be served: `error` and `grams` per request, both (T, S), and `requests` (T,).

    Raises ValueError on other shapes, on what is not finite and on negative requests.
    """

    error: FloatArray
    grams: FloatArray
    requests: FloatArray

    def __post_init__(self) -> None:
        error, grams, requests = self.error, self.grams, self.requests
        if error.ndim != 2 or error.shape != grams.shape or error.shape[:1] != requests.shape or not error.shape[1]:
            raise ValueError(
                f"need error and grams (T, S) and requests (T,), got {error.shape, grams.shape, requests.shape}"
            )
        if not (np.isfinite(error).all() and np.isfinite(grams).all() and np.isfinite(requests).all()):
            raise ValueError("error, grams and requests must be finite")
        if (requests < 0.0).any():
            raise ValueError("requests must be >= 0")

    def served(self, weights: FloatArray, *, price: float, feasible: bool) -> Plan:
        """Return the plan that serves `weights` (T, S), with its totals."""
        return Plan(
            weights=weights,
            error_requests=float(self.requests @ (weights * self.error).sum(axis=1)),
            grams=float(self.requests @ (weights * self.grams).sum(axis=1)),
            shadow_price=price,
            binding=price > 0.0,
            feasible=feasible,
        )


def plan(*, error: FloatArray, grams: FloatArray, requests: FloatArray, budget_error_requests: float) -> Plan:
    """Return the plan of least grams within the budget.

    `error` and `grams` (per request) are (T, S); `requests` is (T,) and >= 0; the budget counts error-requests
    (one request answered with error 0.1 is 0.1). Raises ValueError on bad shapes, NaN or negative requests.
    """
    offers = Offers(error, grams, requests)
    if np.isnan(budget_error_requests):
        raise ValueError("the budget must be a number")
    steps = efficient_steps(error=error, grams=grams)
    least = float(requests @ error[np.arange(error.shape[0]), steps.first])
    left = budget_error_requests - least
    feasible = left >= -1e-12 * max(least, abs(budget_error_requests))
    taken, price = fill(steps, requests, left if feasible else 0.0)
    return offers.served(walk(steps, taken, error.shape[1]), price=price, feasible=feasible)


def fill(steps: Steps, requests: FloatArray, budget: float) -> tuple[FloatArray, float]:
    """Take edges in order of worth until the budget is spent: the share taken of each edge (K, T), the price."""
    ratio = steps.ratio.ravel()
    taken = np.zeros(ratio.size)
    order = np.argsort(-ratio, kind="stable")[: np.count_nonzero(ratio)]
    size = (steps.error * requests).ravel()[order]
    filled = np.cumsum(size)
    # The first edge that reaches the budget. Edges of empty slots have no size: those that come later stay
    # untaken, or a request that was not foreseen would be answered at a price nobody granted.
    last = int(np.searchsorted(filled, budget, side="left"))
    taken[order[:last]] = 1.0
    price = 0.0
    if last < order.size:
        before = float(filled[last - 1]) if last else 0.0
        if size[last] > 0.0:
            taken[order[last]] = min(1.0, max(0.0, (budget - before) / size[last]))
        price = float(ratio[order[last]])
    return taken.reshape(steps.ratio.shape), price


def walk(steps: Steps, taken: FloatArray, options: int) -> FloatArray:
    """Return weights (T, S) from the share `taken` (K, T) of each edge.

    Each slot is walked along its edges: the share taken of edge k minus that of edge k + 1 stays on its target.
    """
    slots = np.arange(steps.first.size)
    weights = np.zeros((slots.size, options))
    reached = np.ones(slots.size)
    at = steps.first
    for target, share in zip(steps.target, taken, strict=True):
        weights[slots, at] += reached - share
        at, reached = np.where(share > 0.0, target, at), share
    weights[slots, at] += reached
    return weights
