"""The gRPC server: aggregated delta discovery, and load reporting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import Message

from xds.errors import BadRequestError
from xds.loadreport import LoadReport, LoadStreams
from xds.proto import wire_pb2
from xds.snapshot import SnapshotCache
from xds.stream import DeltaStream
from xds.syncstatus import SyncRegistry

logger = logging.getLogger(__name__)

_ADS = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_LRS = "envoy.service.load_stats.v3.LoadReportingService"

# An answer to a first request may hold thousands of names, each with its version.
_MAX_REQUEST_BYTES = 16 * 1024 * 1024
_DEFAULT_MAX_AGE_S = 30 * 60.0

OnReport = Callable[[LoadReport], None]


_DeltaContext: TypeAlias = grpc.aio.ServicerContext[wire_pb2.DeltaDiscoveryRequest, wire_pb2.DeltaDiscoveryResponse]


class XdsServer:
    """Serves one `SnapshotCache` to any number of proxies and hands their load reports on.

    Args:
        cache: what to serve; until it holds a snapshot, streams end with UNAVAILABLE and proxies come again.
        on_report: called in the event loop with each load report.
        report_every_s: how often proxies are asked to report.
        max_age_s: streams are ended after this long (gRPC adds jitter), so that proxies spread over replicas.
    """

    def __init__(
        self,
        cache: SnapshotCache,
        *,
        on_report: OnReport,
        report_every_s: float = 10.0,
        max_age_s: float = _DEFAULT_MAX_AGE_S,
    ) -> None:
        if report_every_s <= 0:
            raise ValueError("report_every_s must be above 0: at 0 Envoy reports without pause")
        self.registry = SyncRegistry()
        self._load_streams = LoadStreams(report_every_s)
        self._cache = cache
        self._on_report = on_report
        self._server = grpc.aio.server(options=_options(max_age_s))
        self._server.add_generic_rpc_handlers(
            (
                _handler(
                    _ADS,
                    "DeltaAggregatedResources",
                    self._discover,
                    wire_pb2.DeltaDiscoveryRequest,
                    wire_pb2.DeltaDiscoveryResponse,
                ),
                _handler(
                    _LRS,
                    "StreamLoadStats",
                    self._load_stats,
                    wire_pb2.LoadStatsRequest,
                    wire_pb2.LoadStatsResponse,
                ),
            )
        )

    def listen(self, address: str) -> int:
        """Bind to `address` (`unix:/path` or `host:port`, port 0 for a free one), in the clear; returns the port.

        Raises:
            OSError: the address cannot be bound.
        """
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"cannot listen for proxies on {address}: {error}") from error

    async def start(self) -> None:
        """Begin to serve."""
        await self._server.start()

    async def ask_for_reports(self) -> None:
        """Have every proxy report at once what it has served since its last report."""
        await self._load_streams.ask_soon()

    async def stop(self, grace_s: float = 1.0) -> None:
        """End every stream, after `grace_s` by force."""
        await self._server.stop(grace_s)

    async def _discover(self, _: object, context: _DeltaContext) -> None:
        if self._cache.current is None:
            self.registry.counters.refused_streams += 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "nothing to serve yet, come again")
        try:
            stream = DeltaStream(
                _GrpcPeer(context), self._cache, self.registry, on_new_clusters=self._load_streams.begin_period
            )
            await stream.serve()
        except BadRequestError as error:
            self.registry.counters.refused_streams += 1
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    async def _load_stats(
        self,
        requests: AsyncIterator[wire_pb2.LoadStatsRequest],
        context: grpc.aio.ServicerContext[wire_pb2.LoadStatsRequest, wire_pb2.LoadStatsResponse],
    ) -> None:
        turn = asyncio.Lock()

        async def write(response: wire_pb2.LoadStatsResponse) -> None:
            # The proxy's discovery stream writes here too. gRPC allows one write at a time, and a stream that is
            # ending must not take the other down with it.
            async with turn:
                with suppress(grpc.aio.BaseError):
                    await context.write(response)

        try:
            async for report in self._load_streams.reports(requests, write):
                self._on_report(report)
        except BadRequestError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


class _GrpcPeer:
    """A gRPC context as the two halves of a stream."""

    def __init__(self, context: _DeltaContext) -> None:
        self._context = context

    async def read(self) -> wire_pb2.DeltaDiscoveryRequest | None:
        request = await self._context.read()
        return request if isinstance(request, wire_pb2.DeltaDiscoveryRequest) else None

    async def write(self, response: wire_pb2.DeltaDiscoveryResponse) -> None:
        await self._context.write(response)


def _handler(
    service: str,
    method: str,
    behaviour: Callable[..., Any],
    request: type[Message],
    response: type[Message],
) -> grpc.GenericRpcHandler:
    """The method by name, without generated stubs: its messages are our subset of Envoy's."""
    return grpc.method_handlers_generic_handler(
        service,
        {
            method: grpc.stream_stream_rpc_method_handler(
                behaviour,
                request_deserializer=request.FromString,
                response_serializer=response.SerializeToString,
            )
        },
    )


def _options(max_age_s: float) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", _MAX_REQUEST_BYTES),
        ("grpc.max_connection_age_ms", round(max_age_s * 1000)),
        ("grpc.max_connection_age_grace_ms", 5_000),
        # Proxies ping idle streams to find a dead server; gRPC would close such a connection by default.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.so_reuseport", 0),
    ]
