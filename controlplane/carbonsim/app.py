"""The application: providers' shapes and controls over one `Provider`, behind a delivery that can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from controlplane.carbonsim.controls import fault_router, scenario_router
from controlplane.carbonsim.delivery import FaultyDelivery
from controlplane.carbonsim.electricity_maps import electricity_maps_router
from controlplane.carbonsim.errors import ApiError, electricity_maps_error, gb_error
from controlplane.carbonsim.faults import Fault, FaultBook
from controlplane.carbonsim.gb import gb_router
from controlplane.carbonsim.provider import Provider
from controlplane.carbonsim.requestlog import RequestLog


def create_app(
    provider: Provider, *, token: str | None, planned: Sequence[Fault], seed: int, stopping: asyncio.Event
) -> ASGIApp:
    """The application; `token` is what Electricity Maps' header must hold, None for anything."""
    app = FastAPI(title="carbon-sim", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    faults, log = FaultBook(planned, seed=seed), RequestLog()
    app.include_router(gb_router(provider))
    app.include_router(electricity_maps_router(provider, token=token))
    app.include_router(scenario_router(provider))
    app.include_router(fault_router(provider, faults, log))

    @app.exception_handler(ApiError)
    async def refused(request: Request, error: ApiError) -> JSONResponse:
        return _refusal(request, error.status, str(error))

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        return _refusal(request, error.status_code, str(error.detail))

    return FaultyDelivery(app, provider=provider, faults=faults, log=log, stopping=stopping)


def _refusal(request: Request, status: int, message: str) -> JSONResponse:
    maps = request.url.path.startswith("/v3")
    return JSONResponse(electricity_maps_error(message) if maps else gb_error(status, message), status_code=status)
