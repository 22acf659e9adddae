"""Between the provider's healthy answers and the wire: counts requests, applies faults, delivers what is left."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controlplane.carbonsim.answer import Answer
from controlplane.carbonsim.breakage import broken
from controlplane.carbonsim.faults import Fault, FaultBook
from controlplane.carbonsim.provider import Provider
from controlplane.carbonsim.requestlog import RequestLog

_PROVIDED = ("/intensity", "/regional", "/v3")
_FILLER = b"x" * 65_536
# Lingering for no time makes the kernel send a reset in place of an orderly end.
_NO_LINGER = struct.pack("ii", 1, 0)


class FaultyDelivery:
    """Wraps an application; what is no path of a provider, such as the controls, passes untouched.

    `stopping` cuts waits short. It needs the connection's transport in `scope["state"]["transport"]` (see `server`).
    """

    def __init__(
        self, app: ASGIApp, *, provider: Provider, faults: FaultBook, log: RequestLog, stopping: asyncio.Event
    ) -> None:
        self._app = app
        self._provider = provider
        self._faults = faults
        self._log = log
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        if scope["type"] != "http" or not scope["path"].startswith(_PROVIDED):
            await self._app(scope, receive, send)
            return
        path, now_s = scope["path"], self._provider.now_s()
        self._log.add(path, now_s=now_s)
        hits = self._faults.hits(path, now_s=now_s)
        if not hits:
            await self._app(scope, receive, send)
            return
        await self._deliver(await self._broken(scope, receive, hits), scope, receive, send)

    async def _broken(self, scope: Scope, receive: Receive, hits: tuple[Fault, ...]) -> Answer:
        answer = await _answered(self._app, scope, receive)
        for fault in hits:
            answer = broken(answer, fault)
        return answer

    async def _deliver(self, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        transport: asyncio.Transport = scope["state"]["transport"]
        if answer.delay_s:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), answer.delay_s)
        if answer.reset:
            _reset(transport)
            await _gone(receive)
            return
        await send(_head(answer))
        if answer.cut_at is not None:
            await send({"type": "http.response.body", "body": answer.body[: answer.cut_at], "more_body": True})
            transport.close()
            await _gone(receive)
            return
        body = answer.body
        if answer.filler_bytes:
            await send({"type": "http.response.body", "body": body[:-2], "more_body": True})
            await self._fill(answer.filler_bytes, transport, send)
            body = body[-2:]
        await send({"type": "http.response.body", "body": body})

    async def _fill(self, size: int, transport: asyncio.Transport, send: Send) -> None:
        left = size
        # Whoever reads slowly must not keep the server from stopping.
        cutter = asyncio.create_task(self._cut_when_stopping(transport))
        try:
            while left > 0 and not transport.is_closing():
                await send({"type": "http.response.body", "body": _FILLER[:left], "more_body": True})
                left -= len(_FILLER)
                # A socket that takes all at once never suspends, and others want to be served too.
                await asyncio.sleep(0)
        finally:
            cutter.cancel()

    async def _cut_when_stopping(self, transport: asyncio.Transport) -> None:
        await self._stopping.wait()
        transport.abort()


async def _answered(app: ASGIApp, scope: Scope, receive: Receive) -> Answer:
    """What `app` answers, held back; its answers are bounded, for the longest range is."""
    status, body = 500, bytearray()
    headers: tuple[tuple[str, str], ...] = ()

    async def hold(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = tuple((name.decode(), value.decode()) for name, value in message["headers"])
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, hold)
    kept = tuple(header for header in headers if header[0] != "content-length")
    return Answer(status=status, body=bytes(body), headers=kept)


def _head(answer: Answer) -> Message:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers]
    if not answer.filler_bytes:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


def _reset(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


async def _gone(receive: Receive) -> None:
    """Wait until the server knows that the connection is gone; it would complete the answer otherwise."""
    while (await receive())["type"] != "http.disconnect":
        pass
