"""Clients of an engine that comes and goes: they go on until they are answered, and keep what they saw."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiohttp

from controlplane.clock import Clock
from scheduler import TOTAL_WEIGHT
from tests.engine.day import Told

_PAUSE_S = 0.02
_BUSY = frozenset({429, 503})


@dataclass(slots=True)
class Sender:
    """Tells counts when their time has come, each until it is acknowledged.

    Attributes:
        posting: set while a request is on its way, for whoever wants to kill right then.
        posts: requests sent; `told` were acknowledged, `known` of them as entered before.
    """

    session: aiohttp.ClientSession
    url: str
    clock: Clock
    posting: asyncio.Event = field(default_factory=asyncio.Event)
    posts: int = 0
    told: int = 0
    known: int = 0

    async def run(self, day: Iterable[Told]) -> None:
        """Tell the day of one service."""
        for each in day:
            await self.clock.sleep(each.until_s - self.clock.now_s())
            while not await self._told(each):
                await asyncio.sleep(_PAUSE_S)

    async def _told(self, each: Told) -> bool:
        self.posts += 1
        self.posting.set()
        url = f"{self.url}/api/v1/services/{each.service}/feedback"
        try:
            async with self.session.post(url, json=each.body()) as answer:
                said = await answer.read()
                if answer.status in _BUSY:
                    return False
                assert answer.status == 200, f"{each}: {answer.status} {said!r}"
                self.known += not (await answer.json())["entered"]
        except (aiohttp.ClientError, TimeoutError):
            return False
        finally:
            self.posting.clear()
        self.told += 1
        return True


@dataclass(slots=True)
class Schedules:
    """What somebody who asks for schedules all the time has seen.

    `wrong` has every answer that nobody may go by: ended at its own time, or with weights that are no split;
    `backwards` those whose time lies before that of an earlier one.
    """

    polled: int = 0
    unanswered: int = 0
    without: int = 0
    wrong: list[dict[str, Any]] = field(default_factory=list)
    backwards: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    _newest_s: float = 0.0

    async def poll(self, session: aiohttp.ClientSession, url: str, services: Iterable[str]) -> None:
        """Ask for one service's schedule after the other, until cancelled."""
        for service in itertools.cycle(services):
            try:
                async with session.get(f"{url}/api/v1/services/{service}/schedule?slots=4") as answer:
                    said = await answer.json()
            except (aiohttp.ClientError, TimeoutError):
                self.unanswered += 1
            else:
                self.statuses[answer.status] += 1
                if answer.status == 200:
                    self._judge(said)
            await asyncio.sleep(0.01)

    def _judge(self, said: dict[str, Any]) -> None:
        self.polled += 1
        now_s, weights = _seconds(said["time"]), said["weights"]
        if now_s < self._newest_s:
            self.backwards.append(said["time"])
        self._newest_s = max(self._newest_s, now_s)
        if weights is None:
            self.without += 1
            if said["valid_until"] is not None:
                self.wrong.append(said)
        elif _seconds(said["valid_until"]) <= now_s or sum(weights.values()) != TOTAL_WEIGHT:
            self.wrong.append(said)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
