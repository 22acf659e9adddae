"""Serving the HTTP application inside the control plane's event loop."""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
from collections.abc import AsyncIterator

from controlplane.api.app import create_app
from controlplane.api.token import BearerToken
from controlplane.host import EngineHost
from controlplane.planned import endpoint
from controlplane.statedir import StartError
from controlplane.web import serving

logger = logging.getLogger(__name__)

_MOST_CONNECTIONS = 2_000
_GRACE_S = 2


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
    tls = {} if api.tls is None else {"ssl_certfile": api.tls.cert, "ssl_keyfile": str(api.tls.key)}
    async with contextlib.AsyncExitStack() as stack:
        server = serving(
            app,
            address=listen.address,
            port=listen.port,
            grace_s=_GRACE_S,
            limit_concurrency=_MOST_CONNECTIONS,
            **tls,
        )
        try:
            await stack.enter_async_context(server)
        except ssl.SSLError as error:
            raise StartError(f"api.tls: the certificate or its key cannot be used: {error.reason}") from error
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise StartError(f"cannot serve the API on {listen}: {reason}; set api.listen") from error
        try:
            yield
        finally:
            host.engine.changes.end()  # or those who listen would hold up the end
