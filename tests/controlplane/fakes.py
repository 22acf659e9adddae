"""A clock that moves when told to, a carbon source that says what it is told to, and an engine over both."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings

from controlplane.carbon import CarbonFeed, CarbonSeries, PermanentSourceError
from controlplane.engine import Engine
from controlplane.intent import Endpoint, FlavourTarget, RoutingIntent, Topology
from controlplane.session import ServiceSession
from controlplane.spec import Planned, ServiceSpec
from controlplane.store import FileStore
from scheduler import BudgetWindow, ControllerSettings, Flavour
from xds import ClusterLoad, LoadReport

DAY_S = 86_400.0
SLOT_S = 1800.0
START_S = 19_676 * DAY_S
REFRESH_S = 10.0

FLAVOURS = (
    Flavour(name="best", error=0.0, energy_j=10.0),
    Flavour(name="good", error=0.05, energy_j=6.0),
    Flavour(name="fast", error=0.1, energy_j=1.0),
)


# The same examples every time, however busy the machine is.
steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(25):
        await asyncio.sleep(0)


class ManualClock:
    speed = 1.0

    def __init__(self, now_s: float = START_S) -> None:
        self.time_s = now_s
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now_s(self) -> float:
        return self.time_s

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self.time_s + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move on, waking sleepers one by one at the very moment they asked for."""
        end_s = self.time_s + seconds
        await settle()
        while self._waiting and self._waiting[0][0] <= end_s:
            wake_s, _, woken = heapq.heappop(self._waiting)
            if not woken.done():
                self.time_s = wake_s
                woken.set_result(None)
                await settle()
        self.time_s = end_s


def carbon_series(
    forecast: Sequence[float], *, actual: Sequence[float] = (), start_s: float = START_S, slot_s: float = SLOT_S
) -> CarbonSeries:
    known = np.full(len(forecast), math.nan)
    known[: len(actual)] = actual
    return CarbonSeries(
        source="scripted",
        zone="Z",
        kind="average",
        basis="test",
        licence="none",
        start_s=start_s,
        slot_s=slot_s,
        forecast_g_per_kwh=np.array(forecast, dtype=np.float64),
        actual_g_per_kwh=known,
        issued_at_s=start_s,
    )


class ScriptedSource:
    """Gives `outcome`, which a test may change at any time; None is a failure that only a person could mend."""

    name = "scripted"
    zone = "Z"
    kind = "average"
    basis = "test"
    poll_s = 60.0

    def __init__(self, outcome: CarbonSeries | None = None) -> None:
        self.outcome = outcome
        self.closed = False

    async def fetch(self, *, now_s: float) -> CarbonSeries:
        if self.outcome is None:
            raise PermanentSourceError("out of order", source=self.name)
        return self.outcome

    async def aclose(self) -> None:
        self.closed = True


def topology(flavours: Sequence[Flavour] = FLAVOURS, *, service: str = "shop") -> Topology:
    targets = tuple(
        FlavourTarget(
            name=flavour.name,
            precision_pct=100 * (1 - flavour.error),
            endpoints=(Endpoint("127.0.0.1", 9000 + place),),
        )
        for place, flavour in enumerate(flavours)
    )
    return Topology("default", service, (f"{service}.example",), targets)


def service_spec(
    *,
    service: str = "shop",
    flavours: tuple[Flavour, ...] = FLAVOURS,
    max_error: float = 0.04,
    window_s: float = DAY_S,
    **changes: Any,
) -> ServiceSpec:
    settings = ControllerSettings(max_error=max_error, window=BudgetWindow(length_s=window_s))
    return ServiceSpec(topology=topology(flavours, service=service), flavours=flavours, settings=settings, **changes)


def cluster(flavour: str, *, service: str = "shop") -> str:
    return f"default/{service}/{flavour}"


def load_report(
    clusters: Mapping[str, ClusterLoad | int], *, node_id: str = "proxy", interval_s: float = REFRESH_S
) -> LoadReport:
    """A report of clusters by full name; a bare number is that many successes."""
    loads = {
        name: load if isinstance(load, ClusterLoad) else ClusterLoad(succeeded=load) for name, load in clusters.items()
    }
    return LoadReport(node_id=node_id, interval_s=interval_s, clusters=loads)


class World:
    """One engine, its feed, and everything it has published: (time, intents, label)."""

    def __init__(self, directory: Path, *, now_s: float = START_S, refresh_s: float = REFRESH_S) -> None:
        self.clock = ManualClock(now_s)
        self.directory = directory
        self.refresh_s = refresh_s
        self.source = ScriptedSource()
        self.feed = CarbonFeed(self.source, clock=self.clock)
        self.published: list[tuple[float, tuple[RoutingIntent, ...], str]] = []
        self.refuse: Exception | None = None
        self.engine = self.new_engine()

    def new_engine(self) -> Engine:
        return Engine(
            clock=self.clock,
            publish=self._publish,
            cluster_name=lambda spec, flavour: f"{spec.key}/{flavour}",
            store=FileStore(self.directory),
            refresh_s=self.refresh_s,
        )

    def restart(self) -> None:
        """End as a stopped process ends, and begin again from the disk with nothing configured yet."""
        for session in self.engine.sessions.values():
            self.engine.writer.changed(session.spec.key, session.state)
        self.engine.writer.flush()
        self.engine = self.new_engine()

    def configure(self, *specs: ServiceSpec) -> None:
        self.engine.configure([Planned(spec, self.feed) for spec in specs])

    @property
    def session(self) -> ServiceSession:
        return self.engine.sessions["default/shop"]

    @property
    def weights(self) -> dict[str, int]:
        intent = self.session.intent
        assert intent is not None
        return dict(intent.weights)

    def _publish(self, intents: Sequence[RoutingIntent], label: str) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.published.append((self.clock.now_s(), tuple(intents), label))
