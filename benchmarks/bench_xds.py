"""xDS: reading a proxy's first request, making a snapshot, and how soon a schedule holds in a real Envoy.

Run with `python -m benchmarks.bench_xds`. Peers: envoy-data-plane as shipped, in an interpreter of its own, since
importing our codec speeds it up; for the schedule, a plain request through the same Envoy is the limit.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryRequest

from benchmarks.rows import Row, median_s, show
from controlplane.intent import (
    FLAVOUR_HEADER,
    TOTAL_WEIGHT,
    Endpoint,
    FlavourTarget,
    RoutingIntent,
    Topology,
    best_only,
)
from controlplane.publishers.envoy import Bootstrap, Gateway, envoy_snapshot, world
from controlplane.publishers.envoy.routes import virtual_host
from tests.support.backends import Backend, running_backends
from tests.support.dirs import short_directory
from tests.support.envoy import running_envoy
from tests.support.ports import HOST, reserved_port
from tests.support.serving import Serving, serving
from tests.support.wait import eventually
from xds import encode
from xds.proto import wire_pb2

SERVICES = 1000
CHANGES = 200
FOREVER_S = 4_102_444_800.0


def rows() -> list[Row]:
    """Everything this module measures."""
    return [*request_rows(), *route_rows(), *snapshot_rows(), *asyncio.run(schedule_rows())]


# --- a proxy's first request


def request_rows() -> list[Row]:
    """Parsing the first request of a real Envoy, in which it names its 516 extensions."""
    raw = asyncio.run(_first_request())
    ours = median_s(lambda: wire_pb2.DeltaDiscoveryRequest.FromString(raw), repeat=2000)
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(raw)
        theirs = _as_shipped("peer_parse", file.name)
    note = f"{len(raw) / 1000:.0f} KB, recorded from Envoy"
    return [
        Row("first request, our subset", ours * 1e6, "us", note),
        Row("first request, envoy-data-plane", theirs * 1e6, "us", "as shipped"),
        Row("first request, ratio", theirs / ours, "x"),
    ]


async def _first_request() -> bytes:
    arrived: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def record(_: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        raw = await context.read()
        if not arrived.done():
            arrived.set_result(raw)
        await context.abort(grpc.StatusCode.UNAVAILABLE)

    service = "envoy.service.discovery.v3.AggregatedDiscoveryService"
    method = {"DeltaAggregatedResources": grpc.stream_stream_rpc_method_handler(record)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, method),))
    with short_directory() as directory:
        socket = str(directory / "xds.sock")
        server.add_insecure_port(f"unix:{socket}")
        await server.start()
        try:
            async with running_envoy(_bootstrap(directory, socket), directory):
                return await asyncio.wait_for(arrived, 30)
        finally:
            await server.stop(0)


def peer_parse(path: str) -> float:
    """Seconds to parse the request in the file `path`; called in an interpreter of its own."""
    raw = Path(path).read_bytes()
    return median_s(lambda: DeltaDiscoveryRequest.parse(raw), repeat=30)


# --- one route, a thousand services


def route_rows() -> list[Row]:
    """Serialising the routes of one service with validators kept, and as shipped."""
    ours, theirs = encode_one_route(), _as_shipped("encode_one_route")
    return [
        Row("encode the routes of one service, cached validator", ours * 1e3, "ms"),
        Row("encode the routes of one service, envoy-data-plane", theirs * 1e3, "ms", "as shipped"),
        Row("encode the routes of one service, ratio", theirs / ours, "x"),
    ]


def encode_one_route() -> float:
    """Seconds to serialise the virtual host of one service with three flavours."""
    message = RouteConfiguration(virtual_hosts=[virtual_host(_topology(0))])
    return median_s(lambda: encode(message), repeat=50)


def snapshot_rows() -> list[Row]:
    """From intents to a consistent snapshot, when nothing is known yet and after one change."""
    topologies = [_topology(number) for number in range(SERVICES)]

    def first() -> None:
        world._service_parts.cache_clear()
        _snapshot(topologies)

    ports = count(10_000)

    def one_topology() -> None:
        topologies[SERVICES // 2] = _topology(SERVICES // 2, port=next(ports))
        _snapshot(topologies)

    note = f"{SERVICES} services of 3 flavours, {len(_snapshot(topologies))} resources"
    return [
        Row("snapshot, first time", median_s(first, repeat=3) * 1e3, "ms", note),
        Row("snapshot, one topology changed", median_s(one_topology, repeat=25) * 1e3, "ms"),
        Row("snapshot, weights changed", median_s(lambda: _snapshot(topologies), repeat=25) * 1e3, "ms"),
    ]


def _snapshot(topologies: Sequence[Topology]) -> Any:
    intents = [best_only(each, valid_until_s=FOREVER_S) for each in topologies]
    return envoy_snapshot(Gateway(listen=Endpoint(HOST, 8080), ttl_s=30.0), intents, label="")


def _topology(number: int, port: int = 9000) -> Topology:
    flavours = tuple(
        FlavourTarget(name=name, precision_pct=precision, endpoints=(Endpoint("10.0.0.1", port),))
        for name, precision in (("high", 100), ("mid", 95.5), ("low", 86.6))
    )
    return Topology("default", f"service-{number}", (f"s{number}.example",), flavours)


# --- a schedule, until it holds


async def schedule_rows() -> list[Row]:
    """Real Envoy; control plane, client and backends share one event loop, so each waits for the others."""
    with short_directory() as directory, reserved_port() as port:
        high, low = Backend("high"), Backend("low")
        async with running_backends(high, low), serving(directory) as server:
            schedule = _Schedule(server, port, high, low)
            schedule.turn()
            async with (
                running_envoy(_bootstrap(directory, server.socket), directory, "-l", "error"),
                _keep_alive(port, lambda: server.accepted(schedule.label)) as ask,
            ):
                plain = [await _timed(ask) for _ in range(5 * CHANGES)]
                acknowledged = [await schedule.acknowledged() for _ in range(CHANGES)]
                answered = [await schedule.answered(ask) for _ in range(CHANGES)]
    note = f"{CHANGES} changes"
    return [
        *_spread("schedule change to ACK", acknowledged, note),
        *_spread("schedule change to first answer of the new flavour", answered, note),
        *_spread("plain request through the same Envoy", plain, "the limit"),
    ]


class _Schedule:
    """All traffic on one flavour, and with each turn on the other."""

    def __init__(self, server: Serving, port: int, high: Backend, low: Backend) -> None:
        flavours = tuple(
            FlavourTarget(name=each.name, precision_pct=precision, endpoints=(Endpoint(HOST, each.port),))
            for each, precision in ((high, 100), (low, 80))
        )
        self._server = server
        self._gateway = Gateway(listen=Endpoint(HOST, port), ttl_s=60.0)
        self._intent = best_only(Topology("default", "bench", ("*",), flavours), valid_until_s=FOREVER_S)
        self._turns = 0

    @property
    def label(self) -> str:
        return str(self._turns)

    @property
    def flavour(self) -> str:
        return ("low", "high")[self._turns % 2]

    def turn(self) -> None:
        self._turns += 1
        weights = {"high": 0, "low": 0} | {self.flavour: TOTAL_WEIGHT}
        self._intent = RoutingIntent(self._intent.topology, weights, FOREVER_S)
        self._server.cache.publish(envoy_snapshot(self._gateway, [self._intent], label=self.label))

    async def acknowledged(self) -> float:
        acks = self._server.counters.acks
        began = time.perf_counter()
        self.turn()
        while self._server.counters.acks == acks:  # noqa: ASYNC110 - an event would need a hook in the server
            await asyncio.sleep(0)
        return time.perf_counter() - began

    async def answered(self, ask: Callable[[], Awaitable[str]]) -> float:
        began = time.perf_counter()
        self.turn()
        while await ask() != self.flavour:
            pass
        return time.perf_counter() - began


@asynccontextmanager
async def _keep_alive(port: int, ready: Callable[[], bool]) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """A function that makes one request on a connection kept open and returns the flavour that answered."""
    await eventually(ready, timeout=30)
    reader, writer = await asyncio.open_connection(HOST, port)

    async def ask() -> str:
        writer.write(b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n")
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        if " 200 " not in head[0]:
            raise RuntimeError(f"Envoy answered {head[0]}")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        await reader.readexactly(int(headers["content-length"]))
        return headers[FLAVOUR_HEADER]

    try:
        yield ask
    finally:
        writer.close()
        await writer.wait_closed()


async def _timed(ask: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await ask()
    return time.perf_counter() - began


# --- the tools


def _bootstrap(directory: Path, socket: str) -> Bootstrap:
    return Bootstrap(node_id="bench", xds_socket=socket, admin_socket=str(directory / "admin.sock"))


def _spread(name: str, seconds: Sequence[float], note: str) -> list[Row]:
    ordered = sorted(seconds)
    p99 = ordered[math.ceil(0.99 * len(ordered)) - 1]
    return [
        Row(f"{name}, p50", statistics.median(ordered) * 1e3, "ms", note),
        Row(f"{name}, p99", p99 * 1e3, "ms", note),
    ]


def _as_shipped(function: str, *arguments: str) -> float:
    """The result of a function of this module where betterproto2 has its own validation back."""
    source = (
        "import sys, betterproto2\n"
        "genuine = betterproto2.Message._validate\n"
        "from benchmarks import bench_xds\n"
        "betterproto2.Message._validate = genuine\n"
        f"print(bench_xds.{function}(*sys.argv[1:]))\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", source, *arguments]
    root = Path(__file__).parents[1]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout)


if __name__ == "__main__":
    show(rows())
