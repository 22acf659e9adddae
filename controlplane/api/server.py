"""Serving the HTTP application inside the control plane's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator

import uvicorn
from fastapi import FastAPI

from controlplane.api.app import create_app
from controlplane.api.token import BearerToken
from controlplane.config import Tls
from controlplane.host import EngineHost
from controlplane.intent import Endpoint
from controlplane.planned import endpoint
from controlplane.statedir import StartError

logger = logging.getLogger(__name__)

_MOST_CONNECTIONS = 2_000
_GRACE_S = 2


class _Server(uvicorn.Server):
    """Leaves the process's signals to whoever owns the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serve_api(host: EngineHost) -> AsyncIterator[None]:
    """Serve the API, the page and the metrics of `host` while the context lasts.

    Raises:
        StartError: the address cannot be bound, or the token or certificate cannot be used.
    """
    api = host.config.api
    listen = endpoint(api.listen)
    token = None if api.token_file is None else BearerToken(api.token_file)
    if not api.loopback and api.tls is None:
        logger.warning("the API on %s can be reached from other machines without TLS: set api.tls", listen)
    app = create_app(host, token=token, own_host=listen.address)
    try:
        async with serving(app, listen, tls=api.tls):
            yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StartError(f"cannot serve the API on {listen}: {reason}; set api.listen") from error


@contextlib.asynccontextmanager
async def serving(app: FastAPI, listen: Endpoint, *, tls: Tls | None = None) -> AsyncIterator[None]:
    """Serve `app` while the context lasts.

    Raises:
        OSError: the address cannot be bound.
        StartError: the certificate or its key cannot be used.
    """
    family = socket.AF_INET6 if ":" in listen.address else socket.AF_INET
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=None if tls is None else tls.cert,
        ssl_keyfile=None if tls is None else str(tls.key),
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"api.tls: the certificate or its key cannot be used: {error.strerror or error}") from error
    listener = socket.create_server((listen.address, listen.port), family=family)
    # Connections inherit it; without it the second part of an answer waits for the client's delayed ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
        listener.close()
