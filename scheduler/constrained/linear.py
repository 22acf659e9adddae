"""A sparse linear program, gathered block by block, and its solution by HiGHS for several goals in order.

HiGHS: Huangfu and Hall 2018, doi:10.1007/s12532-017-0130-5. One thread, no output, the dual simplex without presolve:
on the programs built here twice as fast as with it, and each goal starts from the basis of the one before.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

import highspy
import numpy as np
from numpy.typing import NDArray

from scheduler.model import FloatArray

Indices = NDArray[np.intp]

_OPTIONS: dict[str, bool | int | float | str] = {
    "output_flag": False,
    "threads": 1,
    "parallel": "off",
    "solver": "simplex",
    "presolve": "off",
    "primal_feasibility_tolerance": 1e-9,
    "dual_feasibility_tolerance": 1e-9,
}

_HELD = 1e-8
"""By how much, relatively, a minimised goal may rise again while the next is minimised: with less, rounding in a long
sum makes its own optimum infeasible."""


class Outcome(enum.Enum):
    """How a solve ended."""

    OPTIMAL = enum.auto()
    INFEASIBLE = enum.auto()
    TIMEOUT = enum.auto()
    FAILED = enum.auto()


_OUTCOMES = {
    highspy.HighsModelStatus.kOptimal: Outcome.OPTIMAL,
    highspy.HighsModelStatus.kInfeasible: Outcome.INFEASIBLE,
    highspy.HighsModelStatus.kTimeLimit: Outcome.TIMEOUT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Column values (n,) and row duals (m,), empty unless `outcome` is OPTIMAL, and the seconds that were spent."""

    outcome: Outcome
    values: FloatArray
    duals: FloatArray
    seconds: float


@dataclass(slots=True)
class LinearProgram:
    """low <= x <= high, row_low <= A x <= row_high, gathered by `columns` and `rows`."""

    width: int = 0
    height: int = 0
    _column_ranges: list[FloatArray] = field(default_factory=list)
    _row_ranges: list[FloatArray] = field(default_factory=list)
    _indices: list[Indices] = field(default_factory=list)
    _values: list[FloatArray] = field(default_factory=list)
    _sizes: list[Indices] = field(default_factory=list)

    def columns(self, shape: tuple[int, ...], *, low: FloatArray | float, high: FloatArray | float) -> Indices:
        """Add columns of that shape and return their indices; `low` and `high` broadcast to it."""
        indices = self.width + np.arange(int(np.prod(shape)), dtype=np.intp).reshape(shape)
        self.width += indices.size
        self._column_ranges.append(_ranges(low, high, shape))
        return indices

    def rows(
        self, indices: Indices, values: FloatArray | float, *, low: FloatArray | float, high: FloatArray | float
    ) -> Indices:
        """Add M rows of N entries in the columns `indices` (M, N) and return the rows' indices (M,).

        `values` broadcasts to (M, N), `low` and `high` to (M,).
        """
        count, entries = indices.shape
        self._indices.append(indices.ravel())
        self._values.append(np.broadcast_to(np.asarray(values, dtype=np.float64), indices.shape).ravel())
        self._sizes.append(np.full(count, entries, dtype=np.intp))
        self._row_ranges.append(_ranges(low, high, (count,)))
        self.height += count
        return np.arange(self.height - count, self.height, dtype=np.intp)

    def minimise(self, goals: Sequence[FloatArray], *, time_limit_s: float) -> Answer:
        """Minimise the goals, costs (n,) each, in order: the best of one is kept while the next is minimised."""
        solver = self._solver()
        solver.setOptionValue("time_limit", max(time_limit_s, 0.0))
        everything = np.arange(self.width, dtype=np.int32)
        outcome = Outcome.FAILED
        for number, goal in enumerate(goals):
            solver.changeColsCost(self.width, everything, goal)
            solver.run()
            outcome = _OUTCOMES.get(solver.getModelStatus(), Outcome.FAILED)
            if outcome is not Outcome.OPTIMAL:
                return Answer(outcome=outcome, values=np.empty(0), duals=np.empty(0), seconds=solver.getRunTime())
            if number + 1 < len(goals):
                used = np.flatnonzero(goal).astype(np.int32)
                best = solver.getInfo().objective_function_value
                solver.addRow(-np.inf, best + _HELD * max(1.0, abs(best)), used.size, used, goal[used])
        found = solver.getSolution()
        return Answer(
            outcome=outcome,
            values=np.array(found.col_value),
            duals=np.array(found.row_dual),
            seconds=solver.getRunTime(),
        )

    def _solver(self) -> highspy.Highs:
        solver = _SilentHighs()  # type: ignore[no-untyped-call]
        for name, value in _OPTIONS.items():
            solver.setOptionValue(name, value)
        column_low, column_high = np.concatenate(self._column_ranges, axis=1)
        row_low, row_high = np.concatenate(self._row_ranges, axis=1)
        sizes = np.concatenate(self._sizes)
        solver.passModel(
            self.width,
            self.height,
            int(sizes.sum()),
            int(highspy.MatrixFormat.kRowwise),
            int(highspy.ObjSense.kMinimize),
            0.0,
            np.zeros(self.width),
            column_low,
            column_high,
            row_low,
            row_high,
            (np.cumsum(sizes) - sizes).astype(np.int32),
            np.concatenate(self._indices).astype(np.int32),
            np.concatenate(self._values),
            np.zeros(self.width, dtype=np.int32),
        )
        return solver


class _SilentHighs(highspy.Highs):
    """Highs prints a banner when its constructor enables callbacks, before anybody could turn its output off."""

    def enableCallbacks(self) -> highspy.HighsStatus:  # noqa: N802 - HiGHS names it
        return self.setOptionValue("output_flag", False)  # no callback is used here


def _ranges(low: FloatArray | float, high: FloatArray | float, shape: tuple[int, ...]) -> FloatArray:
    """Return low and high, broadcast to the shape and flattened, as (2, n)."""
    return np.stack([np.broadcast_to(np.asarray(end, dtype=np.float64), shape).ravel() for end in (low, high)])
