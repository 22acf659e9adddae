"""What one scrape of a thousand services takes.

python -m benchmarks.metrics

Each service has three flavours and two days of counts, half of them settled; all are decided for. CPU time of this
process. `/metrics` is built in the event loop, so for so long nothing else is done.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from prometheus_client import generate_latest

from benchmarks.rows import Row, show
from controlplane.accounting import FlavourLoad
from controlplane.carbon import CarbonFeed, CarbonSeries
from controlplane.carbon.series import Kind
from controlplane.engine import Engine
from controlplane.intent import Endpoint, FlavourTarget, Topology
from controlplane.metrics import registry_for
from controlplane.session import ServiceSession
from controlplane.spec import Planned, ServiceSpec
from controlplane.store import FileStore
from scheduler import BudgetWindow, ControllerSettings, Flavour
from xds import SyncRegistry

SERVICES = 1000
ROUNDS = 9
GOAL_S = 0.5
SLOT_S = 1800.0
START_S = 1_700_092_800.0
"""A midnight."""
NOW_S = START_S + 86_400.0 - SLOT_S / 2
FLAVOURS = (
    Flavour(name="high", error=0.0, energy_j=5.0),
    Flavour(name="mid", error=0.05, energy_j=3.0),
    Flavour(name="low", error=0.12, energy_j=1.5),
)


class _Clock:
    speed = 1.0

    def now_s(self) -> float:
        return NOW_S

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Zone:
    """A carbon source that gives the same two days."""

    name = "bench"
    zone = "Z"
    kind: Kind = "average"
    basis = "made up"
    poll_s = SLOT_S

    async def fetch(self, *, now_s: float) -> CarbonSeries:
        forecast = 200.0 + 60.0 * np.cos(np.arange(144) * 2 * np.pi / 48)
        actual = np.where(np.arange(144) < 72, forecast, np.nan)
        return CarbonSeries(
            source=self.name,
            zone=self.zone,
            kind="average",
            basis="made up",
            licence="none",
            start_s=START_S - 86_400.0,
            slot_s=SLOT_S,
            forecast_g_per_kwh=forecast,
            actual_g_per_kwh=actual,
            issued_at_s=now_s,
        )

    async def aclose(self) -> None:
        """Nothing to close."""


def rows() -> list[Row]:
    """The time of a scrape, of which samples are made and written, and its size."""
    return asyncio.run(_rows())


async def _rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as directory:
        engine = await _engine(Path(directory))
        registry = registry_for(
            engine,
            SyncRegistry(),
            runtime=lambda: {"envoy_restarts": 0, "reload_failures": 0},
        )
        text = generate_latest(registry).decode()
        samples = sum(not line.startswith("#") for line in text.splitlines())
        whole_s = _cpu_s(lambda: generate_latest(registry))
        made_s = _cpu_s(lambda: sum(1 for _ in registry.collect()))
    return [
        Row(f"scrape of {SERVICES:,} services", whole_s, "s", f"CPU, {ROUNDS} rounds; goal {GOAL_S:g} s"),
        Row("reading the engine, of that", made_s, "s", f"{samples:,} samples"),
        Row("size of a scrape", len(text) / 2**20, "MiB", "uncompressed"),
    ]


async def _engine(directory: Path) -> Engine:
    clock = _Clock()
    engine = Engine(
        clock=clock,
        publish=lambda *_: None,
        cluster_name=lambda spec, flavour: f"{spec.key}/{flavour}",
        store=FileStore(directory),
        refresh_s=10.0,
    )
    feed = CarbonFeed(_Zone(), clock=clock)
    await feed.refresh()
    engine.configure([Planned(_spec(f"service-{number}"), feed) for number in range(SERVICES)])
    for session in engine.sessions.values():
        _serve_two_days(session)
    engine.tick()
    return engine


def _spec(service: str) -> ServiceSpec:
    targets = tuple(
        FlavourTarget(
            name=flavour.name,
            precision_pct=100 * (1 - flavour.error),
            endpoints=(Endpoint("127.0.0.1", 9000),),
        )
        for flavour in FLAVOURS
    )
    return ServiceSpec(
        topology=Topology("default", service, (f"{service}.example",), targets),
        flavours=FLAVOURS,
        settings=ControllerSettings(max_error=0.04, window=BudgetWindow(length_s=86_400.0)),
        embodied_g={flavour.name: 0.001 for flavour in FLAVOURS},
    )


def _serve_two_days(session: ServiceSession) -> None:
    loads = {flavour.name: FlavourLoad(served=100, metered_requests=10, metered_j=20.0) for flavour in FLAVOURS}
    for number in range(-48, 47):
        since_s = START_S + number * SLOT_S
        session.account.add(loads, since_s=since_s, until_s=since_s + SLOT_S, terms=session.terms)
    session.observe(loads, since_s=START_S, until_s=NOW_S)


def _cpu_s(what: Callable[[], object]) -> float:
    what()
    times = []
    for _ in range(ROUNDS):
        began_s = time.process_time()
        what()
        times.append(time.process_time() - began_s)
    return statistics.median(times)


if __name__ == "__main__":
    show(rows())
