"""Errors as RFC 9457 problem details: what went wrong, and what to do about it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_MOST_ERRORS = 20


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


def invalid(error: ValidationError | RequestValidationError) -> ProblemError:
    """What is wrong with what was sent, place by place; values are not repeated, they may be secrets or huge."""
    found = [
        {"at": "/".join(str(part)[:100] for part in each["loc"]), "message": each["msg"].removeprefix("Value error, ")}
        for each in error.errors()[:_MOST_ERRORS]
    ]
    first = "; ".join(f"{each['at']}: {each['message']}" for each in found[:3])
    return ProblemError(422, first[:1000] or "not valid", errors=found)


def tell_problems(app: FastAPI) -> None:
    """Have every error of `app` answered as a problem."""

    async def told(_: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)  # noqa: S101 - registered for nothing else
        return problem_response(error)

    async def unprocessable(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError | ValidationError)  # noqa: S101
        return problem_response(invalid(error))

    async def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        return problem_response(ProblemError(error.status_code, str(error.detail), headers=error.headers))

    async def unforeseen(request: Request, error: Exception) -> Response:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem_response(ProblemError(500, "a defect of ours; the log of the control plane has the details"))

    app.add_exception_handler(ProblemError, told)
    app.add_exception_handler(RequestValidationError, unprocessable)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unforeseen)
