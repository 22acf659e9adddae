"""The constrained plan as a linear program, for greatest shares and step limits, which couple options and slots.

Columns: the shares x (T, S) and the error spent up to each budget, E (K,), so that K nested budgets need no more
entries than one. First everything is demanded at once. When that cannot be, shares and steps may be missed, at three
goals in order: the least sum of missed shares over all slots, then of missed steps, then grams.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.constrained.linear import Answer, Indices, LinearProgram, Outcome
from scheduler.constrained.task import Task
from scheduler.constraints import SOLVER_FAILED, SOLVER_TIMEOUT
from scheduler.model import FloatArray
from scheduler.planner import Plan

TIME_LIMIT_S = 2.0
"""Seconds after which the solver gives up."""

_EMPTY = 1e-6
"""Cost of error in a slot without requests, in slots' costs: ties go to quality, in case requests come after all."""


@dataclass(frozen=True, slots=True)
class _Scaled:
    """The offers in units that make them about 1, as HiGHS tolerances are absolute; errors from the least error up."""

    requests: FloatArray
    error: FloatArray
    cost: FloatArray
    units: tuple[float, float, float]

    @classmethod
    def of(cls, task: Task) -> _Scaled:
        offers, above = task.offers, task.offers.error - task.least_error[:, None]
        units = tuple(float(np.abs(part).max()) or 1.0 for part in (offers.requests, above, offers.grams))
        requests, error = offers.requests / units[0], above / units[1]
        cost = np.where(requests[:, None] > 0.0, requests[:, None] * offers.grams / units[2], _EMPTY * error)
        return cls(requests, error, cost, (units[0], units[1], units[2]))


@dataclass(frozen=True, slots=True)
class _Form:
    """The program, where its shares and its first budget's row are, and its goals in order."""

    program: LinearProgram
    shares: Indices
    first_budget: int
    goals: tuple[FloatArray, ...]


def solve_program(task: Task) -> Plan | str:
    """Return the plan of least grams that misses as little as possible, or the condition that says why none."""
    scaled = _Scaled.of(task)
    form = _form(task, scaled, elastic=False)
    answer = form.program.minimise(form.goals, time_limit_s=TIME_LIMIT_S)
    if answer.outcome is Outcome.INFEASIBLE:
        form = _form(task, scaled, elastic=True)
        answer = form.program.minimise(form.goals, time_limit_s=TIME_LIMIT_S - answer.seconds)
    if answer.outcome is not Outcome.OPTIMAL:
        return SOLVER_TIMEOUT if answer.outcome is Outcome.TIMEOUT else SOLVER_FAILED
    return _plan(task, scaled, form, answer)


def _plan(task: Task, scaled: _Scaled, form: _Form, answer: Answer) -> Plan:
    weights = np.maximum(answer.values[form.shares], 0.0)
    weights /= weights.sum(axis=1)[:, None]
    price = max(-float(answer.duals[form.first_budget]), 0.0) * scaled.units[2] / scaled.units[1]
    return task.offers.served(weights, price=price if price > 1e-9 * scaled.units[2] else 0.0, feasible=True)


def _form(task: Task, scaled: _Scaled, *, elastic: bool) -> _Form:
    program = LinearProgram()
    full, closed = task.full_quality, task.blackout[:, None]
    low, high = (0.0, 1.0) if elastic else (task.low, task.high)
    shares = program.columns(full.shape, low=np.where(closed, full, low), high=np.where(closed, full, high))
    program.rows(shares, 1.0, low=1.0, high=1.0)
    room = (task.greatest_error - task.least_error) / scaled.units[1]
    capped = ~task.blackout & (room < scaled.error.max(axis=1))
    program.rows(shares[capped], scaled.error[capped], low=-np.inf, high=room[capped])
    first_budget = _add_budgets(program, task, scaled, shares)
    missed_shares = _add_missed_shares(program, task, shares) if elastic else []
    missed_steps = _add_steps(program, task, shares, elastic=elastic)
    grams = np.zeros(program.width)
    grams[shares] = scaled.cost
    goals = (_sum_of(program, missed_shares), _sum_of(program, missed_steps)) if elastic else ()
    return _Form(program, shares, first_budget, (*(goal for goal in goals if goal.any()), grams))


def _sum_of(program: LinearProgram, columns: list[Indices]) -> FloatArray:
    goal = np.zeros(program.width)
    for some in columns:
        goal[some] = 1.0
    return goal


def _add_budgets(program: LinearProgram, task: Task, scaled: _Scaled, shares: Indices) -> int:
    """Add E_k = E_(k-1) + what the slots between spend, E_k within its budget; return the first one's row."""
    needed = np.cumsum(task.least_error * task.offers.requests)[task.until - 1]
    spent = program.columns(
        task.until.shape, low=0.0, high=np.maximum(task.budgets - needed, 0.0) / (scaled.units[0] * scaled.units[1])
    )
    sizes = scaled.requests[:, None] * scaled.error
    first = program.height
    for number, end in enumerate(task.until):
        start = task.until[number - 1] if number else 0
        ends = spent[max(number - 1, 0) : number + 1][::-1]
        program.rows(
            np.concatenate((shares[start:end].ravel(), ends))[None, :],
            np.concatenate((sizes[start:end].ravel(), [-1.0, 1.0][: ends.size])),
            low=0.0,
            high=0.0,
        )
    return first


def _add_missed_shares(program: LinearProgram, task: Task, shares: Indices) -> list[Indices]:
    """Let shares miss their limits outside blackouts; return the columns that say by how much."""
    missed = []
    for sign, limit, limits in ((1.0, task.low, task.low > 0.0), (-1.0, task.high, task.high < 1.0)):
        limited = shares[~task.blackout][:, limits].ravel()
        by = program.columns(limited.shape, low=0.0, high=1.0)
        bound = np.broadcast_to(sign * limit[limits], (limited.size // max(limits.sum(), 1), limits.sum())).ravel()
        program.rows(np.stack((limited, by), axis=1), np.array([sign, 1.0]), low=bound, high=np.inf)
        missed.append(by)
    return missed


def _add_steps(program: LinearProgram, task: Task, shares: Indices, *, elastic: bool) -> list[Indices]:
    """Limit every change but those into a blackout; return the columns that say by how much it is missed."""
    if task.max_change >= 1.0:
        return []
    missed: list[Indices] = []
    into = ~task.blackout
    pairs = np.stack((shares[1:][into[1:]].ravel(), shares[:-1][into[1:]].ravel()), axis=1)
    first = np.empty(0, dtype=np.intp) if task.previous is None or not into[0] else shares[0]
    for changes, signs, before in ((pairs, [1.0, -1.0], 0.0), (first[:, None], [1.0], task.previous)):
        around = np.zeros(len(changes)) if before is None or not len(changes) else np.broadcast_to(before, len(changes))
        low, high = around - task.max_change, around + task.max_change
        if elastic:
            by = program.columns((len(changes), 2), low=0.0, high=1.0)
            missed.append(by)
            program.rows(np.hstack((changes, by)), np.array([*signs, 1.0, -1.0]), low=low, high=high)
        else:
            program.rows(changes, np.array(signs), low=low, high=high)
    return missed
