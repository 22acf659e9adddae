"""Before any route: who may ask, how much, and how often."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controlplane.api.problems import ProblemError, problem_response
from controlplane.api.token import BearerToken
from controlplane.metrics import ApiMetrics

MOST_BODY_BYTES = 256 * 1024
_BODY_S = 10.0
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# The reference's GET that makes a service where there is none, and the streams of which there are only so many.
_COSTLY = frozenset({"/schedule", "/api/v1/events"})
_HEALTH = frozenset({"/healthz", "/readyz"})
_OPEN = (*_HEALTH, "/page/")
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Lets through what may pass, refuses the rest with a problem, and counts both.

    Without a token only this machine can reach us; then a page in somebody's browser must not act in their name, so
    names other than this machine's and what browsers mark as coming from elsewhere are refused.

    Args:
        app: what is guarded.
        token: who brings it may ask; None where only this machine can reach us.
        own_host: the address we listen on.
        per_second: requests of one client, on average over two seconds.
        metrics: where answers are counted.
    """

    def __init__(
        self, app: ASGIApp, *, token: BearerToken | None, own_host: str, per_second: float, metrics: ApiMetrics
    ) -> None:
        self._app = app
        self._token = token
        self._hosts = _LOCAL_HOSTS | {own_host}
        self._rate = RateLimitItemPerSecond(max(1, round(2 * per_second)), 2)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or have it answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s, status, answered_s = time.perf_counter(), 500, None

        async def sending(message: Message) -> None:
            nonlocal status, answered_s
            if message["type"] == "http.response.start":  # a stream of events may go on for an hour after that
                status, answered_s = message["status"], time.perf_counter()
            await send(message)

        try:
            problem = self._objection(scope)
            if problem is not None:
                await problem_response(problem)(scope, receive, sending)
            else:
                await self._app(scope, _bounded(receive), sending)
        finally:
            template = getattr(scope.get("route"), "path", None)
            seconds = (answered_s or time.perf_counter()) - began_s
            self._metrics.observe(route=template, method=scope["method"], status=status, seconds=seconds)

    def _objection(self, scope: Scope) -> ProblemError | None:
        headers = Headers(scope=scope)
        if _length(headers) > MOST_BODY_BYTES:
            return ProblemError(413, f"a body may have {MOST_BODY_BYTES} bytes")
        if (stranger := self._stranger(scope, headers)) is not None:
            return (
                stranger  # before the rate: what is refused anyway must not use up what others of this address may ask
            )
        client = scope.get("client")
        if scope["path"] in _HEALTH or self._limiter.hit(self._rate, client[0] if client else "unknown"):
            return None
        return ProblemError(429, "too many requests; see api.requests_per_second", headers={"Retry-After": "1"})

    def _stranger(self, scope: Scope, headers: Headers) -> ProblemError | None:
        path: str = scope["path"]
        if path == "/" or path.startswith(_OPEN):
            return None
        if self._token is not None:
            if self._token.opens(headers.get("authorization", "")):
                return None
            return ProblemError(
                401, "bring the token: Authorization: Bearer ...", headers={"WWW-Authenticate": "Bearer"}
            )
        host = headers.get("host", "")
        if _name(f"//{host}") not in self._hosts:
            return ProblemError(403, "this address is not ours; ask by the address we listen on")
        if (scope["method"] not in _READING or path in _COSTLY) and _from_elsewhere(headers, host):
            return ProblemError(403, "a page of another site may not steer services, nor listen to us")
        return None


def _from_elsewhere(headers: Headers, host: str) -> bool:
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return True
    origin = headers.get("origin")
    return origin is not None and _authority(origin) != host


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _authority(url: str) -> str | None:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return None


def _length(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else MOST_BODY_BYTES + 1


def _bounded(receive: Receive) -> Callable[[], Awaitable[Message]]:
    """A body sent in chunks says no length before, and may be announced and never come."""
    taken, whole = 0, False

    async def receiving() -> Message:
        nonlocal taken, whole
        try:
            async with asyncio.timeout(None if whole else _BODY_S):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "the body did not come in time") from None
        whole = not message.get("more_body", False)
        taken += len(message.get("body", b""))
        if taken > MOST_BODY_BYTES:
            raise HTTPException(413, f"a body may have {MOST_BODY_BYTES} bytes")
        return message

    return receiving
