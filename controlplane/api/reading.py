"""What there is besides services: sources, proxies, events, health, metrics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from starlette.types import Receive, Scope, Send

from controlplane.api import models
from controlplane.api.access import Host
from controlplane.api.problems import ProblemError
from controlplane.host import EngineHost
from controlplane.views import engine_view, iso, proxy_status, service_view, sources_view
from controlplane.views.engine import feedback_view

MOST_LISTENERS = 200
_LEAST_PAUSE_S = 0.25
_KEEP_ALIVE_S = 15.0
_LONGEST_S = 3600.0


router = APIRouter()


@router.get("/api/v1/sources", tags=["sources"])
async def list_sources(host: Host) -> models.SourceList:
    """Every source of carbon figures in use, how good its series is, and what went wrong last."""
    sources = [models.SourceInUse(**each) for each in sources_view(host.engine)]
    return models.SourceList(time=iso(host.clock.now_s()), sources=sources)


@router.get("/api/v1/proxies", tags=["proxies"])
async def list_proxies(host: Host) -> models.ProxyList:
    """Connected proxies and how far each has come, and what is known of their reports."""
    return models.ProxyList(
        time=iso(host.clock.now_s()),
        proxies=[proxy_status(each) for each in host.plane.sync.proxies()],
        feedback=feedback_view(host.engine),
    )


@router.get(
    "/api/v1/events",
    tags=["events"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, 503: {}},
)
async def listen(host: Host) -> StreamingResponse:
    """Server-sent events: a `change` at every round of decisions and every steering; then ask for what you show."""
    return _Listening(host)


@router.get("/status", include_in_schema=False)
async def everything(host: Host) -> Response:
    """All of it at once, for a person with a terminal."""
    services = []
    for key in sorted(host.engine.sessions):
        if (session := host.engine.sessions.get(key)) is not None:
            services.append(service_view(session, host.clock.now_s()))
        await asyncio.sleep(0)  # with a thousand services others must have their turn in between
    told = engine_view(host.engine, host.plane.sync.proxies(), services=services)
    return Response(json.dumps(told), media_type="application/json")


@router.get(
    "/metrics",
    tags=["metrics"],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """Prometheus metrics; docs/metrics.md has the catalogue."""
    registry: CollectorRegistry = request.app.state.registry
    families = []
    for family in registry.collect():
        families.append(family)
        await asyncio.sleep(0)  # with a thousand services others must have their turn in between
    text = await asyncio.to_thread(generate_latest, _Collected(families))
    return Response(text, media_type=CONTENT_TYPE_LATEST)


class _Collected(CollectorRegistry):
    """What was collected already, in the shape in which it is printed."""

    def __init__(self, families: Sequence[Metric]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """The families."""
        return iter(self._families)


@router.get("/healthz", tags=["health"])
async def healthy() -> dict[str, str]:
    """The process answers."""
    return {"status": "ready"}


@router.get("/readyz", tags=["health"], responses={503: {}})
async def ready(host: Host) -> dict[str, str]:
    """A first round of decisions is out."""
    if host.engine.generation == 0:
        raise ProblemError(503, "the first decisions are still to be made", headers={"Retry-After": "1"})
    return {"status": "ready"}


class _Listening(StreamingResponse):
    """Events for one listener, who is counted from the moment it is let in until it is gone."""

    def __init__(self, host: EngineHost) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(_changes(host), media_type="text/event-stream", headers=headers)
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._host.listeners >= MOST_LISTENERS:
            raise ProblemError(503, "too many listen already", headers={"Retry-After": "10"})
        self._host.listeners += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._host.listeners -= 1


async def _changes(host: EngineHost) -> AsyncIterator[bytes]:
    """Changes as they happen, four a second at most; ends after an hour, or somebody gone might be told for ever."""
    loop = asyncio.get_running_loop()
    ends_s, seen = loop.time() + _LONGEST_S, host.engine.changes.number - 1
    while loop.time() < ends_s and not host.engine.changes.ended:
        try:
            async with asyncio.timeout(_KEEP_ALIVE_S):
                seen = await host.engine.changes.after(seen)
        except TimeoutError:
            yield b": still here\n\n"
            continue
        data = json.dumps({"generation": seen, "time": iso(host.clock.now_s())})
        yield f"event: change\ndata: {data}\n\n".encode()
        await asyncio.sleep(_LEAST_PAUSE_S)
