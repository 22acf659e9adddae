"""Errors as RFC 9457 problem details: what went wrong, and what to do about it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_MOST_ERRORS = 20
_LONGEST_MESSAGE = 500
# What the guard, a body and a path may be answered with, whatever the route.
_ALWAYS = (401, 403, 413, 429, 500)
_WITH_BODY = (400, 422)
_WITH_PATH = (404, 405, 422)


class Mistake(BaseModel):
    """One mistake in what was sent."""

    at: Annotated[str, Field(examples=["body/budget/max_error_pct"])]
    message: str


class Problem(BaseModel):
    """Problem details, RFC 9457; `errors` lists mistakes place by place."""

    type: Annotated[str, Field(examples=["about:blank"])]
    title: Annotated[str, Field(examples=["Not Found"])]
    status: Annotated[int, Field(ge=400, le=599, examples=[404])]
    detail: str
    errors: list[Mistake] = []


class ProblemError(Exception):
    """An answer other than success; `detail` is for whoever asked."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers


def problem_response(problem: ProblemError) -> Response:
    """The answer that tells it."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        content["errors"] = problem.errors
    # Escaped to ASCII: a lone surrogate in what was sent must not break the answer that refuses it.
    body = json.dumps(content).encode("ascii")
    return Response(body, status_code=problem.status, media_type=MEDIA_TYPE, headers=dict(problem.headers or {}))


_UNROUTED = {
    "Not Found": "there is no such path; /openapi.json lists those there are",
    "Method Not Allowed": "this path takes other methods; /openapi.json lists them",
}
_WORDS = {
    "extra_forbidden": "unknown key",
    "missing": "is missing",
    "model_attributes_type": "must be a JSON object; send it with Content-Type: application/json",
}


def invalid(error: ValidationError | RequestValidationError) -> ProblemError:
    """What is wrong with what was sent, place by place; values are not repeated, they may be secrets or huge."""
    found = [
        {
            "at": "/".join(str(part)[:100] for part in each["loc"]),
            "message": _WORDS.get(each["type"], each["msg"].removeprefix("Value error, "))[:_LONGEST_MESSAGE],
        }
        for each in error.errors()[:_MOST_ERRORS]
    ]
    first = "; ".join(f"{each['at']}: {each['message']}" for each in found[:3])
    return ProblemError(422, first[:1000] or "not valid", errors=found)


def tell_problems(app: FastAPI) -> None:
    """Have every error of `app` answered as a problem, and its description say so."""

    async def told(_: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)  # noqa: S101 - registered for nothing else
        return problem_response(error)

    async def unprocessable(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError | ValidationError)  # noqa: S101
        return problem_response(invalid(error))

    async def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        detail = _UNROUTED.get(str(error.detail), str(error.detail))
        return problem_response(ProblemError(error.status_code, detail, headers=error.headers))

    async def unforeseen(request: Request, error: Exception) -> Response:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem_response(ProblemError(500, "a defect of ours; the log of the control plane has the details"))

    app.add_exception_handler(ProblemError, told)
    app.add_exception_handler(RequestValidationError, unprocessable)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unforeseen)
    _describe(app)


def _describe(app: FastAPI) -> None:
    """Have every operation's errors described as problems, in one place for all routes."""
    as_generated = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = as_generated()
            reference = {"$ref": "#/components/schemas/Problem"}
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            own = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= {**own.pop("$defs"), "Problem": own}
            for path, item in schema["paths"].items():
                for operation in item.values():
                    _describe_operation(operation, path=path, content={MEDIA_TYPE: {"schema": reference}})
        return app.openapi_schema or {}

    app.openapi = described  # type: ignore[method-assign]


def _describe_operation(operation: dict[str, Any], *, path: str, content: dict[str, Any]) -> None:
    responses = operation["responses"]
    statuses = {*_ALWAYS, *(int(status) for status in responses if int(status) >= 400)}
    statuses.update(_WITH_BODY if "requestBody" in operation else ())
    statuses.update(_WITH_PATH if "{" in path else ())
    for status in sorted(statuses):
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
