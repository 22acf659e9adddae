"""Chooses how a constrained plan is found, and names what it could not meet (see scheduler.constraints)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scheduler.constrained.exact import plan_exact
from scheduler.constrained.program import solve_program
from scheduler.constrained.task import CLOSE, Task, settle
from scheduler.constraints import BUDGET_UNMET, GREATEST_SHARE_UNMET, LEAST_SHARE_UNMET, STEP_LIMIT_UNMET, Constraints
from scheduler.model import Flavour, FloatArray, check_flavours
from scheduler.nested import SlotCounts, check_budgets, plan_spare
from scheduler.planner import Offers, Plan

Budgets = float | tuple[SlotCounts, FloatArray]
"""Error-requests of all slots, or prefix budgets as `plan_nested` takes them: (until, budgets)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstrainedPlan:
    """The plan, and the names of what it does not meet (keys of CONDITIONS, share conditions with ":<flavour>")."""

    plan: Plan
    conditions: tuple[str, ...]


def plan_constrained(  # noqa: PLR0913 - everything a plan can depend on
    *,
    flavours: Sequence[Flavour],
    error: FloatArray,
    grams: FloatArray,
    requests: FloatArray,
    budgets: Budgets,
    constraints: Constraints,
    slot_starts_s: FloatArray,
    slot_s: float,
    previous: FloatArray | None,
) -> ConstrainedPlan:
    """Return the plan of least grams that meets the constraints, or the least bad one and what it does not meet.

    `flavours` (S,) are those available; `error` and `grams` (per request) are (T, S), `requests` (T,). Slot t
    begins at `slot_starts_s[t]` (Unix seconds) and lasts `slot_s`. `previous` (S,) are the shares in force before
    the first slot, for the step limit; they may sum to less than 1 when a flavour has gone. Raises ValueError on
    bad shapes or values, never because something cannot be met.
    """
    offers = Offers(error, grams, requests)
    names = tuple(flavour.name for flavour in check_flavours(flavours))
    until, limits = budgets if isinstance(budgets, tuple) else (np.array([requests.size]), np.array([budgets]))
    check_budgets(until, limits, slots=requests.size)
    _check(offers, names, slot_starts_s, slot_s, previous)
    task = settle(
        offers,
        flavours=flavours,
        until=until,
        budgets=limits,
        constraints=constraints,
        blackout=constraints.blacked_out(slot_starts_s, slot_s=slot_s),
        previous=previous,
    )
    found, trouble = _solve(task)
    unmet = (*task.conditions, *trouble, *_gone(constraints, names), *_unmet(task, names, found.weights))
    return ConstrainedPlan(plan=replace(found, feasible=BUDGET_UNMET not in unmet), conditions=unmet)


def _solve(task: Task) -> tuple[Plan, tuple[str, ...]]:
    """Return the plan and why the solver gave none. The exact plan is a relaxation: best of all if it keeps all."""
    if task.asks_nothing:
        return _unconstrained(task), ()
    exact = plan_exact(task)
    if exact is not None and task.keeps_limits(exact.weights):
        return exact, ()
    solved = solve_program(task)
    if isinstance(solved, Plan):
        return solved, ()
    return exact or plan_exact(replace(task, low=np.zeros_like(task.low))) or _full_quality(task), (solved,)


def _unconstrained(task: Task) -> Plan:
    """The plan of `plan_nested`, whose hull and spare budgets `settle` has found already."""
    needed = np.cumsum(task.least_error * task.offers.requests)[task.until - 1]
    feasible = BUDGET_UNMET not in task.conditions
    spare = np.maximum(task.budgets - needed, 0.0)
    return plan_spare(task.offers, task.steps, until=task.until, spare=spare, feasible=feasible)


def _full_quality(task: Task) -> Plan:
    return task.offers.served(task.full_quality, price=0.0, feasible=True)


def _unmet(task: Task, names: tuple[str, ...], weights: FloatArray) -> tuple[str, ...]:
    """Name the shares and the step limit that the weights (T, S) miss."""
    free = weights[~task.blackout]
    short, over = free < task.low - CLOSE, free > task.high + CLOSE
    named = [f"{LEAST_SHARE_UNMET}:{name}" for name, misses in zip(names, short.T, strict=True) if misses.any()]
    named += [f"{GREATEST_SHARE_UNMET}:{name}" for name, misses in zip(names, over.T, strict=True) if misses.any()]
    if (np.abs(task.changes(weights)) > task.max_change + CLOSE).any():
        named.append(STEP_LIMIT_UNMET)
    return tuple(named)


def _gone(constraints: Constraints, names: tuple[str, ...]) -> tuple[str, ...]:
    """Name the least shares of flavours that are not available."""
    wanted = (name for name, share in constraints.least_share.items() if share > 0.0)
    return tuple(f"{LEAST_SHARE_UNMET}:{name}" for name in wanted if name not in names)


def _check(
    offers: Offers, names: tuple[str, ...], slot_starts_s: FloatArray, slot_s: float, previous: FloatArray | None
) -> None:
    slots, options = offers.error.shape
    if len(names) != options:
        raise ValueError(f"need one flavour for each of {options} options, got {len(names)}")
    if slot_starts_s.shape != (slots,) or not np.isfinite(slot_starts_s).all():
        raise ValueError(f"slot_starts_s must be {slots} finite times, got shape {slot_starts_s.shape}")
    if not (math.isfinite(slot_s) and slot_s > 0.0):
        raise ValueError(f"slot_s must be a positive number of seconds, not {slot_s!r}")
    if previous is None:
        return
    valid = previous.shape == (options,) and bool(np.isfinite(previous).all() and (previous >= 0.0).all())
    if not valid or float(previous.sum()) > 1.0 + CLOSE:
        raise ValueError(f"previous must be {options} shares >= 0 that sum to at most 1, got {previous.tolist()}")
