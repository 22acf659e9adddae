"""The exact planner under several error budgets at once, each for the slots up to some point: rolling windows.

Minimise sum r_t g_ts x_ts subject to sum over t < until_k of r_t q_ts x_ts <= B_k for every k, sum_s x_ts = 1,
x >= 0. Seen by the error that each slot spends this is resource allocation with separable convex costs and nested
constraints (Vidal, Jaillet, Maculan 2016, doi:10.1137/140965119), solved by relaxing to the last budget and
splitting at the most violated one (Wu, Nip, He 2021, doi:10.1287/ijoc.2020.1006).

Why the split is exact: let X be the prefix sums of the relaxed optimum, whose last slot of error saves the price
m, and k the most violated prefix, X_k - B_k = v > 0. Take an optimum of the whole with prefix sums Y and suppose
Y_k < B_k. Let i < k < j be the nearest prefixes at which Y is tight (the start counts, and so does the end);
strictly between them all slots share one price n. X_i <= B_i + v and X_k = B_k + v, so between i and k the relaxed
optimum spends at least B_k - B_i, more than Y_k - B_i: some slot there spends more in X than in Y, so n >= m. In
the same way it spends less than Y between k and j, so n <= m. Hence n = m: error can be moved from behind k to
before k without a change of cost, until prefix k or one between i and j is tight; repeat. So some optimum is tight
at k, and what comes before k and what comes after are solved apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scheduler.hull import Steps, efficient_steps
from scheduler.model import FloatArray
from scheduler.planner import Offers, Plan, fill, walk

SlotCounts = NDArray[np.intp]

_TOLERANCE = 1e-12
"""Relative rounding that is neither a violation nor infeasible."""


def plan_nested(
    *, error: FloatArray, grams: FloatArray, requests: FloatArray, until: SlotCounts, budgets: FloatArray
) -> Plan:
    """Return the plan of least grams that keeps every budget; with one budget the plan of `plan`.

    `error` and `grams` (per request) are (T, S); `requests` is (T,) and >= 0. Budget k of `budgets` (K,) counts the
    error-requests of the first `until[k]` slots; `until` (K,) rises strictly and ends with T. `shadow_price` is
    that of the first slot: grams saved by one more error-request in every budget. A budget below the least error of
    its slots is exceeded by the least possible (least error up to there), and `feasible` is False; the others
    are kept. Raises ValueError on bad shapes, NaN or negative requests.
    """
    offers = Offers(error, grams, requests)
    check_budgets(until, budgets, slots=requests.size)
    steps = efficient_steps(error=error, grams=grams)
    least = requests * error[np.arange(requests.size), steps.first]
    spare, feasible = spare_budgets(least, until, budgets)
    return plan_spare(offers, steps, until=until, spare=spare, feasible=feasible)


def plan_spare(offers: Offers, steps: Steps, *, until: SlotCounts, spare: FloatArray, feasible: bool) -> Plan:
    """Return the plan that spends what the budgets leave above the least error, see `spare_budgets`."""
    taken, price = fill_nested(steps, offers.requests, until, spare)
    return offers.served(walk(steps, taken, offers.error.shape[1]), price=price, feasible=feasible)


def check_budgets(until: SlotCounts, budgets: FloatArray, *, slots: int) -> None:
    """Raise ValueError unless `until` (K,) rises strictly from >= 1 to `slots` and `budgets` (K,) has no NaN."""
    if until.ndim != 1 or until.shape != budgets.shape or not until.size:
        raise ValueError(f"need until (K,) and budgets (K,) with K >= 1, got {until.shape, budgets.shape}")
    if not np.issubdtype(until.dtype, np.integer) or until[-1] != slots or (np.diff(until, prepend=0) <= 0).any():
        raise ValueError(f"until must be whole numbers that rise strictly from >= 1 to {slots}, got {until.tolist()}")
    if np.isnan(budgets).any():
        raise ValueError("the budgets must be numbers")


def spare_budgets(least: FloatArray, until: SlotCounts, budgets: FloatArray) -> tuple[FloatArray, bool]:
    """Return what each budget leaves above the least error-requests `least` (T,) of its slots, and feasibility.

    What is left is (K,), >= 0 and does not fall: error spent early is spent in every later prefix too.
    """
    needed = np.cumsum(least)[until - 1]
    left = budgets - needed
    feasible = bool((left >= -_TOLERANCE * np.maximum(needed, np.abs(budgets))).all())
    rising = np.minimum.accumulate(np.maximum(left, 0.0)[::-1])[::-1]
    return rising, feasible


def fill_nested(steps: Steps, requests: FloatArray, until: SlotCounts, spare: FloatArray) -> tuple[FloatArray, float]:
    """Take edges within every prefix budget: the share taken of each edge (edges, T), the price of the first slot.

    `spare` (K,) is that of `spare_budgets`. Each round fills one segment between two tight prefixes as if only its
    last budget existed, and splits it where the result exceeds a budget between the most.
    """
    taken = np.zeros_like(steps.ratio)
    sizes = steps.error * requests
    capacity = float(sizes.sum())
    limits = np.minimum(spare, 2.0 * capacity + 1.0)  # a budget without end would make inf - inf
    edges = np.concatenate(([0], until))
    bounds = np.concatenate(([0.0], limits))
    first_price = 0.0
    segments = [(0, until.size)]
    while segments:
        start, end = segments.pop()
        slots = slice(edges[start], edges[end])
        share, price = fill(_between(steps, slots), requests[slots], bounds[end] - bounds[start])
        spent = np.cumsum((share * sizes[:, slots]).sum(axis=0))[edges[start + 1 : end] - edges[start] - 1]
        excess = spent - (bounds[start + 1 : end] - bounds[start])
        if excess.size and excess.max() > _TOLERANCE * capacity:
            split = start + 1 + int(excess.argmax())
            segments += [(start, split), (split, end)]
            continue
        taken[:, slots] = share
        if start == 0:
            first_price = price
    return taken, first_price


def _between(steps: Steps, slots: slice) -> Steps:
    return Steps(
        first=steps.first[slots],
        target=steps.target[:, slots],
        ratio=steps.ratio[:, slots],
        error=steps.error[:, slots],
    )
