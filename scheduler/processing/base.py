"""What a processing policy is shown at the start of a slot, and what it answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from scheduler.model import FloatArray
from scheduler.processing.book import ReleaseBook


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditBalance:
    """The quality credit of the reference system (only its throttle looks at it): a balance between two ends."""

    balance: float
    least: float = -1.0
    greatest: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.balance) and self.least < self.greatest):
            raise ValueError(f"need a finite balance and least < greatest, got {self!r}")

    @property
    def share(self) -> float:
        """The balance from 0 (at the lower end) to 1."""
        return min(1.0, max(0.0, (self.balance - self.least) / (self.greatest - self.least)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """All that may wait, at the start of a slot; slot 0 of every array is the slot that begins at `now_s`.

    `carbon_g_per_kwh` (T,), T >= 1, is the best estimate of carbon intensity; `arrivals` (T,) are the requests that
    are expected to come in each slot and may wait up to `wait_s` from then (None: none are expected); `capacity`
    (T,) is what can be run of all this per slot, besides what cannot wait (None: anything). `book` holds what has come
    and waits. `credit` is for policies that slow down by it.

    Raises ValueError on other shapes, NaN, infinities, or negative amounts.
    """

    book: ReleaseBook
    now_s: float
    slot_s: float
    carbon_g_per_kwh: FloatArray
    arrivals: FloatArray | None = None
    wait_s: float = 0.0
    capacity: FloatArray | None = None
    credit: CreditBalance | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.now_s) and math.isfinite(self.slot_s) and self.slot_s > 0.0):
            raise ValueError(f"need a finite time and slots longer than 0 s, got {self.now_s!r} and {self.slot_s!r}")
        if not (math.isfinite(self.wait_s) and self.wait_s >= 0.0):
            raise ValueError(f"requests must be able to wait a finite time >= 0 s, not {self.wait_s!r}")
        if np.ndim(self.carbon_g_per_kwh) != 1 or not self.carbon_g_per_kwh.size:
            raise ValueError("carbon_g_per_kwh must have one value per slot, and at least one slot")
        if not np.isfinite(self.carbon_g_per_kwh).all():
            raise ValueError("carbon_g_per_kwh must be finite")
        for name in ("arrivals", "capacity"):
            values = getattr(self, name)
            if values is None:
                continue
            if np.shape(values) != self.carbon_g_per_kwh.shape:
                raise ValueError(f"{name}: got shape {np.shape(values)}, need {self.carbon_g_per_kwh.shape}")
            if not (np.isfinite(values).all() and (values >= 0.0).all()):
                raise ValueError(f"{name} must be finite and >= 0")

    @property
    def arriving(self) -> float:
        """Requests expected in the slot that begins."""
        return 0.0 if self.arrivals is None else float(self.arrivals[0])

    @property
    def wait_slots(self) -> int:
        """How many slots after its own a request may run that comes now."""
        return math.floor(self.wait_s / self.slot_s * (1.0 + 1e-12))


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What to run in the slot that begins.

    `waiting` is an amount of what waits already, to be taken earliest deadline first. `arriving_share` (0 to 1) is
    the share of the slot's own arrivals that is to run at once: a share, as nobody knows how many will come.
    `conditions` names what could not be met.
    """

    waiting: float
    arriving_share: float
    conditions: tuple[str, ...] = ()

    def amount(self, *, arriving: float) -> float:
        """Amount to run in the slot when `arriving` requests come in it."""
        return self.waiting + self.arriving_share * arriving


class ProcessingPolicy(Protocol):
    """One way to decide when requests run that may wait. Stateless: what waits is in the queue's book."""

    @property
    def name(self) -> str:
        """The name by which users choose it."""
        ...

    def release(self, queue: Queue) -> Release:
        """Return what to run in the slot that begins; never raises for a queue that is well formed."""
        ...
