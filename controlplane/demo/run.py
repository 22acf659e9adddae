"""The demo from start to end: flavours, control plane, Envoy, a day of requests, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from controlplane.accounting import SlotRecord, Summary
from controlplane.clock import ScaledClock
from controlplane.config import Config, load_config
from controlplane.demo.backends import Backend, running_backends
from controlplane.demo.load import DayOfRequests, Tally
from controlplane.local.runtime import Runtime
from controlplane.session import ServiceSession
from scheduler import Trace

SERVICE = "carbonstat"
# Real seconds. A slot lasts about two, so counts must come back several times within it.
_REFRESH_S = 0.25
_TTL_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """What to play.

    Attributes:
        trace: the recorded day; its requests_actual are scaled to `requests_per_slot` on average.
        trace_path: where it came from.
        speed: how many recorded seconds pass in one real second.
        max_error_pct: the promise for the day.
        numbers: how many numbers a flavour averages for one answer; what costs energy.
    """

    trace: Trace
    trace_path: Path
    speed: float
    requests_per_slot: float
    max_error_pct: float
    numbers: int

    @property
    def scale(self) -> float:
        """Requests of the demo per request of the trace."""
        mean = 1.0 if self.trace.requests_actual is None else float(self.trace.requests_actual.mean())
        return self.requests_per_slot / mean if mean > 0 else 0.0

    @property
    def requests(self) -> list[int]:
        """How many requests each slot gets."""
        if self.trace.requests_actual is None:
            return [round(self.requests_per_slot)] * self.trace.carbon_actual.size
        return [round(count * self.scale) for count in self.trace.requests_actual]

    @property
    def start_s(self) -> float:
        """Start of the day, Unix seconds."""
        return self.trace.start_s

    @property
    def end_s(self) -> float:
        """End of the day, Unix seconds."""
        return self.trace.start_s + self.trace.slot_s * self.trace.carbon_actual.size


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOutcome:
    """What came of the day: what the client saw, and what the proxy reported.

    `summary` is judged with the energy that was planned with, `by_reported_energy` with the mean that answers reported.
    """

    plan: DemoPlan
    backends: tuple[Backend, ...]
    tally: Tally
    summary: Summary
    by_reported_energy: Summary
    slots: list[tuple[float, SlotRecord]]


Stage = Callable[[str], None]
OnTick = Callable[[ServiceSession, Tally, float], None]


async def play(plan: DemoPlan, *, on_stage: Stage, on_tick: OnTick) -> DemoOutcome:
    """Play the day; `on_stage` hears of each step before it, `on_tick` sees the session several times a slot.

    Raises:
        BackendError, EnvoyError, StartError: something could not be started; nothing is left running.
    """
    with tempfile.TemporaryDirectory(prefix="carbonrouter-") as folder:
        on_stage("starting three flavours of carbonstat and asking each what an answer costs")
        async with running_backends(numbers=plan.numbers) as backends:
            on_stage("starting the control plane and Envoy")
            config_path = Path(folder) / "carbonrouter.yaml"
            config_path.write_text(yaml.safe_dump(_config(plan, backends), sort_keys=False), encoding="utf-8")
            config = load_config(config_path, Config)
            clock = ScaledClock(start_s=plan.start_s, speed=plan.speed)
            runtime = Runtime(config, clock=clock)
            async with runtime.running():
                on_stage(f"sending {sum(plan.requests):,} requests to http://{config.gateway.listen}/avg")
                day = DayOfRequests(
                    url=f"http://{config.gateway.listen}/avg",
                    clock=clock,
                    start_s=plan.start_s,
                    slot_s=plan.trace.slot_s,
                    requests=plan.requests,
                    quiet_end_s=2.5 * _REFRESH_S * plan.speed,
                )
                session = runtime.engine.sessions[f"default/{SERVICE}"]
                async with _watching(session, day.tally, clock, on_tick):
                    await day.run()
                    # The last slot's actual intensity is known only once it has passed.
                    await clock.sleep(plan.end_s + 4 * _REFRESH_S * plan.speed - clock.now_s())
                return _outcome(plan, backends, day.tally, session)


def _outcome(plan: DemoPlan, backends: tuple[Backend, ...], tally: Tally, session: ServiceSession) -> DemoOutcome:
    summary = session.summary(plan.start_s, plan.end_s)
    reported = summary.metered_j_per_request
    flavours = [replace(each, energy_j=reported.get(each.name, each.energy_j)) for each in session.spec.flavours]
    return DemoOutcome(
        plan=plan,
        backends=backends,
        tally=tally,
        summary=summary,
        by_reported_energy=session.account.summary(
            flavours, max_error=session.spec.settings.max_error, start_s=plan.start_s, end_s=plan.end_s
        ),
        slots=session.account.between(plan.start_s, plan.end_s),
    )


@contextlib.asynccontextmanager
async def _watching(session: ServiceSession, tally: Tally, clock: ScaledClock, on_tick: OnTick) -> AsyncIterator[None]:
    async def watch() -> None:
        while True:
            on_tick(session, tally, clock.now_s())
            await asyncio.sleep(_REFRESH_S)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        on_tick(session, tally, clock.now_s())


def _config(plan: DemoPlan, backends: Sequence[Backend]) -> dict[str, Any]:
    """The same file a user would write."""
    gateway, status = _free_ports(2)
    trace = str(plan.trace_path.resolve())
    service: dict[str, Any] = {
        "name": SERVICE,
        "budget": {
            "max_error_pct": plan.max_error_pct,
            "window": f"{plan.end_s - plan.start_s:g}s",
        },
        "carbon": {"source": "file", "path": trace},
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
    if plan.trace.requests_forecast is not None:
        service["demand"] = {"path": trace, "scale": plan.scale}
    return {
        "gateway": {
            "listen": f"127.0.0.1:{gateway}",
            "refresh": f"{_REFRESH_S:g}s",
            "ttl": f"{_TTL_S:g}s",
            "report_every": f"{_REFRESH_S:g}s",
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


def aligned(trace: Trace) -> bool:
    """Whether the trace fills a budget window by itself: windows are aligned to the epoch."""
    length = trace.slot_s * trace.carbon_actual.size
    return math.isclose(trace.start_s % length, 0.0, abs_tol=1e-6)
