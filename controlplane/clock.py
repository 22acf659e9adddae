"""The control plane's time, injected, so that days run in seconds with the very same code.

Time-outs of sockets and of the HTTP client stay real seconds: a network does not run faster in a demo.
"""

import asyncio
import time
from typing import Protocol


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
    """A clock that starts at `start_s` when it is made and runs `speed` times as fast as real time.

    Raises:
        ValueError: `speed` is not positive.
    """

    def __init__(self, *, start_s: float, speed: float) -> None:
        if not speed > 0:
            raise ValueError(f"a clock's speed must be positive, not {speed}")
        self._start_s = start_s
        self.speed = speed
        self._began_s = time.monotonic()

    def now_s(self) -> float:
        """Seconds since the Unix epoch on this clock."""
        return self._start_s + self.speed * (time.monotonic() - self._began_s)

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of this clock, `seconds / speed` real ones."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)
