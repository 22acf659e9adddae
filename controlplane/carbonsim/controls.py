"""The controls: which scenario is played, which faults happen, who asked. Not below any provider's paths."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

from controlplane.carbonsim.errors import ApiError
from controlplane.carbonsim.faults import MAX_DELAY_S, Fault, FaultBook, Kind, TooManyFaults
from controlplane.carbonsim.moments import gb_text, iso_text
from controlplane.carbonsim.patterns import CUSTOM, Pattern, custom_pattern, pattern_named, pattern_names
from controlplane.carbonsim.provider import Provider
from controlplane.carbonsim.requestlog import RequestLog
from controlplane.carbonsim.tape import SLOT_S, Tape

RECORDED = "recorded"
_MAX_BODY_BYTES = 262_144
_LONGEST_S = 1e10
_Number = Annotated[float, Strict()]
_Body = TypeVar("_Body", bound=BaseModel)

_ENDPOINTS = {
    "/intensity": "the current half-hour, as the GB Carbon Intensity API",
    "/intensity/{from}": "the half-hour of that time",
    "/intensity/{from}/{fw24h|fw48h|pt24h|to}": "several half-hours",
    "/regional/intensity/{from}/{fw24h|fw48h|pt24h|to}/{regionid/1..17|postcode/RG10}": "the same of a region",
    "/v3/carbon-intensity/{latest|history|forecast|past-range}?zone=DE": "as Electricity Maps",
    "GET, POST /scenario": 'what is played; {"scenario": "peak"}, {"scenario": "custom", "pattern": [1, 2]}',
    "POST /reset": "let the scenario begin anew",
    "GET, POST, DELETE /faults": '{"kind": "down", "duration_s": 3600, "probability": 1, "path_prefix": "/intensity"}',
    "GET /requests": "counts by path and simulated minute",
    "GET /health": "whether it runs, and what time it is",
}


class ScenarioBody(BaseModel):
    """What POST /scenario takes."""

    model_config = ConfigDict(extra="forbid")
    scenario: Annotated[str, Field(min_length=1, max_length=64)]
    pattern: list[Any] | None = None
    repeat: Annotated[bool, Strict()] = True


class FaultBody(BaseModel):
    """What POST /faults takes; `duration_s` is simulated, `delay_s` and `retry_after_s` real seconds."""

    model_config = ConfigDict(extra="forbid")
    kind: Kind
    duration_s: Annotated[_Number, Field(gt=0, le=_LONGEST_S)] | None = None
    probability: Annotated[_Number, Field(gt=0, le=1)] = 1.0
    path_prefix: Annotated[str, Field(pattern=r"^/", max_length=200)] = "/"
    delay_s: Annotated[_Number, Field(ge=0, le=MAX_DELAY_S)] = 5.0
    retry_after_s: Annotated[int, Strict(), Field(ge=0, le=86_400)] = 60

    def fault(self, *, now_s: float) -> Fault:
        """The fault, from now on."""
        return Fault(
            kind=self.kind,
            from_s=now_s,
            until_s=math.inf if self.duration_s is None else now_s + self.duration_s,
            probability=self.probability,
            path_prefix=self.path_prefix,
            delay_s=self.delay_s,
            retry_after_s=self.retry_after_s,
        )


def scenario_router(provider: Provider) -> APIRouter:
    """/, /health, /scenario and /reset, as the reference system's mock has them."""
    router = APIRouter()
    names = list(pattern_names())
    if not provider.initial.pattern:
        names.append(RECORDED)

    @router.get("/")
    async def index() -> dict[str, Any]:
        return {
            "service": "carbon-sim",
            "endpoints": _ENDPOINTS,
            "current_scenario": _name(provider.tape),
            "available_scenarios": names,
        }

    @router.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "service": "carbon-sim", "now": iso_text(provider.now_s()), "speed": provider.speed}

    @router.get("/scenario")
    async def playing() -> dict[str, Any]:
        return {**_described(provider.tape), "available_scenarios": names}

    @router.post("/scenario")
    async def change(request: Request) -> dict[str, Any]:
        body = await _body(request, ScenarioBody)
        provider.play(_chosen(body, provider))
        return {"status": "scenario updated", **_described(provider.tape)}

    @router.post("/reset")
    async def reset() -> dict[str, Any]:
        try:
            tape = provider.restart()
        except ValueError as error:
            raise ApiError(409, str(error)) from error
        return {"status": "scenario reset", "start_time": gb_text(tape.first_slot * SLOT_S)}

    return router


def fault_router(provider: Provider, faults: FaultBook, log: RequestLog) -> APIRouter:
    """/faults and /requests."""
    router = APIRouter()

    @router.get("/faults")
    async def listed() -> dict[str, Any]:
        return {"faults": [_shown(fault) for fault in faults.pending(now_s=provider.now_s())]}

    @router.post("/faults", status_code=201)
    async def add(request: Request) -> dict[str, Any]:
        body = await _body(request, FaultBody)
        now_s = provider.now_s()
        fault = body.fault(now_s=now_s)
        try:
            faults.add(fault, now_s=now_s)
        except TooManyFaults as error:
            raise ApiError(409, str(error)) from error
        return _shown(fault)

    @router.delete("/faults")
    async def clear() -> dict[str, Any]:
        faults.clear()
        return await listed()

    @router.get("/requests")
    async def requests() -> dict[str, Any]:
        return log.to_dict()

    return router


async def _body(request: Request, model: type[_Body]) -> _Body:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _MAX_BODY_BYTES:
            raise ApiError(413, f"The body must not be larger than {_MAX_BODY_BYTES} bytes.")
    try:
        return model.model_validate(json.loads(content))
    except ValidationError as error:
        raise ApiError(400, "; ".join(_complaint(dict(each)) for each in error.errors()[:5])) from error
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "The body must be a JSON object.") from error


def _complaint(error: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {error['msg']}" if where else str(error["msg"])


def _chosen(body: ScenarioBody, provider: Provider) -> Tape:
    if body.scenario == RECORDED and not provider.initial.pattern:
        return provider.initial
    try:
        return _pattern(body).tape(first_slot=provider.current_slot())
    except ValueError as error:
        raise ApiError(400, str(error)) from error


def _pattern(body: ScenarioBody) -> Pattern:
    if body.scenario != CUSTOM:
        return pattern_named(body.scenario)
    if not body.pattern:
        raise ValueError("scenario custom needs a pattern: a list of numbers")
    return custom_pattern(body.pattern, repeat=body.repeat)


def _name(tape: Tape) -> str:
    return tape.name if tape.pattern else RECORDED


def _described(tape: Tape) -> dict[str, Any]:
    described: dict[str, Any] = {
        "scenario": _name(tape),
        "name": tape.title or tape.name,
        "description": tape.description,
        "start_time": gb_text(tape.first_slot * SLOT_S),
        "repeat": tape.repeat,
    }
    return described | ({"pattern": tape.forecast.tolist()} if tape.pattern else {"slots": tape.forecast.size})


def _shown(fault: Fault) -> dict[str, Any]:
    return {
        "kind": fault.kind,
        "from": iso_text(fault.from_s),
        "until": None if math.isinf(fault.until_s) else iso_text(fault.until_s),
        "probability": fault.probability,
        "path_prefix": fault.path_prefix,
        "planned": fault.planned,
    }
