"""Run the service until it is told to stop, letting requests in flight finish."""

import asyncio
import logging
import signal
import socket
import sys
from types import FrameType

import uvicorn

from carbonstat.app import Settings, create_app

_log = logging.getLogger("carbonstat")

DRAIN_S = 30


class _AnnouncingServer(uvicorn.Server):
    """Says where it listens once it really does: with port 0 only then is the address known."""

    def __init__(self, config: uvicorn.Config, *, name: str) -> None:
        super().__init__(config)
        self._name = name

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        bracketed = f"[{host}]" if ":" in host else host
        _log.info("carbonstat %s listening on http://%s:%d", self._name, bracketed, port)


def serve(settings: Settings, *, host: str, port: int, access_log: bool) -> None:
    """Serve until SIGTERM or SIGINT; exits 0 on either, 3 when the address cannot be bound."""
    # The server takes over both signals and raises them again when it has drained: that ends here.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    config = uvicorn.Config(
        create_app(settings),
        host=host,
        port=port,
        ws="none",
        log_config=None,
        log_level="info" if access_log else "warning",
        access_log=access_log,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
    )
    asyncio.run(_AnnouncingServer(config, name=settings.flavour.value).serve())


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
