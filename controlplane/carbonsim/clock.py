"""A clock that several processes can agree on."""

from __future__ import annotations

import asyncio
import math
import time

from controlplane.carbonsim.moments import FIRST_S, LAST_S


class AnchoredClock:
    """Says `start_s` at the wall time `anchor_s`, and runs `speed` times as fast as the wall clock.

    All processes with the same three numbers tell the same time, whenever they were started; that is why it follows
    the wall clock even where that is set. It stands still at the ends of the time that can be written.

    Raises:
        ValueError: `speed` is not positive, or one of the three is not finite.
    """

    def __init__(self, *, start_s: float, speed: float = 1.0, anchor_s: float | None = None) -> None:
        anchor_s = time.time() if anchor_s is None else anchor_s
        if not all(math.isfinite(number) for number in (start_s, speed, anchor_s)):
            raise ValueError("start, speed and anchor of a clock must be finite")
        if not speed > 0:
            raise ValueError(f"a clock's speed must be positive, not {speed}")
        self.start_s = start_s
        self.speed = speed
        self.anchor_s = anchor_s

    def now_s(self) -> float:
        """Seconds since the Unix epoch on this clock."""
        return min(max(FIRST_S, self.start_s + self.speed * (time.time() - self.anchor_s)), LAST_S)

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of this clock, `seconds / speed` real ones."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)
