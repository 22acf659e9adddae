"""The control plane's time, injected, so that days run in seconds with the very same code.

Time-outs of sockets and of the HTTP client stay real seconds: a network does not run faster in a demo.
"""

import asyncio
import time
from typing import Protocol

from controlplane.config.rehearsal import Rehearsal


class Clock(Protocol):
    """Where the control plane learns what time it is, and waits."""

    @property
    def speed(self) -> float:
        """How many seconds of this clock pass in a real second."""
        ...

    def now_s(self) -> float:
        """Seconds since the Unix epoch on this clock."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of this clock; what is not positive yields once."""
        ...


class SystemClock:
    """The wall clock."""

    speed = 1.0

    def now_s(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        await asyncio.sleep(max(0.0, seconds))


class ScaledClock:
    """A clock that stood at `start_s` when it was made and runs `speed` times as fast as real time.

    With `began_s` it stood there when the wall clock said so: clocks of several processes then agree.

    Raises:
        ValueError: `speed` is not positive.
    """

    def __init__(self, *, start_s: float, speed: float, began_s: float | None = None) -> None:
        if not speed > 0:
            raise ValueError(f"a clock's speed must be positive, not {speed}")
        self._start_s = start_s
        self.speed = speed
        self._began_s = time.monotonic() - (0.0 if began_s is None else time.time() - began_s)

    def now_s(self) -> float:
        """Seconds since the Unix epoch on this clock."""
        return self._start_s + self.speed * (time.monotonic() - self._began_s)

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of this clock, `seconds / speed` real ones."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)


def clock_for(rehearsal: Rehearsal | None) -> Clock:
    """The wall clock, or the one that is rehearsed by."""
    if rehearsal is None:
        return SystemClock()
    return ScaledClock(start_s=rehearsal.start, speed=rehearsal.speed, began_s=rehearsal.began)


async def sleep_unless(called: asyncio.Event, seconds: float, *, clock: Clock) -> None:
    """Wait for `seconds` of the clock, or until `called` is set."""
    pause, call = asyncio.ensure_future(clock.sleep(seconds)), asyncio.ensure_future(called.wait())
    try:
        await asyncio.wait((pause, call), return_when=asyncio.FIRST_COMPLETED)
    finally:
        pause.cancel()
        call.cancel()
