"""What a user demands of a plan besides the error budget, and the names of what could not be met.

Demands may contradict each other, the budget, or the flavours that are left. The stronger one wins, in this order:

1. weights are valid: every share >= 0, every row sums to 1;
2. only flavours that are there;
3. blackouts (full quality);
4. the precision floor;
5. the error budgets;
6. least and greatest shares;
7. the step limit.

A weaker demand is then met as far as it goes and its condition says so. A blackout suspends the shares and the step
into it without a condition, because it was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from scheduler.model import FloatArray

BoolArray = NDArray[np.bool_]

DAY_S = 86_400

LEAST_SHARE_UNMET = "least-share-unmet"
GREATEST_SHARE_UNMET = "greatest-share-unmet"
STEP_LIMIT_UNMET = "step-limit-unmet"
PRECISION_FLOOR_UNMET = "precision-floor-unmet"
BUDGET_UNMET = "budget-unmet"
SOLVER_TIMEOUT = "solver-timeout"
SOLVER_FAILED = "solver-failed"

CONDITIONS: Mapping[str, str] = MappingProxyType(
    {
        LEAST_SHARE_UNMET: "A flavour (named after the colon) gets less than its least share in some slot, because it "
        "is not available or because the precision floor, the budget or another share leaves no room.",
        GREATEST_SHARE_UNMET: "A flavour (named after the colon) gets more than its greatest share in some slot, "
        "because the precision floor, the budget or another share demands it.",
        STEP_LIMIT_UNMET: "A share changes by more than the step limit somewhere, because the precision floor, the "
        "budget or a share limit demands it; the changes beyond the limit are the least possible in sum.",
        PRECISION_FLOOR_UNMET: "Even the flavour of least error is below the precision floor in some slot, which gets "
        "full quality.",
        BUDGET_UNMET: "Even the least error exceeds an error budget; its slots get full quality.",
        SOLVER_TIMEOUT: "The solver ran out of time; the plan holds blackouts, precision floor and budgets, but "
        "greatest shares and the step limit were left aside.",
        SOLVER_FAILED: "The solver gave no answer; the plan holds blackouts, precision floor and budgets, but "
        "greatest shares and the step limit were left aside.",
    }
)
"""Every condition of a constrained plan and what it means; share conditions carry ":<flavour>"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanBlackout:
    """Full quality from `start_s` to before `end_s` (Unix seconds). Raises ValueError unless start < end."""

    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and math.isfinite(self.end_s) and self.start_s < self.end_s):
            raise ValueError(f"a blackout must start before it ends, not {self.start_s!r} to {self.end_s!r}")

    def touches(self, starts_s: FloatArray, *, slot_s: float) -> BoolArray:
        """Which of the slots (T,) that begin at `starts_s` and last `slot_s` overlap the blackout."""
        return (starts_s < self.end_s) & (starts_s + slot_s > self.start_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyBlackout:
    """Full quality from `start_s` to before `end_s`, seconds of the UTC day; an end before the start is next day's.

    `weekdays` (0 is Monday, empty means all) are those on which it starts. Raises ValueError when out of range.
    """

    start_s: float
    end_s: float
    weekdays: Collection[int] = ()

    def __post_init__(self) -> None:
        if not (0.0 <= self.start_s < DAY_S and 0.0 < self.end_s <= DAY_S and self.start_s != self.end_s):
            raise ValueError(
                "a daily blackout needs 0 <= start < 86400 and 0 < end <= 86400, and they must differ, "
                f"not {self.start_s!r} to {self.end_s!r}"
            )
        if not all(isinstance(day, int) and 0 <= day <= 6 for day in self.weekdays):
            raise ValueError(f"weekdays count from 0 (Monday) to 6, not {list(self.weekdays)!r}")
        object.__setattr__(self, "weekdays", frozenset(self.weekdays))

    def touches(self, starts_s: FloatArray, *, slot_s: float) -> BoolArray:
        """Which of the slots (T,) that begin at `starts_s` and last `slot_s` overlap the blackout."""
        lasts_s = self.end_s - self.start_s + (DAY_S if self.end_s < self.start_s else 0)
        today = np.floor(starts_s / DAY_S)
        touched = np.zeros(starts_s.shape, dtype=np.bool_)
        for offset in range(-1, min(math.ceil(slot_s / DAY_S), 8) + 1):  # after a week the weekdays come again
            day = today + offset
            begins_s = day * DAY_S + self.start_s
            overlaps = (starts_s < begins_s + lasts_s) & (starts_s + slot_s > begins_s)
            if self.weekdays:
                overlaps &= np.isin((day + 3) % 7, list(self.weekdays))  # 1 January 1970 was a Thursday
            touched |= overlaps
        return touched


Blackout = SpanBlackout | DailyBlackout


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """Demands on every slot; the default demands nothing.

    `least_share` and `greatest_share`: shares from 0 to 1 by flavour name. `max_change`: the most by which the share
    of any flavour may change from one slot to the next, in (0, 1]. `blackouts`: all requests go to the flavour of
    least error in every slot that overlaps one. `min_precision`: least mean precision of each slot, a fraction.
    Raises ValueError on values out of range, on least shares that sum to more than 1, and on a least share above
    the greatest share of the same flavour.
    """

    least_share: Mapping[str, float] = field(default_factory=dict)
    greatest_share: Mapping[str, float] = field(default_factory=dict)
    max_change: float | None = None
    blackouts: tuple[Blackout, ...] = ()
    min_precision: float | None = None

    def __post_init__(self) -> None:
        for what in ("least_share", "greatest_share"):
            shares = dict(getattr(self, what))
            for name, share in shares.items():
                if not 0.0 <= share <= 1.0:
                    raise ValueError(f"{what} of {name!r} must be from 0 to 1, not {share!r}")
            object.__setattr__(self, what, MappingProxyType(shares))
        for name, share in self.least_share.items():
            if share > self.greatest_share.get(name, 1.0):
                raise ValueError(f"the least share of {name!r} ({share!r}) is above its greatest share")
        if sum(self.least_share.values()) > 1.0 + 1e-9:
            raise ValueError(f"the least shares sum to {sum(self.least_share.values())!r}, which is more than 1")
        if self.max_change is not None and not 0.0 < self.max_change <= 1.0:
            raise ValueError(f"max_change must be above 0 and at most 1, not {self.max_change!r}")
        if self.min_precision is not None and not 0.0 <= self.min_precision <= 1.0:
            raise ValueError(f"min_precision must be from 0 to 1, not {self.min_precision!r}")
        object.__setattr__(self, "blackouts", tuple(self.blackouts))

    def blacked_out(self, starts_s: FloatArray, *, slot_s: float) -> BoolArray:
        """Which of the slots (T,) that begin at `starts_s` and last `slot_s` overlap a blackout, however briefly."""
        touched = np.zeros(starts_s.shape, dtype=np.bool_)
        for blackout in self.blackouts:
            touched |= blackout.touches(starts_s, slot_s=slot_s)
        return touched
