"""A day of counts for an engine that is killed again and again, and what its books say of it in the end."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from tests.engine.clients import Schedules, Sender
from tests.engine.day import BUDGETS, DAY_S, IN_FILE, counts, terms
from tests.engine.process import EngineProcess

_A_KILL_S = 2.6
"""About how long a process lives, its start included."""
_FASTEST = 3600.0
_TIMEOUT = aiohttp.ClientTimeout(total=5)
_MADE_ALONE = "default/extra-{}"


@dataclass(slots=True)
class Outcome:
    """What was seen while it was killed, and the state files that the last kill left.

    `made` are the services that were acknowledged, with what was last acknowledged of each, `listed` those that the
    last process knows; `unfinished` the most half-written files that were found after a kill, and `left` after the end.
    """

    killed: Counter[str] = field(default_factory=Counter)
    posts: int = 0
    told: int = 0
    known: int = 0
    schedules: Schedules = field(default_factory=Schedules)
    started: list[float] = field(default_factory=list)
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    configured: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    unusable: list[str] = field(default_factory=list)
    unfinished: int = 0
    left: int = 0
    log: str = ""
    seconds: float = 0.0


async def killed_day(folder: Path, *, kills: int, seed: int = 1) -> Outcome:
    """Play the day with so many kills spread over it."""
    engine = EngineProcess(folder, speed=min(_FASTEST, DAY_S / (kills * _A_KILL_S)))
    outcome, began_s = Outcome(), time.monotonic()
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        killer = _Killer(engine, session, outcome, random.Random(seed))
        try:
            async with _first_process(engine, session, killer), asyncio.timeout(600):
                await _day(engine, session, killer, kills=kills)
            await _look_back(engine, session, outcome)
        finally:
            await engine.kill()
    outcome.log, outcome.started, outcome.seconds = engine.log, engine.started, time.monotonic() - began_s
    return outcome


@contextlib.asynccontextmanager
async def _first_process(engine: EngineProcess, session: aiohttp.ClientSession, killer: _Killer) -> AsyncIterator[None]:
    engine.write()
    await engine.spawn()
    await engine.answering(session)
    for service, budget in BUDGETS.items():
        if service != IN_FILE:
            await killer.put(service, terms(budget))
    try:
        yield
    except BaseException as error:
        error.add_note(f"the engine said:\n{engine.log[-4000:]}")
        raise


async def _day(engine: EngineProcess, session: aiohttp.ClientSession, killer: _Killer, *, kills: int) -> None:
    senders = [Sender(session, engine.url, engine.clock, killer.posting) for _ in BUDGETS]
    outcome = killer.outcome
    polling = asyncio.create_task(outcome.schedules.poll(session, engine.url, list(BUDGETS)))
    try:
        async with asyncio.TaskGroup() as tasks:
            for sender, service in zip(senders, BUDGETS, strict=True):
                tasks.create_task(sender.run(counts(service)))
            tasks.create_task(killer.run(kills))
        # What was acknowledged must be on the disk: the last process gets no time to save anything either.
        await engine.kill()
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
    for sender in senders:
        outcome.posts, outcome.told = outcome.posts + sender.posts, outcome.told + sender.told
        outcome.known += sender.known


async def _look_back(engine: EngineProcess, session: aiohttp.ClientSession, outcome: Outcome) -> None:
    """Read what the last kill left, and ask a last process what it makes of it."""
    outcome.states = {service: read_state(engine.state_dir, service) for service in BUDGETS}
    await engine.spawn()
    await engine.answering(session)
    for service in outcome.made:
        async with session.get(f"{engine.url}/api/v1/services/{service}/configuration") as answer:
            if answer.status == 200:
                outcome.configured[service] = (await answer.json())["configuration"]
    await engine.stop()
    outcome.left = len(list(engine.state_dir.rglob(".writing-*")))
    outcome.unusable = sorted(path.name for path in engine.state_dir.rglob("*.unusable-*"))


def read_state(state_dir: Path, service: str) -> dict[str, Any]:
    """The state of one service as it is on the disk."""
    state: dict[str, Any] = json.loads((state_dir / "services" / f"{quote(service, safe='')}.json").read_text())
    return state


class _Killer:
    """Kills the engine at moments that differ in what it is doing, and starts it again."""

    def __init__(
        self, engine: EngineProcess, session: aiohttp.ClientSession, outcome: Outcome, draws: random.Random
    ) -> None:
        self.outcome = outcome
        self.posting = asyncio.Event()
        self._engine = engine
        self._session = session
        self._draws = draws
        self._reloads = 0
        self._aims: dict[str, Callable[[], Awaitable[None]]] = {
            "at any time": self._at_any_time,
            "while saving": self._while_saving,
            "while starting": self._while_starting,
            "during a PUT": self._during_put,
            "during a reload": self._during_reload,
        }

    async def run(self, kills: int) -> None:
        """Kill so often, each kind in its turn."""
        names = [list(self._aims)[place % len(self._aims)] for place in range(kills)]
        self._draws.shuffle(names)
        for name in names:
            await self._aims[name]()
            await self._engine.kill()
            self.outcome.killed[name] += 1
            found = len(list(self._engine.state_dir.rglob(".writing-*")))
            self.outcome.unfinished = max(self.outcome.unfinished, found)
            await self._engine.spawn()
        await self._engine.answering(self._session)

    async def put(self, service: str, wanted: dict[str, Any]) -> None:
        """Make or change a service, and note it if that is acknowledged."""
        async with self._session.put(f"{self._engine.url}/api/v1/services/{service}", json=wanted) as answer:
            assert answer.status in {200, 201}, await answer.text()
        self.outcome.made[service] = wanted

    async def _at_any_time(self) -> None:
        await self._engine.answering(self._session)
        await asyncio.sleep(self._draws.uniform(0.0, 1.5))

    async def _while_saving(self) -> None:
        """A few milliseconds after counts were sent: a save takes about one."""
        await self._engine.answering(self._session)
        await asyncio.sleep(self._draws.uniform(0.0, 0.5))
        self.posting.clear()
        await self.posting.wait()
        await asyncio.sleep(self._draws.uniform(0.0, 0.006))

    async def _while_starting(self) -> None:
        known = self._engine.started or [1.0]
        await asyncio.sleep(self._draws.uniform(0.3, 1.0) * max(known))

    async def _during_put(self) -> None:
        await self._engine.answering(self._session)
        changed = self._draws.choice([service for service in BUDGETS if service != IN_FILE])
        number = sum(self.outcome.killed.values())
        wanted = terms(BUDGETS[changed], cheapest_j=1.0 + number / 1000)
        # Such a one is acknowledged surely; the next may be cut off.
        await self.put(changed, wanted)
        cut_off = asyncio.create_task(self._tried(_MADE_ALONE.format(number), terms({})))
        await asyncio.sleep(self._draws.uniform(0.0, 0.012))
        await self._engine.kill()
        await cut_off

    async def _tried(self, service: str, wanted: dict[str, Any]) -> None:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            await self.put(service, wanted)

    async def _during_reload(self) -> None:
        """The file gets a service more, or loses it; its watcher looks a fifth of a second later."""
        await self._engine.answering(self._session)
        self._reloads += 1
        another = {**copy.deepcopy(self._engine.config["services"][0]), "name": "another"}
        self._engine.config["services"][1:] = [another] if self._reloads % 2 else []
        self._engine.write()
        await asyncio.sleep(self._draws.uniform(0.15, 0.6))
