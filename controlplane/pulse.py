"""A number that grows, and tasks that wait for it to."""

from __future__ import annotations

import asyncio


class Pulse:
    """Counts beats; whoever is slow sees the newest number and misses none but those in between."""

    def __init__(self) -> None:
        self.number = 0
        self.ended = False
        self._next = asyncio.Event()

    def beat(self) -> None:
        """Count one more, and wake all who wait."""
        self.number += 1
        woken, self._next = self._next, asyncio.Event()
        woken.set()

    def end(self) -> None:
        """Wake all who wait, for the last time."""
        self.ended = True
        self.beat()

    async def after(self, number: int) -> int:
        """The number now, as soon as it is above `number`, or all has ended."""
        while self.number <= number and not self.ended:
            await self._next.wait()
        return self.number
