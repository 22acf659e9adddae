"""`carbonrouter up` as a process of its own, with a configuration a test chooses."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.support.ports import HOST, free_port
from tests.support.wait import eventually

COMMAND = str(Path(sys.executable).with_name("carbonrouter"))
PRECISIONS = {"high": 100.0, "mid": 95.5, "low": 86.6}
ENERGIES = {"high": 5.0, "mid": 3.3, "low": 1.8}
TTL_S = 1.5


@dataclass(slots=True)
class Installation:
    """One configuration file and the addresses in it; the process comes and goes.

    `config` may be changed and written again while the process runs.
    """

    folder: Path
    config: dict[str, Any]
    process: asyncio.subprocess.Process | None = None
    logs: list[Path] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.folder / "carbonrouter.yaml"

    @property
    def gateway(self) -> str:
        """Where requests go."""
        return f"http://{self.config['gateway']['listen']}"

    @property
    def status_url(self) -> str:
        """Where status and metrics are."""
        return f"http://{self.config['api']['listen']}"

    def write(self) -> None:
        """Write the configuration."""
        self.file.write_text(yaml.safe_dump(self.config, sort_keys=False), encoding="utf-8")

    async def start(self) -> None:
        """Start the process and wait until it says that it serves."""
        self.write()
        self.logs.append(self.folder / f"up-{len(self.logs)}.log")
        with self.logs[-1].open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                COMMAND, "-v", "up", "-f", str(self.file), stdout=log, stderr=log
            )
        await eventually(lambda: "live page:" in self.log or self.ended, timeout=30.0)
        assert not self.ended, self.log

    @property
    def log(self) -> str:
        """What the newest process has said."""
        return self.logs[-1].read_text(errors="replace")

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self.process is not None and self.process.returncode is not None

    async def kill(self) -> None:
        """Kill the control plane the hard way; its Envoy stays."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    async def terminate(self) -> int:
        """Stop it as a service manager does; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 30)

    async def status(self) -> dict[str, Any]:
        """The first service's status."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.status_url}/status") as response:
            answer: dict[str, Any] = await response.json()
            return {**answer["services"][0], "feedback": answer["feedback"], "proxies": answer["proxies"]}

    async def metrics(self) -> str:
        """The Prometheus exposition."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.status_url}/metrics") as response:
            return await response.text()

    def saved_requests(self) -> float:
        """Requests in the saved books of the only service."""
        [saved] = (self.folder / "state" / "services").glob("*.json")
        books = json.loads(saved.read_text())["controller"]["ledger"]["books"]
        return round(sum(window["requests"] for window in books), 6)

    def envoy_pid(self) -> int:
        """The process id of the Envoy that was started last."""
        return int(json.loads((self.folder / "state" / "envoy.pid.json").read_text())["pid"])


@asynccontextmanager
async def installation(
    folder: Path, endpoints: Mapping[str, str], *, max_error_pct: float
) -> AsyncIterator[Installation]:
    """An installation with one service of the flavours in `endpoints`, name to address; it ends with the context."""
    trace = folder / "trace.csv"
    trace.write_text(_flat_day(), encoding="utf-8")
    flavours = [
        {"name": name, "precision_pct": PRECISIONS[name], "energy_j": ENERGIES[name], "endpoints": [address]}
        for name, address in endpoints.items()
    ]
    config = {
        "gateway": {
            "listen": f"{HOST}:{free_port()}",
            "refresh": "250ms",
            "ttl": f"{TTL_S}s",
            "report_every": "250ms",
            "concurrency": 1,
        },
        "api": {"listen": f"{HOST}:{free_port()}"},
        "state_dir": "state",
        "services": [
            {
                "name": "shop",
                "budget": {"max_error_pct": max_error_pct, "window": _calm_window()},
                "carbon": {"source": "file", "path": trace.name, "repeat": True},
                "flavours": flavours,
            }
        ],
    }
    installed = Installation(folder, config)
    try:
        yield installed
    except BaseException as error:
        if installed.logs:
            error.add_note("carbonrouter up said:\n" + installed.log[-4000:])
        raise
    finally:
        if installed.process is not None and not installed.ended:
            await installed.kill()
        installed.write()
        down = await asyncio.create_subprocess_exec(
            COMMAND, "down", "-f", str(installed.file), stdout=asyncio.subprocess.DEVNULL
        )
        await down.wait()


def _flat_day() -> str:
    rows = (f"2023-01-01T{slot // 2:02}:{30 * (slot % 2):02}Z,200,200" for slot in range(48))
    return "\n".join(["time,carbon_actual_g_per_kwh,carbon_forecast_g_per_kwh", *rows]) + "\n"


def _calm_window() -> str:
    """A window length of about a day whose boundary is far from now: a window that rolls over starts new books."""
    now_s = time.time()
    lengths = (86_400, 100_000, 130_000)
    return f"{max(lengths, key=lambda length: min(now_s % length, length - now_s % length))}s"
