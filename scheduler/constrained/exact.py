"""Blackouts, precision floors and least shares by the greedy planner itself: they only shorten the walk of a slot.

With least shares l the rest 1 - sum l is divided freely: x = l + (1 - sum l) y with y >= 0 and sum y = 1, so each
edge of the hull is as long as the rest, at unchanged worth. A precision floor cuts the walk where the slot's mean
error reaches it, inside an edge if need be: the cut edge is a shorter edge of the same worth. A blackout cuts the
whole walk. The fill is optimal for any lengths, hence the plan is that of the linear program.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scheduler.constrained.task import Task
from scheduler.model import FloatArray
from scheduler.nested import fill_nested, spare_budgets
from scheduler.planner import Plan, walk


def plan_exact(task: Task) -> Plan | None:
    """Return the best plan without greatest shares and step limit, None when the least shares leave no room."""
    open_slots = ~task.blackout
    low = np.where(open_slots[:, None], task.low, 0.0)
    rest = np.maximum(1.0 - low.sum(axis=1), 0.0)
    start = (low * task.offers.error).sum(axis=1) + rest * task.least_error
    room = task.greatest_error - start
    spare, feasible = spare_budgets(start * task.offers.requests, task.until, task.budgets)
    if not feasible or (room[open_slots] < -1e-12).any():
        return None
    part = _part(task.steps.error * rest, np.where(open_slots, room, 0.0))
    steps = replace(
        task.steps,
        ratio=np.where(part > 0.0, task.steps.ratio, 0.0),
        error=task.steps.error * rest * part,
    )
    taken, price = fill_nested(steps, task.offers.requests, task.until, spare)
    weights = low + rest[:, None] * walk(task.steps, taken * part, low.shape[1])
    return task.offers.served(weights, price=price, feasible=True)


def _part(length: FloatArray, room: FloatArray) -> FloatArray:
    """Part of each edge (edges, T) that is within the room (T,) when the edges, `length` each, are walked in order."""
    left = room - (np.cumsum(length, axis=0) - length)
    return np.where(left >= length, length > 0.0, np.clip(left / np.where(length > 0.0, length, 1.0), 0.0, 1.0))
