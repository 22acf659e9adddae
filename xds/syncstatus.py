"""Which proxies are connected, and how far each has come."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from xds.delta import DeltaSession, TypeStatus
from xds.resource import TypeUrl


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyStatus:
    """One connected stream as it is now."""

    node_id: str
    node_cluster: str
    connected_since_s: float
    types: Mapping[TypeUrl, TypeStatus]

    @property
    def rejected(self) -> Mapping[TypeUrl, str]:
        """The proxy's reason per type whose newest response it rejected."""
        return {type_url: each.nack for type_url, each in self.types.items() if each.nack is not None}


@dataclass(slots=True)
class SyncCounters:
    """Totals since the server started."""

    streams: int = 0
    responses: int = 0
    acks: int = 0
    nacks: int = 0
    unknown_types: int = 0
    refused_streams: int = 0


@dataclass(frozen=True, slots=True)
class _Stream:
    node_id: str
    node_cluster: str
    opened_s: float
    session: DeltaSession


@dataclass(slots=True)
class SyncRegistry:
    """Every open stream, by an identity of its own: a proxy may have two while an old one lingers."""

    counters: SyncCounters = field(default_factory=SyncCounters)
    _streams: dict[object, _Stream] = field(default_factory=dict)

    def opened(self, stream: object, node_id: str, node_cluster: str, session: DeltaSession) -> None:
        """A stream has named its node."""
        self.counters.streams += 1
        self._streams[stream] = _Stream(node_id, node_cluster, time.time(), session)

    def closed(self, stream: object) -> None:
        """The stream is gone; a stream that was never opened is ignored."""
        self._streams.pop(stream, None)

    def proxies(self) -> tuple[ProxyStatus, ...]:
        """Connected proxies as they are now, oldest stream first."""
        return tuple(
            ProxyStatus(
                node_id=stream.node_id,
                node_cluster=stream.node_cluster,
                connected_since_s=stream.opened_s,
                types={type_url: replace(status) for type_url, status in stream.session.status.items()},
            )
            for stream in self._streams.values()
        )
