"""Sources are asked again whenever they are due, each in a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from controlplane.carbon import CarbonFeed
from controlplane.clock import Clock, sleep_unless

_CHECK_S = 30.0


class Freshness:
    """Refreshes the feeds in use; a feed itself knows when it is due.

    Args:
        in_use: the feeds there are now.
        clock: the engine's time.
        on_first: called with a feed when it has its first series.
    """

    def __init__(
        self, in_use: Callable[[], set[CarbonFeed]], *, clock: Clock, on_first: Callable[[CarbonFeed], None]
    ) -> None:
        self._in_use = in_use
        self._clock = clock
        self._on_first = on_first
        self._look_now = asyncio.Event()

    def look(self) -> None:
        """There may be a new feed: look now."""
        self._look_now.set()

    async def run(self) -> None:
        """Refresh until cancelled; a slow feed holds up no other."""
        refreshing: dict[CarbonFeed, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._look_now.clear()
                refreshing = {feed: task for feed, task in refreshing.items() if not task.done()}
                for feed in self._in_use() - refreshing.keys():
                    refreshing[feed] = tasks.create_task(self._refresh(feed))
                await sleep_unless(self._look_now, _CHECK_S, clock=self._clock)

    async def _refresh(self, feed: CarbonFeed) -> None:
        first = feed.series is None
        await feed.refresh()
        if first and feed.series is not None:
            self._on_first(feed)
