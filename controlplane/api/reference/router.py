"""`/schedule`, `/config`, `/setschedule` and `/feedback`, as the reference's engine answers them."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from controlplane.accounting import FlavourLoad
from controlplane.api.access import (
    Host,
    Namespace,
    ServiceName,
    Session,
    refusals,
    refuse_when_behind,
    refuse_when_full,
)
from controlplane.api.feedback import refuse_where_proxies_report
from controlplane.api.problems import ProblemError
from controlplane.api.reference import models
from controlplane.api.reference.configuration import request_of
from controlplane.api.reference.schedule import schedule_of
from controlplane.api.requests import Count
from controlplane.api.steering import steer
from controlplane.config import DEFAULT_SOURCE
from controlplane.config.promise import Moment
from controlplane.host import EngineHost
from controlplane.processing import credit_of
from controlplane.session import ServiceSession
from controlplane.steering import Override
from scheduler import TOTAL_WEIGHT

DEFAULT = "default/default"
_SENDER = "reference-feedback"
_LONGEST_S = 366 * 86_400.0


class ManualSchedule(BaseModel):
    """Weights to impose for `validFor` seconds, or until `validUntil`; without either as long as a schedule holds.

    They are normalised, and what else is sent is ignored.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    weights: Annotated[
        dict[Annotated[str, Field(max_length=253)], Annotated[float, Field(ge=0, le=1e9)]],
        Field(validation_alias="flavourWeights", min_length=1, max_length=100, examples=[{"precision-100": 70}]),
    ]
    valid_for: Annotated[float | None, Field(validation_alias="validFor", ge=1, le=_LONGEST_S, examples=[60])] = None
    valid_until: Annotated[Moment | None, Field(validation_alias="validUntil")] = None


class Feedback(BaseModel):
    """Counts by flavour, or by `precision-<percent>`, of the last `window_seconds`."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    flavour_counts: Annotated[
        dict[Annotated[str, Field(max_length=253)], Count],
        Field(max_length=100, examples=[{"precision-100": 60, "precision-30": 40}]),
    ]
    total_requests: Count | None = None
    window_seconds: Annotated[float, Field(gt=0, le=86_400)] = 15.0


_SHOWN: dict[int | str, dict[str, Any]] = {200: {"model": models.ScheduleInForce}, 202: {"model": models.Pending}}
_CONFIGURATION = {
    "type": "object",
    "description": "Settings flat or under `scheduler`, numbers also as text; `components`; `flavours`.",
    "examples": [
        {
            "scheduler": {"targetError": "0.1", "policy": "forecast-aware", "validFor": 60},
            "components": {"router": {"minReplicas": 1, "maxReplicas": 5}},
            "flavours": [{"precision": 100, "carbonIntensity": 1.0}, {"precision": 30, "carbonIntensity": 0.3}],
        }
    ],
}
router = APIRouter(tags=["reference"])


@router.get("/schedule", responses={**_SHOWN, 404: {}, 409: {}, 503: {}})
async def default_schedule(host: Host) -> JSONResponse:
    """The schedule of the service called default, which is made when first asked for."""
    return _shown(host, _default_session(host))


@router.get("/schedule/{namespace}/{service}", responses=_SHOWN)
async def schedule(host: Host, namespace: Namespace, service: ServiceName) -> JSONResponse:
    """A schedule; 202 while none is in force, 404 for a service that is not known."""
    session = host.engine.sessions.get(f"{namespace}/{service}")
    if session is None:
        raise ProblemError(404, f"unknown schedule {namespace}/{service}")
    return _shown(host, session)


@router.put(
    "/config/{namespace}/{service}",
    status_code=202,
    response_model_exclude_defaults=True,
    responses={400: {}, 409: {}, 503: {}},
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": _CONFIGURATION}}}},
)
async def configure(host: Host, request: Request, namespace: Namespace, service: ServiceName) -> models.Accepted:
    """Make or change a service; an empty body leaves it as it is. Ends a manual schedule, keeps the ledger."""
    content = await _object(request)
    key = f"{namespace}/{service}"
    if content is None and key in host.engine.sessions:
        return models.Accepted(status="accepted")
    ignored = _put(host, key, content or {})
    session = host.engine.sessions[key]
    if session.steering.override is not None:
        host.engine.steer(key, session.steering.model_copy(update={"override": None}))
    return models.Accepted(status="accepted", ignored=ignored)


@router.post("/schedule/{namespace}/{service}/manual", status_code=202, responses={503: {}})
async def manual(host: Host, session: Session, asked: ManualSchedule) -> models.Imposed:
    """Impose weights for a while."""
    return await _impose(host, session, asked)


@router.post("/setschedule", status_code=202, responses={404: {}, 409: {}, 503: {}})
async def set_schedule(host: Host, asked: ManualSchedule) -> models.Imposed:
    """Impose weights on the service called default."""
    return await _impose(host, _default_session(host), asked)


@router.post("/feedback/{namespace}/{service}", responses={503: {}})
async def feedback(host: Host, session: Session, told: Annotated[Feedback, Body()]) -> models.Realised:
    """Enter counts (deprecated there; /api/v1 has one that tells repeats apart)."""
    refuse_when_behind(host)
    refuse_where_proxies_report(host)
    now_s = host.clock.now_s()
    served = _by_flavour(session, told.flavour_counts)
    total = sum(served.values())
    loads = {name: FlavourLoad(served=count) for name, count in served.items()}
    since_s = now_s - told.window_seconds
    host.engine.enter(session.spec.key, loads, since_s=since_s, until_s=now_s, sender=_SENDER)
    with refusals():
        await host.engine.writer.saved(session.spec.key)
    errors = {flavour.name: flavour.error for flavour in session.spec.flavours}
    mean_error = sum(errors[name] * count for name, count in served.items()) / total if total else 0.0
    return models.Realised(
        realized_precision=1.0 - mean_error,
        credit_balance=credit_of(session, now_s).balance,
        credit_velocity=session.spec.settings.max_error - mean_error if total else 0.0,
        total_requests=total,
    )


def _put(host: EngineHost, key: str, content: dict[str, Any]) -> list[str]:
    refuse_when_full(host, key)
    with refusals():
        raw, ignored = request_of(content, before=host.catalogue.raw(key))
        host.put_service(key, raw)
    return ignored


def _default_session(host: EngineHost) -> ServiceSession:
    """The one called default, made with the reference's defaults when first asked for."""
    if DEFAULT not in host.engine.sessions:
        if host.plane.needs_endpoints or DEFAULT_SOURCE not in host.config.sources:
            raise ProblemError(404, f"there is no service {DEFAULT}")
        _put(host, DEFAULT, {})
    return host.engine.sessions[DEFAULT]


def _shown(host: EngineHost, session: ServiceSession) -> JSONResponse:
    found = schedule_of(session, host.clock.now_s())
    return JSONResponse({"status": "pending"}, 202) if found is None else JSONResponse(found)


async def _impose(host: EngineHost, session: ServiceSession, asked: ManualSchedule) -> models.Imposed:
    weights = _weights(session, asked.weights)
    until_s = _until_s(session, asked, now_s=host.clock.now_s())
    with refusals():
        override = Override(weights=weights, until_s=until_s, reason="set as a manual schedule")
    await steer(host, session, session.steering.model_copy(update={"override": override}))
    return models.Imposed(status="schedule set")


def _until_s(session: ServiceSession, asked: ManualSchedule, *, now_s: float) -> float:
    if asked.valid_for is not None:
        return now_s + asked.valid_for
    if asked.valid_until is None:
        return now_s + session.spec.valid_for_s
    if not now_s < asked.valid_until <= now_s + _LONGEST_S:
        raise ProblemError(422, "validUntil: must lie ahead of the engine's time, by at most 366 days")
    return asked.valid_until


async def _object(request: Request) -> dict[str, Any] | None:
    body = await request.body()
    if not body.strip():
        return None
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, "the body is not JSON") from error
    if not isinstance(content, dict):
        raise ProblemError(400, "the body must be a JSON object")
    return content


def _weights(session: ServiceSession, given: dict[str, float]) -> dict[str, int]:
    """The weights given as integers of 10,000; the largest takes what rounding leaves over."""
    named = _by_flavour(session, given)
    total = sum(named.values())
    if not total > 0.0:
        raise ProblemError(422, "flavourWeights: at least one weight must be above 0")
    weights = {name: int(TOTAL_WEIGHT * weight / total) for name, weight in named.items()}
    weights[max(named, key=lambda name: named[name])] += TOTAL_WEIGHT - sum(weights.values())
    return weights


def _by_flavour(session: ServiceSession, given: dict[str, float]) -> dict[str, float]:
    """Figures by flavour; names are ours, or the reference's by precision."""
    known = {f"precision-{100 * (1 - flavour.error):g}": flavour.name for flavour in session.spec.flavours}
    known |= {flavour.name: flavour.name for flavour in session.spec.flavours}
    if unknown := sorted(set(given) - set(known)):
        raise ProblemError(
            422, f"{', '.join(unknown)[:300]}: no flavour of this service; there are {', '.join(sorted(known))}"
        )
    named: dict[str, float] = {}
    for name, figure in given.items():
        named[known[name]] = named.get(known[name], 0.0) + figure
    return named
