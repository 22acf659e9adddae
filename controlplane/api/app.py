"""The HTTP application: status, metrics, health."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


def create_app(
    *, status: Callable[[], dict[str, Any]], registry: CollectorRegistry, ready: Callable[[], bool]
) -> FastAPI:
    """An application over the three things it shows; it holds no state of its own."""
    app = FastAPI(title="carbonrouter", docs_url=None, redoc_url=None)

    @app.get("/status")
    async def show_status() -> dict[str, Any]:
        """Services, their decisions and reasons, budgets, carbon sources, and connected proxies."""
        return status()

    @app.get("/metrics")
    async def show_metrics() -> Response:
        """Prometheus metrics."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/healthz")
    async def healthy() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz")
    async def is_ready(response: Response) -> dict[str, str]:
        """A first schedule has been published."""
        response.status_code = 200 if ready() else 503
        return {"status": "ready" if ready() else "starting"}

    return app
