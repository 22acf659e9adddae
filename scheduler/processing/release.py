"""Our release plan: requests that may wait run where carbon is least in the time they have.

Every slot decides anew, from what waits and the newest estimate. As nothing is ever left for a slot after its
deadline, no deadline is missed where capacity is unbounded, whatever the forecasts were worth. Where it is bounded,
the plan relies on the arrivals that are expected: show it more of them, or less capacity, for a reserve.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scheduler.model import FloatArray, IntArray
from scheduler.processing.base import Queue, Release
from scheduler.processing.book import ROUNDING
from scheduler.processing.transport import Volumes, bounded_loads, cheapest_loads

NOW_MARGIN = 0.005
"""How much better (relative) a later slot must look to be worth waiting for.

The least of many noisy estimates looks better than it is, and from slot to slot another one is the least: who waits
for every such minimum procrastinates.
"""

Condition = Literal["capacity-short", "overdue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePlan:
    """Amounts (T,) to run per slot, served earliest deadline first; `over_capacity` is what of them does not fit.

    Conditions: "overdue" (deadlines are past; these amounts run in slot 0), "capacity-short" (amounts exceed the
    capacity where they must, spread as evenly as the deadlines allow).
    """

    amounts: FloatArray
    over_capacity: float = 0.0
    conditions: tuple[Condition, ...] = ()


def release_plan(queue: Queue) -> ReleasePlan:
    """Return the plan of least carbon for all that waits and is expected.

    An amount may run in the slot that holds its deadline and any before. Deadlines beyond the last slot count as
    its end: show as many slots as requests may wait.
    """
    return _plan(queue, cost=queue.carbon_g_per_kwh)


def _plan(queue: Queue, *, cost: FloatArray) -> ReleasePlan:
    volumes = _volumes(queue)
    conditions = _overdue(queue)
    if queue.capacity is None:
        return ReleasePlan(amounts=cheapest_loads(volumes, cost=cost), conditions=conditions)
    amounts, over = bounded_loads(volumes, cost=cost, capacity=queue.capacity)
    if over > 0.0:
        conditions = (*conditions, "capacity-short")
    return ReleasePlan(amounts=amounts, over_capacity=over, conditions=conditions)


def _volumes(queue: Queue) -> Volumes:
    """What waits, then what is expected, with windows cut to the slots shown."""
    slots = queue.carbon_g_per_kwh.size
    due = _due(queue)
    come = np.arange(slots) if queue.arrivals is not None else np.arange(0)
    return Volumes(
        amount=np.concatenate(([volume.amount for volume in queue.book.waiting], _arrivals(queue))),
        first=np.concatenate((np.zeros(due.size, dtype=np.int64), come)),
        last=np.minimum(np.concatenate((due, come + queue.wait_slots)), slots - 1),
    )


def _arrivals(queue: Queue) -> FloatArray:
    return np.zeros(0) if queue.arrivals is None else queue.arrivals


def _due(queue: Queue) -> IntArray:
    """The last slot (N,) in which each waiting amount may run: the one that holds its deadline, 0 when it is past."""
    deadlines = np.array([volume.deadline_s for volume in queue.book.waiting], dtype=float)
    return np.maximum(np.floor((deadlines - queue.now_s) / queue.slot_s + ROUNDING), 0.0).astype(np.int64)


def _overdue(queue: Queue) -> tuple[Condition, ...]:
    return ("overdue",) if queue.book.overdue(queue.now_s) > 0.0 else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePlanPolicy:
    """`release-plan`: run what the plan gives to the slot that begins.

    The slot that begins is planned as if it were better by `now_margin` than it is thought to be.
    """

    now_margin: float = NOW_MARGIN
    name: str = "release-plan"

    def __post_init__(self) -> None:
        if not 0.0 <= self.now_margin < 1.0:
            raise ValueError(f"now_margin must be a fraction from 0 to below 1, not {self.now_margin!r}")

    def release(self, queue: Queue) -> Release:
        """Return the plan's amount for slot 0: first what waits, then of what arrives.

        All of it could run now, so the load of slot 0 is what is due first: if now is best for one deadline, then for
        any earlier one too.
        """
        cost = queue.carbon_g_per_kwh.copy()
        cost[0] -= abs(cost[0]) * self.now_margin
        if queue.capacity is None or (cheapest_loads(_volumes(queue), cost=cost) <= queue.capacity).all():
            return _at_best(queue, cost=cost)
        return _what_is_due_first(queue, cost=cost)


def _at_best(queue: Queue, *, cost: FloatArray) -> Release:
    """Run all whose best slot is this one, where capacity does not matter."""
    better = np.flatnonzero(cost < cost[0])
    reach = float(better[0]) if better.size else math.inf
    due = _due(queue)
    waiting = math.fsum(one.amount for one, last in zip(queue.book.waiting, due, strict=True) if last < reach)
    return Release(waiting=waiting, arriving_share=float(queue.wait_slots < reach), conditions=_overdue(queue))


def _what_is_due_first(queue: Queue, *, cost: FloatArray) -> Release:
    """Divide the plan's load of this slot by deadline between what waits and what arrives."""
    plan = _plan(queue, cost=cost)
    now = float(plan.amounts[0])
    due, amounts = _due(queue), [one.amount for one in queue.book.waiting]
    held = math.fsum(amounts)
    before = math.fsum(amount for amount, last in zip(amounts, due, strict=True) if last <= queue.wait_slots)
    arriving = min(queue.arriving, max(0.0, now - before))
    waiting = min(held, now - arriving)
    if arriving > ROUNDING * now:
        share = arriving / queue.arriving
    else:  # too few are expected to plan for: they run if there is room, and none better in their time
        full = queue.capacity is not None and now >= queue.capacity[0]
        share = 0.0 if full or np.argmin(cost[: queue.wait_slots + 1]) else 1.0
    return Release(waiting=waiting, arriving_share=share, conditions=plan.conditions)
