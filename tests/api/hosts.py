"""An engine of its own behind its API: in this process, on a clock that moves when told to."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from controlplane.api import serve_api
from controlplane.config import EngineConfig, load_config
from controlplane.host import EngineHost, NoDataPlane
from controlplane.views import iso
from tests.controlplane.fakes import START_S, ManualClock, settle
from tests.support.ports import free_port
from tests.support.wait import eventually

TERMS: dict[str, Any] = {
    "budget": {"max_error_pct": 4},
    "flavours": [
        {"name": "high", "precision_pct": 100, "energy_j": 10},
        {"name": "mid", "precision_pct": 95, "energy_j": 6},
        {"name": "low", "precision_pct": 90, "energy_j": 1},
    ],
}
SHOP = "/api/v1/services/default/shop"


@dataclass
class Served:
    """An engine, the client of its API, and its clock."""

    host: EngineHost
    client: aiohttp.ClientSession
    clock: ManualClock

    async def call(self, method: str, path: str, **sent: Any) -> tuple[int, Any]:
        """Status and JSON (or text) of one answer."""
        async with self.client.request(method, path, **sent) as answer:
            is_json = "json" in answer.headers.get("Content-Type", "")
            return answer.status, (await answer.json(content_type=None) if is_json else await answer.text())

    async def foreseen(self) -> None:
        """Wait until the first forecast is there and all have been decided for by it: nothing is pending then."""
        sessions = self.host.engine.sessions.values()
        await eventually(
            lambda: all(each.decision and each.decision.reasons.forecast == "provider" for each in sessions)
        )
        await settle()


def write_trace(path: Path) -> Path:
    """A day of half-hours from `START_S`: dear first, cheap later."""
    rows = ["time,carbon_actual_g_per_kwh,carbon_forecast_g_per_kwh"]
    rows += [f"{iso(START_S + slot * 1800)},{value},{value}" for slot, value in enumerate([500] * 24 + [50] * 24)]
    path.write_text("\n".join(rows) + "\n")
    return path


def engine_config(directory: Path, **changes: Any) -> EngineConfig:
    """A configuration with a recorded day as its source; `changes` are top-level keys."""
    write_trace(directory / "day.csv")
    content = {
        "api": {"listen": f"127.0.0.1:{free_port()}"},
        "state_dir": "state",
        "sources": {"default": {"source": "file", "path": "day.csv", "repeat": True}},
        **changes,
    }
    path = directory / "carbonrouter.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_config(path, EngineConfig)


@contextlib.asynccontextmanager
async def served(directory: Path, *, token: str | None = None, **changes: Any) -> AsyncIterator[Served]:
    """An engine and its API while the context lasts."""
    config = engine_config(directory, **changes)
    clock = ManualClock()
    host = EngineHost(config, NoDataPlane(), clock=clock)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with (
        host.running(),
        serve_api(host),
        aiohttp.ClientSession(f"http://{config.api.listen}", headers=headers) as client,
    ):
        yield Served(host, client, clock)
