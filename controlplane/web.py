"""Serving an HTTP application inside an event loop that is somebody else's."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

_HEAD_S = 10.0
_MOST_CONNECTIONS = 2_000


class _Server(uvicorn.Server):
    """Leaves the process's signals to whoever owns the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class PromptProtocol(H11Protocol):
    """Hangs up on who connects and does not get to the end of a request's head in time, word by word or not at all.

    Uvicorn waits for that for ever, and the connections it may have are soon used up.
    """

    _overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take what was sent; a whole head ends the waiting, what comes after an answer begins it again."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._hurry_no_more()
        elif self._overdue is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._hurry_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._overdue = self.loop.call_later(_HEAD_S, self.transport.close)

    def _hurry_no_more(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, *, address: str, port: int, grace_s: int, **options: Any) -> AsyncIterator[int]:
    """Serve `app` while the context lasts; gives the port, a free one for 0.

    Connections that are still busy `grace_s` seconds after the end are cut; so many are taken that half of the file
    descriptors are left to others. `options` are uvicorn's.

    Raises:
        OSError: the address cannot be bound, or a file of `options` cannot be read.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=grace_s,
        limit_concurrency=min(_MOST_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2),
        **{"http": PromptProtocol, **options},
    )
    config.load()
    listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    # Connections inherit it. asyncio sets it only where it made the listener; without, each answer waits 40 ms for the
    # client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listener.close()
