"""Faults, and when they happen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

MAX_FAULTS = 100
MAX_DELAY_S = 60.0


class Kind(StrEnum):
    """What goes wrong."""

    DOWN = "down"
    ERROR500 = "error500"
    UNAUTHORISED = "unauthorised"
    FORBIDDEN = "forbidden"
    THROTTLED = "throttled"
    SLOW = "slow"
    TRUNCATED = "truncated"
    HTML = "html"
    HUGE = "huge"
    NULLS = "nulls"
    GAPS = "gaps"
    DUPLICATES = "duplicates"
    UNORDERED = "unordered"
    WRONG_UNITS = "wrong_units"
    RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of paths that begin with `path_prefix`, from `from_s` (simulated) until before `until_s`.

    Attributes:
        probability: of an answer to be hit.
        delay_s: how long `slow` makes an answer wait, in real seconds, as time-outs of clients are real.
        retry_after_s: what `throttled` tells the client.
        planned: from the command line; clearing leaves it.
    """

    kind: Kind
    from_s: float = -math.inf
    until_s: float = math.inf
    probability: float = 1.0
    path_prefix: str = "/"
    delay_s: float = 5.0
    retry_after_s: int = 60
    planned: bool = False


class TooManyFaults(ValueError):  # noqa: N818 - reads better where it is caught
    """More than `MAX_FAULTS` at once."""


class FaultBook:
    """The faults of now and later, in the order in which they were added."""

    def __init__(self, planned: Sequence[Fault] = (), *, seed: int = 0) -> None:
        self._faults = list(planned)
        self._draws = np.random.default_rng(seed)

    def add(self, fault: Fault, *, now_s: float) -> None:
        """Raises TooManyFaults when there are too many that have not ended."""
        if len(self.pending(now_s=now_s)) >= MAX_FAULTS:
            raise TooManyFaults(f"there are {MAX_FAULTS} faults already")
        self._faults.append(fault)

    def clear(self) -> None:
        """Forget all but the planned ones."""
        self._faults = [fault for fault in self._faults if fault.planned]

    def pending(self, *, now_s: float) -> tuple[Fault, ...]:
        """Those that have not ended."""
        self._faults = [fault for fault in self._faults if now_s < fault.until_s]
        return tuple(self._faults)

    def hits(self, path: str, *, now_s: float) -> tuple[Fault, ...]:
        """Those that hit this answer; drawn anew each time where they happen with a probability."""
        return tuple(
            fault
            for fault in self.pending(now_s=now_s)
            if fault.from_s <= now_s
            and path.startswith(fault.path_prefix)
            and (fault.probability >= 1.0 or self._draws.random() < fault.probability)
        )
