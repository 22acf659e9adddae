"""`carbonrouter engine` as a process of its own that is killed and started again; its clock goes on meanwhile."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from controlplane.clock import ScaledClock
from tests.engine.day import BUDGETS, DAY, IN_FILE, START_S, terms
from tests.support.carbonrouter import COMMAND
from tests.support.ports import HOST, free_port

_REFRESH_S = 0.1


def engine_config(*, speed: float, began_s: float) -> dict[str, Any]:
    """A configuration with one service, whose clock stood at the day's start when the wall clock said `began_s`."""
    namespace, name = IN_FILE.split("/")
    return {
        "api": {"listen": f"{HOST}:{free_port()}", "requests_per_second": 10_000},
        "state_dir": "state",
        "gateway": {"refresh": f"{_REFRESH_S:g}s", "ttl": f"{5 * _REFRESH_S:g}s"},
        "rehearsal": {"start": _moment(START_S), "speed": speed, "began": _moment(began_s)},
        "sources": {"default": {"source": "file", "path": str(DAY), "repeat": True}},
        "services": [{"namespace": namespace, "name": name, **terms(BUDGETS[IN_FILE])}],
    }


def _moment(time_s: float) -> str:
    whole, part = divmod(time_s, 1.0)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f"{part:.6f}"[1:] + "Z"


@dataclass(slots=True)
class EngineProcess:
    """One configuration, and the process that comes and goes. `started` has the seconds from a start to an answer."""

    folder: Path
    speed: float
    config: dict[str, Any] = field(default_factory=dict)
    clock: ScaledClock = field(init=False)
    process: asyncio.subprocess.Process | None = None
    started: list[float] = field(default_factory=list)
    _spawned_s: float = 0.0

    def __post_init__(self) -> None:
        began_s = time.time()
        self.config = engine_config(speed=self.speed, began_s=began_s)
        self.clock = ScaledClock(start_s=START_S, speed=self.speed, began_s=began_s)

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.folder / "carbonrouter.yaml"

    @property
    def state_dir(self) -> Path:
        """Where it keeps what outlives it."""
        return self.folder / "state"

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://{self.config['api']['listen']}"

    @property
    def log(self) -> str:
        """What all its processes have said."""
        return (self.folder / "engine.log").read_text(errors="replace")

    def write(self) -> None:
        """Put the configuration in force, whole."""
        new = self.file.with_suffix(".new")
        new.write_text(yaml.safe_dump(self.config, sort_keys=False), encoding="utf-8")
        new.rename(self.file)

    async def spawn(self) -> None:
        """Start the process; it may take its time to answer."""
        self._spawned_s = time.monotonic()
        with (self.folder / "engine.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                COMMAND, "engine", "-f", str(self.file), stdout=log, stderr=log
            )

    async def answering(self, session: aiohttp.ClientSession) -> None:
        """Wait for the first answer of a process that was spawned."""
        async with asyncio.timeout(60):
            while True:
                assert self.process is not None
                assert self.process.returncode is None, f"it ended by itself:\n{self.log[-4000:]}"
                try:
                    async with session.get(f"{self.url}/readyz") as answer:
                        if answer.status == 200:
                            break
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.01)
        self.started.append(time.monotonic() - self._spawned_s)

    async def kill(self) -> None:
        """SIGKILL; harmless if there is none."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def stop(self) -> int:
        """Stop it as a service manager does; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 30)
