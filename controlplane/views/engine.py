"""The whole engine as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from controlplane.carbon import CarbonFeed
from controlplane.engine import Engine
from controlplane.views.conditions import trouble_of
from controlplane.views.proxies import proxy_status
from controlplane.views.service import service_line, service_view
from controlplane.views.sources import source_view
from controlplane.views.times import iso
from xds import ProxyStatus


def engine_view(
    engine: Engine, proxies: Sequence[ProxyStatus], *, services: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Everything about every service and proxy, JSON-safe. Shares are fractions, times ISO 8601 in UTC.

    `services` are their views where somebody has made them already, one by one.
    """
    now_s = engine.clock.now_s()
    if services is None:
        services = [service_view(session, now_s) for _, session in sorted(engine.sessions.items())]
    return {
        "time": iso(now_s),
        "services": services,
        "proxies": [proxy_status(proxy) for proxy in proxies],
        "feedback": feedback_view(engine),
    }


def feedback_view(engine: Engine) -> dict[str, float]:
    """What is known of reports: how many came, for what time they are missing, and whether books could be saved."""
    return {
        "reports": engine.feedback.reports,
        "unreported_seconds": round(engine.feedback.unreported_s, 3),
        "state_write_failures": engine.writer.failures,
    }


Order = Literal["name", "trouble"]


def services_page(engine: Engine, *, search: str, offset: int, limit: int, order: Order = "name") -> dict[str, Any]:
    """Some services, those with `search` in their names, one line each: by name, or those with most trouble first."""
    now_s = engine.clock.now_s()
    found = [session for key, session in sorted(engine.sessions.items()) if search in key]
    if order == "trouble":
        found.sort(key=lambda session: -len(trouble_of(session, now_s)))
    return {
        "time": iso(now_s),
        "generation": engine.changes.number,
        "total": len(found),
        "services": [service_line(session, now_s) for session in found[offset : offset + limit]],
    }


def sources_view(engine: Engine) -> list[dict[str, Any]]:
    """Every source in use, with the services that rest on it."""
    now_s = engine.clock.now_s()
    services: dict[CarbonFeed, list[str]] = {}
    for key, session in sorted(engine.sessions.items()):
        services.setdefault(session.feed, []).append(key)
    return [
        {**source_view(feed, now_s), "services": len(keys), "some_services": keys[:20]}
        for feed, keys in services.items()
    ]
