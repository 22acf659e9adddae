"""The exact release plan: amounts with windows of slots, a cost per slot, perhaps a capacity per slot.

Minimise sum_t cost_t y_t over the loads y that can be made of all amounts, each within its window, y <= capacity.
Without capacities each amount goes to the cheapest slot of its window. With them, the loads that can be made are
the bases of a polymatroid (a transversal one, its rank of a set of slots the greatest amount that fits into them),
over which the greedy method is exact: fill the slots from the cheapest to the dearest, each as far as the rank
rises (Edmonds 1970). As windows are intervals, the rank is found by one sweep in order of time that always serves
the earliest deadline (Glover 1967, doi:10.1002/nav.3800140304).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from scheduler.model import FloatArray, IntArray

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """Amounts (N,) >= 0, each to run in the slots from `first` (N,) to `last` (N,), both inclusive."""

    amount: FloatArray
    first: IntArray
    last: IntArray

    @property
    def total(self) -> float:
        """Sum of the amounts."""
        return float(self.amount.sum())


def cheapest_loads(volumes: Volumes, *, cost: FloatArray) -> FloatArray:
    """Loads (T,) of least cost (T,) without capacities: the cheapest slot of each window, the earliest of equals."""
    loads = np.zeros(cost.size)
    windows, which = np.unique(np.stack((volumes.first, volumes.last)), axis=1, return_inverse=True)
    best = np.array([low + int(np.argmin(cost[low : high + 1])) for low, high in windows.T], dtype=np.int64)
    if best.size:
        np.add.at(loads, best[which.ravel()], volumes.amount)
    return loads


def bounded_loads(volumes: Volumes, *, cost: FloatArray, capacity: FloatArray) -> tuple[FloatArray, float]:
    """Loads (T,) of least cost (T,) under capacities (T,), and how much of them is above capacity.

    What does not fit is spread: every slot may exceed its capacity by the same least amount with which every
    deadline can be met. Of all plans within that, this one is above capacity by the least in sum, and then of least
    cost.
    """
    free = cheapest_loads(volumes, cost=cost)
    if (free <= capacity).all():
        return free, 0.0
    groups = _by_first(volumes, slots=cost.size)
    loads, reached = _fill(groups, cost=cost, base=np.zeros(cost.size), room=capacity, reached=0.0)
    short = volumes.total - reached
    if short <= _ROUNDING * volumes.total:
        return loads, 0.0
    extra = np.full(cost.size, least_excess(volumes, capacity=capacity))
    more, _ = _fill(groups, cost=cost, base=capacity, room=extra, reached=reached)
    return loads + more, short


def least_excess(volumes: Volumes, *, capacity: FloatArray) -> float:
    """The least amount to be added to each slot's capacity (T,) so that all windows can be kept.

    By Hall's condition, which for windows that are intervals need only be looked at on intervals.
    """
    slots = capacity.size
    inside = np.zeros((slots, slots))
    np.add.at(inside, (volumes.first, volumes.last), volumes.amount)
    inside = np.cumsum(np.cumsum(inside[::-1], axis=0)[::-1], axis=1)
    edges = np.concatenate(([0.0], np.cumsum(capacity)))
    length = np.arange(slots)[None, :] - np.arange(slots)[:, None] + 1
    excess = (inside - (edges[None, 1:] - edges[:-1, None]))[length > 0] / length[length > 0]
    # A rounding more, or the last drop would find no room.
    return max(0.0, float(excess.max())) * (1.0 + 1e-9) + _ROUNDING * volumes.total


def _by_first(volumes: Volumes, *, slots: int) -> list[list[tuple[int, float]]]:
    """The amounts by (first, last): for each first slot a list of (last, amount)."""
    table = np.zeros((slots, slots))
    np.add.at(table, (volumes.first, volumes.last), volumes.amount)
    return [[(int(last), float(row[last])) for last in np.flatnonzero(row)] for row in table]


def _fill(
    groups: list[list[tuple[int, float]]], *, cost: FloatArray, base: FloatArray, room: FloatArray, reached: float
) -> tuple[FloatArray, float]:
    """Open `room` (T,) above `base` (T,) slot by slot, cheapest first: what each takes, and what fits in the end."""
    total = sum(amount for group in groups for _, amount in group)
    open_room = base.tolist()
    loads = np.zeros(cost.size)
    for slot in np.argsort(cost, kind="stable"):
        if reached >= total:
            break
        open_room[slot] += float(room[slot])
        fits = _fitting(groups, room=open_room)
        loads[slot] = min(float(room[slot]), max(0.0, fits - reached))
        reached = max(reached, fits)
    return loads, reached


def _fitting(groups: list[list[tuple[int, float]]], *, room: list[float]) -> float:
    """The greatest amount that fits into `room` (T,): one sweep, earliest deadline first."""
    heap: list[tuple[int, float]] = []
    fitted = 0.0
    for slot, group in enumerate(groups):
        for entry in group:
            heapq.heappush(heap, entry)
        left = room[slot]
        while heap and heap[0][0] < slot:
            heapq.heappop(heap)
        while heap and left > 0.0:
            last, amount = heap[0]
            if amount > left:
                heapq.heapreplace(heap, (last, amount - left))
                fitted += left
                break
            heapq.heappop(heap)
            fitted += amount
            left -= amount
    return fitted
