"""Serving the HTTP application inside the control plane's event loop."""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
from collections.abc import AsyncIterator
from typing import Any

from controlplane.api.app import create_app
from controlplane.api.token import BearerToken
from controlplane.config import Api, Tls
from controlplane.host import EngineHost
from controlplane.planned import endpoint
from controlplane.statedir import StartError
from controlplane.web import serving

logger = logging.getLogger(__name__)

_GRACE_S = 2


@contextlib.asynccontextmanager
async def serve_api(host: EngineHost) -> AsyncIterator[None]:
    """Serve the API, the page and the metrics of `host` while the context lasts.

    Raises:
        StartError: the address cannot be bound, or the token or certificate cannot be used.
    """
    api = host.config.api
    listen = endpoint(api.listen)
    token = check_access(api)
    if not api.loopback and api.tls is None:
        logger.warning("the API on %s can be reached from other machines without TLS: set api.tls", listen)
    app = create_app(host, token=token, own_host=listen.address)
    tls: dict[str, Any] = {}
    if api.tls is not None:
        tls = {"ssl_certfile": api.tls.cert, "ssl_keyfile": str(api.tls.key)}
    async with contextlib.AsyncExitStack() as stack:
        server = serving(
            app,
            address=listen.address,
            port=listen.port,
            grace_s=_GRACE_S,
            **tls,
        )
        try:
            await stack.enter_async_context(server)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise StartError(f"cannot serve the API on {listen}: {reason}; set api.listen") from error
        try:
            yield
        finally:
            host.engine.changes.end()  # or those who listen would hold up the end


def check_access(api: Api) -> BearerToken | None:
    """The token that opens the API, None where it needs none.

    Raises:
        StartError: the token, the certificate or its key cannot be used.
    """
    if api.tls is not None:
        _check(api.tls)
    return None if api.token_file is None else BearerToken(api.token_file)


def _check(tls: Tls) -> None:
    for path in (tls.cert, tls.key):
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise StartError(f"api.tls: {path} cannot be read: {error.strerror}") from error
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(tls.cert, tls.key)
    except ssl.SSLError as error:
        raise StartError(f"api.tls: {tls.cert} and {tls.key} are no certificate and its key: {error.reason}") from error
