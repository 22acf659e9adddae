"""The demo from start to end: flavours, control plane, Envoy, days of requests, and what came of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from controlplane.accounting import Summary
from controlplane.carbonsim import Fault, Kind, SimOptions, recorded, serving_sim
from controlplane.clock import Clock
from controlplane.config import Config, load_config
from controlplane.demo.backends import Backend, running_backends
from controlplane.demo.clock import StoppingClock
from controlplane.demo.days import DayKeeper, DayOutcome, Slots, together
from controlplane.demo.load import DayOfRequests, Tally
from controlplane.demo.plan import DemoPlan
from controlplane.demo.sightings import Sighting, SourceWatch
from controlplane.local.runtime import Runtime
from controlplane.session import ServiceSession

SERVICE = "carbonstat"
KEY = f"default/{SERVICE}"
# A slot may last less than a real second, and counts must come back several times within it.
_REFRESHES_A_SLOT = 8
_LEAST_REFRESH_S, _MOST_REFRESH_S = 0.1, 0.25
_TTL_S = 2.0
# A provider must be asked before the first slot can follow it.
_LEAD_S = 3600.0
_MOST_QUIET = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOutcome:
    """What came of it: what the client saw, what the proxy reported, and what was said of the source (if watched)."""

    plan: DemoPlan
    backends: tuple[Backend, ...]
    tally: Tally
    days: tuple[DayOutcome, ...]
    sightings: tuple[Sighting, ...] = ()

    @property
    def summary(self) -> Summary:
        """All days, judged with the energy that was planned with."""
        return together([day.summary for day in self.days])

    @property
    def by_reported_energy(self) -> Summary:
        """All days, judged with the mean energy that answers reported."""
        return together([day.by_reported_energy for day in self.days])

    @property
    def slots(self) -> Slots:
        """All slots by their start."""
        return [slot for day in self.days for slot in day.slots]


class Audience(Protocol):
    """Who watches."""

    def stage(self, text: str) -> None:
        """Hear what happens next."""

    def page(self, url: str) -> None:
        """Hear where the live page is, as soon as it is there."""

    def tick(self, session: ServiceSession, tally: Tally, now_s: float) -> None:
        """See how things stand, several times a slot."""


async def play(plan: DemoPlan, audience: Audience, *, stay: Callable[[DemoOutcome], None] | None = None) -> DemoOutcome:
    """Play it. With `stay`, the outcome is handed over there and everything goes on until cancelled, its clock stopped.

    Raises:
        BackendError, EnvoyError, StartError: something could not be started; nothing is left running.
    """
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="carbonrouter-")))
        audience.stage("starting three flavours of carbonstat and asking each what an answer costs")
        backends = await stack.enter_async_context(running_backends(numbers=plan.numbers))
        audience.stage("starting the control plane and Envoy")
        clock = StoppingClock(start_s=plan.start_s - (_LEAD_S if plan.outage else 0.0), speed=plan.speed)
        provider = await stack.enter_async_context(_provider(plan, clock))
        config_path = folder / "carbonrouter.yaml"
        config_path.write_text(yaml.safe_dump(_config(plan, backends, provider), sort_keys=False), encoding="utf-8")
        runtime = Runtime(load_config(config_path, Config), clock=clock)
        await stack.enter_async_context(runtime.running())
        outcome = await _played(plan, backends, runtime, clock, audience)
        if stay is not None:
            # The last day as it ended is what there is to look at; after it comes an empty one.
            clock.stop(plan.end_s - 1.0)
            stay(outcome)
            await asyncio.Event().wait()
        return outcome


async def _played(
    plan: DemoPlan, backends: tuple[Backend, ...], runtime: Runtime, clock: Clock, audience: Audience
) -> DemoOutcome:
    page, url = f"http://{runtime.config.api.listen}/", f"http://{runtime.config.gateway.listen}/avg"
    audience.page(page)
    audience.stage(f"sending {sum(plan.requests):,} requests to {url}")
    requests = DayOfRequests(
        url=url,
        clock=clock,
        start_s=plan.start_s,
        slot_s=plan.trace.slot_s,
        requests=plan.requests,
        parts=_quiet_midnights(plan),
    )
    session = runtime.engine.sessions[KEY]
    keeper, watch = DayKeeper(plan, session), SourceWatch(page, KEY)

    def look() -> None:
        # The session of now: a changed configuration would make another.
        keeper.look(clock.now_s())
        audience.tick(session, requests.tally, clock.now_s())

    async with _repeated(look), _watching(watch if plan.outage else None):
        await requests.run()
        # The last slot's actual intensity is known only once it has passed.
        await clock.sleep(plan.end_s + 4 * _refresh_s(plan) * plan.speed - clock.now_s())
    return DemoOutcome(
        plan=plan, backends=backends, tally=requests.tally, days=keeper.days(), sightings=tuple(watch.sightings)
    )


def _quiet_midnights(plan: DemoPlan) -> dict[int, tuple[float, float]]:
    """From where to where requests are sent in the slots beside the ends of windows, in shares of the slot.

    Nothing was before the first window unless the clock began before it.
    """
    slot_s, report_s = plan.trace.slot_s, _refresh_s(plan) * plan.speed
    after, before = (min(reports * report_s / slot_s, _MOST_QUIET) for reports in (1.5, 2.5))
    parts = {}
    for start_s, end_s in plan.windows:
        first, last = round((start_s - plan.start_s) / slot_s), round((end_s - plan.start_s) / slot_s) - 1
        if start_s > plan.start_s or plan.outage is not None:
            parts[first] = (after, 1.0)
        parts[last] = (0.0, 1.0 - before)
    return parts


def _refresh_s(plan: DemoPlan) -> float:
    """Real seconds from one decision, and one report of a proxy, to the next."""
    slot_s = plan.trace.slot_s / plan.speed
    return round(min(max(slot_s / _REFRESHES_A_SLOT, _LEAST_REFRESH_S), _MOST_REFRESH_S), 3)


@contextlib.asynccontextmanager
async def _repeated(look: Callable[[], None]) -> AsyncIterator[None]:
    """Look again and again while the context lasts, and once at its end."""

    async def run() -> None:
        while True:
            look()
            await asyncio.sleep(_MOST_REFRESH_S)

    async with _meanwhile(run()):
        yield
    look()


@contextlib.asynccontextmanager
async def _watching(watch: SourceWatch | None) -> AsyncIterator[None]:
    if watch is None:
        yield
        return
    async with _meanwhile(watch.run()):
        yield


@contextlib.asynccontextmanager
async def _meanwhile(what: Any) -> AsyncIterator[None]:
    """Run a coroutine beside the context; what ends it by itself ends the context with it."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(what)
        try:
            yield
        finally:
            task.cancel()


@contextlib.asynccontextmanager
async def _provider(plan: DemoPlan, clock: Clock) -> AsyncIterator[str | None]:
    """The provider that will be down for a while; gives its base URL. Without an outage there is none."""
    if plan.outage is None:
        yield None
        return
    down = Fault(kind=Kind.DOWN, from_s=plan.outage.start_s, until_s=plan.outage.end_s, planned=True)
    options = SimOptions(noise_pct=plan.outage.noise_pct, planned=(down,))
    async with serving_sim(recorded(plan.outage.recording), clock=clock, options=options) as base_url:
        yield base_url


def _config(plan: DemoPlan, backends: Sequence[Backend], provider: str | None) -> dict[str, Any]:
    """The same file a user would write."""
    gateway, status = _free_ports(2)
    refresh = f"{_refresh_s(plan):g}s"
    carbon = {"source": "file", "path": str(plan.trace_path.resolve())}
    if provider is not None:
        carbon = {"source": "gb", "base_url": provider}
    service: dict[str, Any] = {
        "name": SERVICE,
        "budget": {"max_error_pct": plan.max_error_pct, "window": f"{plan.window_s:g}s"},
        "carbon": carbon,
        "flavours": [
            {
                "name": backend.flavour,
                "precision_pct": backend.precision_pct,
                "energy_j": backend.energy_j,
                "endpoints": [backend.address],
            }
            for backend in backends
        ],
    }
    if plan.demand_path is not None:
        service["demand"] = {"path": str(plan.demand_path.resolve()), "scale": plan.scale}
    return {
        "gateway": {
            "listen": f"127.0.0.1:{gateway}",
            "refresh": refresh,
            "ttl": f"{_TTL_S:g}s",
            "report_every": refresh,
        },
        "api": {"listen": f"127.0.0.1:{status}"},
        "state_dir": "state",
        "services": [service],
    }


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
