"""What has come and waits to be run: amounts by deadline.

Plain frozen data. Nothing is planned in it, so that it survives a restart, a change of leader, a jump of the clock
and a changed forecast as it is: each release is decided anew from what waits and what is expected.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from scheduler._plain import items, number, record

VERSION = 1

ROUNDING = 1e-9
"""Relative size of what adding floats may leave over: neither a crumb of a volume nor one beyond it is work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An amount that must run by `deadline_s` (epoch seconds). Raises ValueError unless finite and > 0."""

    deadline_s: float
    amount: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.deadline_s) and math.isfinite(self.amount) and self.amount > 0.0):
            raise ValueError(f"a waiting amount must be > 0 and finite, and so must its deadline be: {self!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseBook:
    """The waiting amounts, earliest deadline first, each deadline once.

    Deadlines are rounded down to whole `grain_s`, so that the book stays small however many requests wait. `ahead`
    is what was reported to have run before it was reported to have come; it is set off against the next arrivals,
    so that the order of the reports does not matter.
    """

    waiting: tuple[Waiting, ...] = ()
    ahead: float = 0.0
    grain_s: float = 1.0

    @property
    def amount(self) -> float:
        """All that waits."""
        return math.fsum(volume.amount for volume in self.waiting)

    def overdue(self, now_s: float) -> float:
        """The amount whose deadline is past at `now_s`."""
        return math.fsum(volume.amount for volume in self.waiting if volume.deadline_s < now_s)

    def arrive(self, amount: float, *, deadline_s: float) -> ReleaseBook:
        """Return the book with `amount` more to run by `deadline_s`; ValueError unless finite and >= 0."""
        amount = number(amount, what="arriving amount", minimum=0.0)
        deadline_s = math.floor(number(deadline_s, what="deadline") / self.grain_s) * self.grain_s
        settled = min(amount, self.ahead)
        amount -= settled
        if amount == 0.0:
            return replace(self, ahead=self.ahead - settled)
        at = bisect_left(self.waiting, deadline_s, key=lambda volume: volume.deadline_s)
        same = at < len(self.waiting) and self.waiting[at].deadline_s == deadline_s
        amount += self.waiting[at].amount if same else 0.0
        entry = Waiting(deadline_s=deadline_s, amount=amount)
        return replace(
            self, waiting=(*self.waiting[:at], entry, *self.waiting[at + same :]), ahead=self.ahead - settled
        )

    def ran(self, amount: float) -> ReleaseBook:
        """Return the book without the `amount` that was really run, taken earliest deadline first.

        Whatever was planned does not matter. ValueError unless finite and >= 0.
        """
        left = number(amount, what="amount run", minimum=0.0)
        rounding = ROUNDING * left
        for at, volume in enumerate(self.waiting):
            if left + rounding < volume.amount:
                if left > rounding:
                    rest = Waiting(deadline_s=volume.deadline_s, amount=volume.amount - left)
                    return replace(self, waiting=(rest, *self.waiting[at + 1 :]))
                return replace(self, waiting=self.waiting[at:])
            left -= volume.amount
        return replace(self, waiting=(), ahead=self.ahead + (left if left > rounding else 0.0))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe data."""
        return {
            "version": VERSION,
            "waiting": [[volume.deadline_s, volume.amount] for volume in self.waiting],
            "ahead": self.ahead,
            "grain_s": self.grain_s,
        }

    @classmethod
    def from_dict(cls, data: object) -> ReleaseBook:
        """Read what `to_dict` wrote; ValueError on anything else, another version included."""
        fields = record(data, what="release book", keys=("version", "waiting", "ahead", "grain_s"))
        if number(fields["version"], what="version") != VERSION:
            raise ValueError(f"release book: version {fields['version']!r} is not {VERSION}")
        waiting = []
        for entry in items(fields["waiting"], what="release book"):
            cells = [number(cell, what="waiting") for cell in items(entry, what="waiting")]
            if len(cells) != 2:
                raise ValueError(f"waiting: {entry!r} is not a deadline and an amount")
            waiting.append(Waiting(deadline_s=cells[0], amount=cells[1]))
        if any(one.deadline_s >= other.deadline_s for one, other in pairwise(waiting)):
            raise ValueError("release book: deadlines must rise")
        return cls(
            waiting=tuple(waiting),
            ahead=number(fields["ahead"], what="ahead", minimum=0.0),
            grain_s=_grain(fields["grain_s"]),
        )

    def __post_init__(self) -> None:
        _grain(self.grain_s)


def _grain(value: object) -> float:
    grain_s = number(value, what="grain_s")
    if grain_s <= 0.0:
        raise ValueError(f"grain_s: {value!r} must be > 0")
    return grain_s
