"""The days' requests, as a client would send them: at their own times, whatever the answers take."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp

from controlplane.clock import Clock
from controlplane.intent import FLAVOUR_HEADER

_TIMEOUT_S = 15.0
_KEPT_FAILURES = 5


@dataclass(slots=True)
class Tally:
    """What the client saw. By slot, `by_flavour` counts answers by the flavour that gave them, `failed_in` the rest."""

    sent: int = 0
    answered: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    by_flavour: dict[int, Counter[str]] = field(default_factory=dict)
    failed_in: Counter[int] = field(default_factory=Counter)

    def totals(self) -> Mapping[str, int]:
        """Answers by flavour over all slots."""
        return sum(self.by_flavour.values(), Counter())

    def fail(self, slot: int, reason: str) -> None:
        """Count a request of a slot that got no good answer; a few reasons are kept."""
        self.failed += 1
        self.failed_in[slot] += 1
        if len(self.failures) < _KEPT_FAILURES:
            self.failures.append(f"slot {slot}: {reason}")

    def in_slots(self, first: int, end: int) -> tuple[int, int]:
        """(answered, failed) in the slots from `first` to before `end`."""
        answered = sum(count.total() for slot, count in self.by_flavour.items() if first <= slot < end)
        return answered, sum(count for slot, count in self.failed_in.items() if first <= slot < end)


class DayOfRequests:
    """Sends `requests[k]` requests at random moments of slot k, for every slot.

    `parts` says of some slots from which to which share of them (0-1) requests are sent, where not all along: a proxy's
    report that spans midnight is shared out between two days, and each day is to be counted whole.
    """

    def __init__(  # noqa: PLR0913 - one day: where, when, how many
        self,
        *,
        url: str,
        clock: Clock,
        start_s: float,
        slot_s: float,
        requests: Sequence[int],
        parts: Mapping[int, tuple[float, float]],
        seed: int = 7,
    ) -> None:
        self.tally = Tally()
        self._url = url
        self._clock = clock
        self._start_s = start_s
        self._slot_s = slot_s
        self._requests = requests
        self._parts = parts
        self._random = random.Random(seed)  # noqa: S311 - arrival times, not secrets

    async def run(self) -> None:
        """Send them all, and return when the last answer is in."""
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as answers,
        ):
            for slot, moment_s in self._moments():
                await self._clock.sleep(moment_s - self._clock.now_s())
                answers.create_task(self._send(session, slot))

    def _moments(self) -> Sequence[tuple[int, float]]:
        moments = []
        for slot, count in enumerate(self._requests):
            first, last = self._parts.get(slot, (0.0, 1.0))
            places = (slot + first + (last - first) * self._random.random() for _ in range(count))
            moments += [(slot, self._start_s + place * self._slot_s) for place in places]
        return sorted(moments, key=lambda moment: moment[1])

    async def _send(self, session: aiohttp.ClientSession, slot: int) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        self.tally.sent += 1
        try:
            async with session.get(self._url) as response:
                await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.tally.fail(slot, repr(error))
            return
        if response.status != 200:
            self.tally.fail(slot, f"status {response.status}")
            return
        self.tally.answered += 1
        self.tally.latencies_s.append(loop.time() - began_s)
        flavour = response.headers.get(FLAVOUR_HEADER, "unknown")
        self.tally.by_flavour.setdefault(slot, Counter())[flavour] += 1
