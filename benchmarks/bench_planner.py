"""How long a plan takes: the exact planner, and HiGHS (scipy) on the same day beside it.

python -m benchmarks.bench_planner
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from scheduler.model import FloatArray
from scheduler.planner import plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Median time of one call."""

    name: str
    median_ms: float


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


def median_ms(call: Callable[[], object], *, repeat: int) -> float:
    """Return the median of `repeat` calls after one to warm up."""
    call()
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e3


def run() -> list[Timing]:
    """Time the planner at two sizes, and HiGHS at the smaller one."""
    results = []
    for slots, options, repeat in ((48, 3, 2000), (2016, 10, 200)):
        error, grams, requests, budget = instance(slots, options)

        def planner(
            e: FloatArray = error, g: FloatArray = grams, r: FloatArray = requests, b: float = budget
        ) -> object:
            return plan(error=e, grams=g, requests=r, budget_error_requests=b)

        results.append(Timing(name=f"plan {slots}x{options}", median_ms=median_ms(planner, repeat=repeat)))
    day = instance(48, 3)
    results.append(Timing(name="HiGHS 48x3", median_ms=median_ms(lambda: highs(*day), repeat=100)))
    return results


def main() -> None:
    """Print the medians and the ratio to HiGHS."""
    results = {result.name: result.median_ms for result in run()}
    for name, value in results.items():
        print(f"{name:14} {value:8.3f} ms")
    print(f"HiGHS / plan at 48x3: {results['HiGHS 48x3'] / results['plan 48x3']:.0f}x")


if __name__ == "__main__":
    main()
