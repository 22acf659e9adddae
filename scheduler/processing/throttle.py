"""The reference system's throttle, for comparison: slow down by credit and by carbon, look six slots ahead.

It sees neither deadlines nor what waits. Replays run it beside the release plan on the same arrivals, and count the
deadlines it misses. The formulas are those of k8s-carbonrouter (snapshot 31c2c5f), as it computes them and not as
its documents say.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from scheduler.model import FloatArray
from scheduler.processing.base import CreditBalance, Queue, Release

_GREEN = 0.99
_BLEND = 0.6
_AHEAD = 6
_OPPORTUNITY = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleSettings:
    """Full speed at `floor_g_per_kwh` and below, least speed at `ceiling_g_per_kwh`; never under `least`."""

    least: float = 0.05
    floor_g_per_kwh: float = 150.0
    ceiling_g_per_kwh: float = 350.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.least <= 1.0 and self.floor_g_per_kwh < self.ceiling_g_per_kwh):
            raise ValueError(f"need a fraction and floor < ceiling, got {self!r}")


def throttle(carbon_g_per_kwh: FloatArray, *, credit: CreditBalance, settings: ThrottleSettings) -> float:
    """The speed of processing, `settings.least` to 1, for carbon (T,) in g/kWh from the present slot on.

    An empty array means that carbon is unknown; with one slot, the next is taken to be like it.
    """
    intensity = 1.0
    if carbon_g_per_kwh.size:
        worst = float(carbon_g_per_kwh[:2].max())
        span = settings.ceiling_g_per_kwh - settings.floor_g_per_kwh
        intensity = _clamp((settings.ceiling_g_per_kwh - worst) / span, 0.0)
    speed = _clamp(min(credit.share, intensity), settings.least)
    if intensity >= _GREEN:
        speed = 1.0
    elif intensity > credit.share:
        speed = max(speed, credit.share + _BLEND * (intensity - credit.share))
    if not carbon_g_per_kwh.size:
        return speed
    now, best = float(carbon_g_per_kwh[0]), float(carbon_g_per_kwh[:_AHEAD].min())
    if now > _OPPORTUNITY * best:
        speed = max(settings.least, speed * best / now)
    return speed


def throttle_ceiling(speed: float, *, least: int, greatest: int) -> int:
    """Replicas at this speed: `greatest` x speed, rounded (halves to even), clamped to [least, greatest]."""
    return min(max(round(greatest * speed), least), greatest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottlePolicy:
    """`throttle`: run at most speed x capacity, whatever the deadlines are.

    Where capacity is unbounded a speed has no meaning; that share of what waits and arrives is run. A queue without
    credit is taken to have a balance of 0.
    """

    settings: ThrottleSettings = field(default_factory=ThrottleSettings)
    name: str = "throttle"

    def release(self, queue: Queue) -> Release:
        """Return what the throttle lets through in the slot that begins: what waits before what arrives."""
        credit = queue.credit if queue.credit is not None else CreditBalance(balance=0.0)
        speed = throttle(queue.carbon_g_per_kwh, credit=credit, settings=self.settings)
        waiting, arriving = queue.book.amount, queue.arriving
        limit = speed * (waiting + arriving if queue.capacity is None else float(queue.capacity[0]))
        taken = min(waiting, limit)
        share = float(np.clip((limit - taken) / arriving, 0.0, 1.0)) if arriving > 0.0 else float(limit > taken)
        return Release(waiting=taken, arriving_share=share)


def _clamp(value: float, least: float) -> float:
    return min(1.0, max(least, value))
