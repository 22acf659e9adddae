"""Backends that answer with their own name, count what they answer, and can be made to fail."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.support.ports import HOST


@dataclass(slots=True)
class Backend:
    """One flavour's backend.

    Attributes:
        status: the status of its answers; may be changed at any time.
        energy_j: reported with each answer by the ORCA header; None reports nothing.
        hits: requests answered, whatever the status.
        seen: the headers of the newest request.
    """

    name: str
    host: str = HOST
    port: int = 0
    status: int = 200
    energy_j: float | None = None
    hits: int = 0
    seen: dict[str, str] = field(default_factory=dict)
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen, on the same port as before if it has listened before."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def kill(self) -> None:
        """Close the listening socket and every connection; harmless if it does not listen."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        await request.read()
        self.hits += 1
        self.seen = {name.lower(): value for name, value in request.headers.items()}
        headers = {}
        if self.energy_j is not None:
            headers["endpoint-load-metrics"] = "JSON " + json.dumps({"named_metrics": {"energy_j": self.energy_j}})
        return web.Response(text=self.name, status=self.status, headers=headers)


@asynccontextmanager
async def running_backends(*backends: Backend) -> AsyncIterator[tuple[Backend, ...]]:
    """Start all, and close all at the end, killed ones included."""
    async with AsyncExitStack() as stack:
        for backend in backends:
            await backend.start()
            stack.push_async_callback(backend.kill)
        yield backends
