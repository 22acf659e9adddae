"""An engine with something to show, behind its real API, on a clock that stands still until it is told to move."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.accounting import FlavourLoad
from controlplane.api.app import create_app
from controlplane.api.token import BearerToken
from controlplane.carbon import CarbonFeed
from controlplane.config import EngineConfig
from controlplane.host import EngineHost, NoDataPlane
from controlplane.session import ServiceSession
from controlplane.spec import Planned, ServiceSpec
from controlplane.web import serving
from scheduler import Flavour
from tests.controlplane.fakes import START_S, ManualClock, ScriptedSource, carbon_series, service_spec
from tests.support.ports import HOST, free_port

FLAVOURS = (
    Flavour(name="high", error=0.0, energy_j=10.0),
    Flavour(name="mid", error=0.04, energy_j=5.0),
    Flavour(name="low", error=0.12, energy_j=1.5),
)
TOKEN = "a-token-for-tests-only"
_STEP_S = 600.0
_DAY_SLOTS = 48


class NamedSource(ScriptedSource):
    """A scripted source of another zone."""

    def __init__(self, zone: str) -> None:
        super().__init__()
        self.zone = zone


@dataclass(slots=True)
class Made:
    """The engine, its clock and sources, and where it is served."""

    host: EngineHost
    clock: ManualClock
    sources: tuple[ScriptedSource, ...]
    feeds: tuple[CarbonFeed, ...]
    port: int
    token: BearerToken | None = None

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def engine(self):
        return self.host.engine

    def session(self, key: str = "default/shop") -> ServiceSession:
        return self.engine.sessions[key]

    def configure(self, *specs: ServiceSpec) -> None:
        """Serve these, resting on the sources in turn; the last source never answers."""
        feeds = self.feeds
        self.engine.configure([Planned(spec, feeds[place % len(feeds)]) for place, spec in enumerate(specs)])
        self.engine.tick()

    async def pass_time(self, seconds: float, *, requests: int = 2_000, keys: Sequence[str] | None = None) -> None:
        """Let time pass, in which requests are answered nearly as commanded, and decisions are made."""
        for step in range(round(seconds / _STEP_S)):
            self.clock.time_s += _STEP_S
            for key in keys or list(self.engine.sessions):
                self._serve(key, requests=requests + 40 * (step % 5))
            await self.new_figures()
            self.engine.tick()

    async def new_figures(self) -> None:
        """The sources answer with what is known by now."""
        for place, source in enumerate(self.sources[:-1]):
            source.outcome = figures(self.clock.now_s(), phase=place)
        for feed in self.feeds:
            await feed.refresh()

    def _serve(self, key: str, *, requests: int) -> None:
        session, now_s = self.session(key), self.clock.now_s()
        assert session.intent is not None
        weights = session.intent.weights
        shares = {name: 0.97 * weight / 10_000 for name, weight in weights.items()}
        shares[session.spec.flavours[0].name] += 0.03
        loads = {name: FlavourLoad(served=float(round(requests * share))) for name, share in shares.items()}
        self.engine.enter(key, loads, since_s=now_s - _STEP_S, until_s=now_s, sender="gateway")

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """The API on this engine's own port, which stays the same when it is served again."""
        app = create_app(self.host, token=self.token, own_host=HOST)
        async with serving(app, address=HOST, port=self.port, grace_s=1):
            yield self.address


def figures(now_s: float, *, phase: int) -> Any:
    """Two days of a grid with a night, a noon and an evening; actual up to now, and a little off the forecast."""
    times = range(2 * _DAY_SLOTS)
    forecast = [
        230 + 120 * math.sin(2 * math.pi * (slot - 14 - 3 * phase) / 48) + 40 * math.sin(slot / 3.7) for slot in times
    ]
    known = max(0, min(len(forecast), math.floor((now_s - START_S) / 1800.0)))
    actual = [value * (1.0 + 0.06 * math.sin(slot)) for slot, value in enumerate(forecast[:known])]
    return carbon_series(forecast, actual=actual)


@asynccontextmanager
async def made(directory: Path, *, with_token: bool = False) -> AsyncIterator[Made]:
    """An engine without services yet; its books are written as in life."""
    clock = ManualClock()
    config = EngineConfig(state_dir=directory / "state")
    token = None
    if with_token:
        (directory / "token").write_text(TOKEN)
        token = BearerToken(directory / "token")
    sources = tuple(NamedSource(zone) for zone in ("GB", "DE", "IE"))
    feeds = tuple(CarbonFeed(source, clock=clock) for source in sources)
    host = EngineHost(config, NoDataPlane(), clock=clock)
    result = Made(host=host, clock=clock, sources=sources, feeds=feeds, port=free_port(), token=token)
    await result.new_figures()
    writer = asyncio.create_task(host.engine.writer.run())
    try:
        yield result
    finally:
        writer.cancel()
        await asyncio.wait([writer])


def shop(service: str = "shop", **changes: Any) -> ServiceSpec:
    """A service with three flavours that are all worth using."""
    return service_spec(service=service, flavours=FLAVOURS, **changes)


async def busy(world: Made) -> None:
    """Three services, half a day of which has passed."""
    world.configure(shop(), shop("search"), shop("translate"))
    await world.pass_time(11.4 * 3600)
