"""Carrying a `DeltaSession` over one gRPC stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from xds.delta import DeltaSession, Response
from xds.errors import BadRequestError
from xds.proto import wire_pb2
from xds.resource import TypeUrl
from xds.snapshot import SnapshotCache
from xds.subscription import SubscriptionRequest
from xds.syncstatus import SyncRegistry

logger = logging.getLogger(__name__)

# A reconnecting proxy repeats its subscriptions type by type. Until they are all here we cannot know what it still
# refers to, so nothing is deleted in the first moments of a stream.
_DELETIONS_AFTER_S = 0.25
_MAX_UNREAD_REQUESTS = 64
_LOGGED = 1000  # characters of a proxy's reason


# Awaited with a proxy's node id when clusters it did not have are complete, before anything sends traffic to them.
OnNewClusters = Callable[[str], Awaitable[None]]


class Peer(Protocol):
    """The two halves of a bidirectional stream."""

    async def read(self) -> wire_pb2.DeltaDiscoveryRequest | None:
        """The next request; None when the client has closed its half."""

    async def write(self, response: wire_pb2.DeltaDiscoveryResponse) -> None:
        """Send a response, waiting while the client's window is full."""


class DeltaStream:
    """One stream: requests in, responses out, one writer, newest content wins.

    What a slow reader has not taken is never queued: each response is computed from the newest snapshot at the
    moment the previous one has been accepted by the transport.
    """

    def __init__(
        self, peer: Peer, cache: SnapshotCache, registry: SyncRegistry, *, on_new_clusters: OnNewClusters
    ) -> None:
        self._peer = peer
        self._cache = cache
        self._registry = registry
        self._on_new_clusters = on_new_clusters
        self._session = DeltaSession()
        self._unread: asyncio.Queue[wire_pb2.DeltaDiscoveryRequest] = asyncio.Queue(_MAX_UNREAD_REQUESTS)
        self._wake = asyncio.Event()
        self._node_id = ""

    async def serve(self) -> None:
        """Serve until the client closes the stream.

        Raises:
            BadRequestError: the client broke the protocol.
        """
        reader = asyncio.ensure_future(self._read_all())
        reader.add_done_callback(lambda _: self._wake.set())
        try:
            with self._cache.watched(self._wake.set):
                await self._converse(reader)
        finally:
            self._registry.closed(self)
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read_all(self) -> None:
        while (request := await self._peer.read()) is not None:
            await self._unread.put(request)
            self._wake.set()

    async def _converse(self, reader: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        deletions_from = loop.time() + _DELETIONS_AFTER_S
        while True:
            self._wake.clear()
            early = loop.time() < deletions_from
            await self._push(deletions=not early)
            # After the push and not before: the reader's end may be what `clear` has just wiped out.
            if reader.done() and self._unread.empty():
                if (broken := reader.exception()) is not None:
                    logger.info("the stream of %s broke: %r", self._node_id or "a proxy", broken)
                return
            try:
                async with asyncio.timeout_at(deletions_from if early else None):
                    await self._wake.wait()
            except TimeoutError:
                continue  # deletions are due

    async def _push(self, *, deletions: bool) -> None:
        while True:
            # Between any two responses: an acceptance may free a deletion, an unsubscription may save a response.
            while not self._unread.empty():
                self._take(self._unread.get_nowait())
            if self._session.take_new_clusters():
                await self._on_new_clusters(self._node_id)
            publication = self._cache.current
            response = self._session.next(publication, deletions=deletions) if publication else None
            if response is None:
                return
            self._registry.counters.responses += 1
            await self._peer.write(_to_wire(response))

    def _take(self, request: wire_pb2.DeltaDiscoveryRequest) -> None:
        if not self._node_id:
            if not request.node.id:
                raise BadRequestError("the first request on a stream must carry node.id")
            self._node_id = request.node.id
            self._registry.opened(self, self._node_id, request.node.cluster, self._session)
        if not request.type_url:
            raise BadRequestError("a request on an aggregated stream must carry type_url")
        try:
            type_url = TypeUrl(request.type_url)
        except ValueError:
            self._registry.counters.unknown_types += 1
            logger.debug("%s asks for %s, which is not served", self._node_id, request.type_url)
            return
        error = request.error_detail.message or "no reason given" if request.HasField("error_detail") else None
        answered = self._session.request(
            type_url,
            SubscriptionRequest(
                subscribe=tuple(request.resource_names_subscribe),
                unsubscribe=tuple(request.resource_names_unsubscribe),
                initial_versions=dict(request.initial_resource_versions),
            ),
            nonce=request.response_nonce,
            error=error,
        )
        self._count(type_url, error, answered=answered)

    def _count(self, type_url: TypeUrl, error: str | None, *, answered: bool) -> None:
        if error is not None:
            self._registry.counters.nacks += 1
            logger.warning("%s rejected %s: %s", self._node_id, type_url.rpartition(".")[2], error[:_LOGGED])
        elif answered:
            self._registry.counters.acks += 1


def _to_wire(response: Response) -> wire_pb2.DeltaDiscoveryResponse:
    return wire_pb2.DeltaDiscoveryResponse(
        system_version_info=response.label,
        resources=[resource.wire for resource in response.resources],
        type_url=response.type_url,
        nonce=response.nonce,
        removed_resources=response.removed,
    )
