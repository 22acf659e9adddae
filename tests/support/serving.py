"""An xDS server on a Unix socket, with what it was told by proxies."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xds import LoadReport, ProxyStatus, SnapshotCache, TypeUrl, XdsServer
from xds.syncstatus import SyncCounters


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that listens, the cache it serves, and the load reports it got."""

    server: XdsServer
    cache: SnapshotCache
    socket: str
    reports: list[LoadReport] = field(default_factory=list)

    @property
    def address(self) -> str:
        """For gRPC clients."""
        return f"unix:{self.socket}"

    @property
    def counters(self) -> SyncCounters:
        """Totals since the start."""
        return self.server.registry.counters

    @property
    def proxies(self) -> tuple[ProxyStatus, ...]:
        """Who is connected."""
        return self.server.registry.proxies()

    def accepted(self, label: str, *, types: frozenset[TypeUrl] = frozenset(TypeUrl)) -> bool:
        """Whether one proxy at least is connected, and each has accepted the snapshot `label` in all `types`."""
        proxies = self.proxies
        return bool(proxies) and all(
            each.types.keys() >= types and all(each.types[type_url].acked == label for type_url in types)
            for each in proxies
        )


@asynccontextmanager
async def serving(directory: Path, **options: Any) -> AsyncIterator[Serving]:
    """A server in `directory`, stopped at the end; `options` are those of `XdsServer`."""
    cache = SnapshotCache()
    reports: list[LoadReport] = []
    server = XdsServer(cache, on_report=reports.append, **options)
    socket = str(directory / "xds.sock")
    server.listen(f"unix:{socket}")
    await server.start()
    try:
        yield Serving(server, cache, socket, reports)
    finally:
        await server.stop(grace_s=0)
