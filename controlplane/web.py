"""Serving an HTTP application inside an event loop that is somebody else's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    """Leaves the process's signals to whoever owns the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, *, address: str, port: int, grace_s: int, **options: Any) -> AsyncIterator[int]:
    """Serve `app` while the context lasts; gives the port, a free one for 0.

    Connections that are still busy `grace_s` seconds after the end are cut. `options` are uvicorn's.

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
        **options,
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
