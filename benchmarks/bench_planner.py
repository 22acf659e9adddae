"""How long a plan takes: the exact planner, and HiGHS (scipy) on the same day beside it.

python -m benchmarks.bench_planner
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from benchmarks.rows import Row, median_s, show
from scheduler.model import FloatArray
from scheduler.planner import plan


def instance(slots: int, options: int) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Return (error, grams, requests, budget) of a convex set of flavours on a random grid."""
    rng = np.random.default_rng(1)
    error = np.tile(0.15 * np.linspace(0.0, 1.0, options), (slots, 1))
    energy = 1.0 + 4.0 * (1.0 - np.linspace(0.0, 1.0, options)) ** 2
    requests = rng.uniform(50.0, 500.0, slots)
    return error, np.outer(rng.uniform(50.0, 400.0, slots), energy), requests, 0.04 * float(requests.sum())


def highs(error: FloatArray, grams: FloatArray, requests: FloatArray, budget: float) -> None:
    """Solve the same linear programme with a general solver."""
    slots, options = error.shape
    linprog(
        (requests[:, None] * grams).ravel(),
        A_ub=sparse.csr_array((requests[:, None] * error).reshape(1, -1)),
        b_ub=[budget],
        A_eq=sparse.kron(sparse.eye_array(slots), np.ones((1, options))).tocsr(),
        b_eq=np.ones(slots),
        method="highs",
    )


def rows() -> list[Row]:
    """The planner at two sizes, and HiGHS at the smaller one."""
    day, fortnight = instance(48, 3), instance(2016, 10)
    ours = median_s(lambda: planner(*day), repeat=2000)
    theirs = median_s(lambda: highs(*day), repeat=100)
    return [
        Row("plan 48 slots x 3 flavours", ours * 1e3, "ms"),
        Row("HiGHS on the same day", theirs * 1e3, "ms", f"{theirs / ours:.0f} times the planner's"),
        Row("plan 2016 slots x 10 flavours", median_s(lambda: planner(*fortnight), repeat=200) * 1e3, "ms"),
    ]


def planner(error: FloatArray, grams: FloatArray, requests: FloatArray, budget: float) -> None:
    """Plan with ours."""
    plan(error=error, grams=grams, requests=requests, budget_error_requests=budget)


if __name__ == "__main__":
    show(rows())
