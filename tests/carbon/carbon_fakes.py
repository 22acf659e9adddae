"""A clock that moves when it is told to, a provider that answers with any bytes, and a source of any outcome."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from controlplane.carbon import CarbonSeries

START_S = datetime(2023, 1, 10, 12, 10, tzinfo=UTC).timestamp()
SLOT = datetime(2023, 1, 10, 12, 0, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)


class FakeClock:
    def __init__(self, now_s: float = START_S) -> None:
        self.time_s = now_s
        self.slept: list[float] = []

    def now_s(self) -> float:
        return self.time_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time_s += seconds


def series(start_s: float = START_S, slots: int = 96, slot_s: float = 1800.0) -> CarbonSeries:
    return CarbonSeries(
        source="fake",
        zone="Z",
        kind="average",
        basis="generation",
        licence="none",
        start_s=start_s,
        slot_s=slot_s,
        forecast_g_per_kwh=np.full(slots, 100.0),
        actual_g_per_kwh=np.full(slots, np.nan),
        issued_at_s=start_s,
    )


class FakeSource:
    """Returns or raises the next outcome; the last one for ever."""

    name = "fake"
    zone = "Z"
    kind = "average"
    basis = "generation"

    def __init__(self, *outcomes: CarbonSeries | BaseException, poll_s: float = 1800.0) -> None:
        self.outcomes = list(outcomes)
        self.poll_s = poll_s
        self.asked_at: list[float] = []
        self.closed = False

    async def fetch(self, *, now_s: float) -> CarbonSeries:
        self.asked_at.append(now_s)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def aclose(self) -> None:
        self.closed = True


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%MZ")


def row(at: datetime, *, forecast: Any = 266, actual: Any = None, length: timedelta = HALF_HOUR) -> dict[str, Any]:
    values = {"forecast": forecast, "actual": actual, "index": "moderate"}
    return {"from": iso(at), "to": iso(at + length), "intensity": values}


def rows(start: datetime, count: int) -> list[dict[str, Any]]:
    return [row(start + index * HALF_HOUR, forecast=100 + index) for index in range(count)]


def answer(
    body: Any = b"", *, status: int = 200, headers: Iterable[tuple[str, str]] = (), length: int | None = None
) -> bytes:
    """One HTTP answer; what is not bytes becomes JSON, `length` may lie."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", "Connection: close", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(data) if length is None else length}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + data


@dataclass(frozen=True)
class Request:
    """What was asked for; header names are in lower case."""

    target: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2]))


@dataclass(frozen=True)
class Flood:
    """A body of 100 MB of white space, its length announced or not."""

    announced: bool
    size: int = 100_000_000


RESET = object()
"""Instead of an answer the connection is reset."""

Reply = bytes | Flood | object | None
"""None is no answer at all."""


class Provider:
    """A raw HTTP server on a free port; `respond` maps a path, `respond_to` a whole request, to a reply."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.requests: list[Request] = []
        self.sent_bytes = 0
        self.url = ""
        self.respond: Callable[[str], Reply] = lambda _: answer({"data": []})
        self.respond_to: Callable[[Request], Reply] = lambda request: self.respond(request.target)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            request = _request(head.decode())
            self.paths.append(request.target)
            self.requests.append(request)
            reply = self.respond_to(request)
            if reply is None:
                await reader.read()
            elif reply is RESET:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            elif isinstance(reply, Flood):
                await self._flood(reply, writer)
            else:
                assert isinstance(reply, bytes)
                writer.write(reply)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _flood(self, flood: Flood, writer: asyncio.StreamWriter) -> None:
        length = f"Content-Length: {flood.size}" if flood.announced else "Transfer-Encoding: chunked"
        writer.write(f"HTTP/1.1 200 OK\r\n{length}\r\n\r\n".encode())
        block = b" " * 65_536
        piece = block if flood.announced else b"10000\r\n" + block + b"\r\n"
        while self.sent_bytes < flood.size:
            writer.write(piece)
            await writer.drain()
            self.sent_bytes += len(block)


def _request(head: str) -> Request:
    first, *lines = head.rstrip("\r\n").split("\r\n")
    fields = (line.partition(":") for line in lines)
    return Request(first.split(" ", 2)[1], {name.lower(): value.strip() for name, _, value in fields})


@asynccontextmanager
async def serving() -> AsyncIterator[Provider]:
    provider = Provider()
    server = await asyncio.start_server(provider.handle, "127.0.0.1", 0)
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield provider
