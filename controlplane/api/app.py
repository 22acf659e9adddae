"""The HTTP application: every route, and the guard before them."""

from __future__ import annotations

from fastapi import FastAPI

from controlplane.api import feedback, reading, reference, services, steering
from controlplane.api.guard import Guard
from controlplane.api.problems import tell_problems
from controlplane.api.token import BearerToken
from controlplane.host import EngineHost
from controlplane.metrics import registry_for
from controlplane.page import page_router

_DESCRIPTION = """
Carbon-aware splitting of traffic between the flavours of a service: what is decided and why, and how to steer it.

Times are ISO 8601 in UTC on the engine's clock; shares are fractions, weights integers of 10,000, grams g CO2e.
Errors are RFC 9457 problem details. Where a token is configured every request needs it: `Authorization: Bearer ...`.
"""


def create_app(host: EngineHost, *, token: BearerToken | None = None, own_host: str = "127.0.0.1") -> FastAPI:
    """An application over one engine; it holds no state of its own. `own_host` is the address it is served on."""
    app = FastAPI(
        title="carbonrouter",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would be built from whatever Host header came
    )
    tell_problems(app)
    app.state.host = host
    app.state.registry = registry_for(host.engine, host.plane.sync, runtime=host.counters, instruments=host.instruments)
    for part in (services, steering, feedback, reading, reference):
        app.include_router(part.router)
    app.include_router(page_router())
    app.add_middleware(
        Guard,
        token=token,
        own_host=own_host,
        per_second=host.config.api.requests_per_second,
        metrics=host.instruments.api,
    )
    return app
