"""A simulated provider by a clock that stands still, and a client that asks it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import numpy as np

from controlplane.carbonsim import SimOptions, Tape, recorded, serving_sim
from scheduler import Trace

DAY = datetime(2023, 1, 10, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
NOON_S = (DAY + timedelta(hours=12, minutes=10)).timestamp()


class StillClock:
    """Tells the time it is set to."""

    def __init__(self, now_s: float = NOON_S, *, speed: float = 1.0) -> None:
        self.time_s = now_s
        self.speed = speed

    def now_s(self) -> float:
        return self.time_s

    async def sleep(self, seconds: float) -> None:
        self.time_s += seconds


def trace(days: float = 2, *, slot_s: float = 1800.0, start: datetime = DAY) -> Trace:
    """Values that no two slots share: actual 100, 101, ..., forecast 300, 301, ..."""
    size = int(days * 86_400 / slot_s)
    return Trace(
        name="made",
        start_s=start.timestamp(),
        slot_s=slot_s,
        carbon_actual=100.0 + np.arange(size),
        carbon_forecast=300.0 + np.arange(size),
        requests_actual=None,
        requests_forecast=None,
    )


@dataclass(frozen=True, slots=True)
class Client:
    """Asks one simulation; every method gives (status, JSON)."""

    session: aiohttp.ClientSession
    url: str
    clock: StillClock

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        return await self._asked("GET", path, **options)

    async def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        return await self._asked("POST", path, json=body)

    async def delete(self, path: str) -> tuple[int, Any]:
        return await self._asked("DELETE", path)

    async def _asked(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.session.request(method, self.url + path, **options) as response:
            return response.status, await response.json()


@asynccontextmanager
async def simulation(tape: Tape | None = None, options: SimOptions | None = None) -> AsyncIterator[Client]:
    clock = StillClock()
    async with (
        serving_sim(tape or recorded(trace()), clock=clock, options=options) as url,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
    ):
        yield Client(session, url, clock)


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%MZ")
