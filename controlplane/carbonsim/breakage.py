"""From a healthy answer to a faulty one: pure, so that every fault can be looked at without a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from controlplane.carbonsim.answer import JSON, Answer
from controlplane.carbonsim.errors import gb_error
from controlplane.carbonsim.faults import Fault, Kind

HUGE_BYTES = 100_000_000
_WRONG_FACTOR = 1000
_HTML = b"<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>\n"
_STATUS = {
    Kind.DOWN: (503, "The service is down for maintenance."),
    Kind.ERROR500: (500, "Something went wrong."),
    Kind.UNAUTHORISED: (401, "Invalid auth-token"),
    Kind.FORBIDDEN: (403, "Access denied"),
    Kind.THROTTLED: (429, "Too many requests."),
}

Row = dict[str, Any]
_Change = Callable[[list[Row]], list[Row]]


def broken(answer: Answer, fault: Fault) -> Answer:
    """The answer as `fault` leaves it."""
    if fault.kind in _STATUS:
        return _refused(answer, fault)
    if fault.kind in _ROWS:
        return _with_rows(answer, _ROWS[fault.kind])
    return _ON_THE_WAY[fault.kind](answer, fault)


def _refused(answer: Answer, fault: Fault) -> Answer:
    status, message = _STATUS[fault.kind]
    headers: tuple[tuple[str, str], ...] = (JSON,)
    if fault.kind is Kind.THROTTLED:
        headers = (*headers, ("retry-after", str(fault.retry_after_s)))
    return replace(answer, status=status, body=json.dumps(gb_error(status, message)).encode(), headers=headers)


def _with_rows(answer: Answer, change: _Change) -> Answer:
    """The answer with its lists of rows changed; one that is not JSON, or has no rows, stays as it is."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        return answer
    return replace(answer, body=json.dumps(_mapped(document, change), separators=(",", ":")).encode())


def _mapped(document: Any, change: _Change) -> Any:
    if isinstance(document, list):
        if document and all(_is_row(item) for item in document):
            return change(document)
        return [_mapped(item, change) for item in document]
    if isinstance(document, dict):
        if _is_row(document):  # one row alone: what is no matter of lists can still happen to it
            return (change([document]) or [document])[0]
        return {key: _mapped(value, change) for key, value in document.items()}
    return document


def _is_row(item: Any) -> bool:
    return isinstance(item, dict) and ("from" in item or "datetime" in item)


def _with_values(row: Row, change: Callable[[Any], Any]) -> Row:
    if "intensity" in row:
        values = {
            key: change(value) if key in {"forecast", "actual"} else value for key, value in row["intensity"].items()
        }
        return {**row, "intensity": values}
    return {key: change(value) if key == "carbonIntensity" else value for key, value in row.items()}


def _nulls(rows: list[Row]) -> list[Row]:
    return [_with_values(row, lambda _: None) if place % 3 == 0 else row for place, row in enumerate(rows)]


def _gaps(rows: list[Row]) -> list[Row]:
    return [row for place, row in enumerate(rows) if place % 3 != 2]


def _duplicates(rows: list[Row]) -> list[Row]:
    return [row for place, row in enumerate(rows) for row in [row] * (2 if place % 3 == 0 else 1)]


def _unordered(rows: list[Row]) -> list[Row]:
    return [*rows[1::2], *rows[::2]]


def _wrong_units(rows: list[Row]) -> list[Row]:
    return [_with_values(row, lambda value: None if value is None else value * _WRONG_FACTOR) for row in rows]


_ROWS: dict[Kind, _Change] = {
    Kind.NULLS: _nulls,
    Kind.GAPS: _gaps,
    Kind.DUPLICATES: _duplicates,
    Kind.UNORDERED: _unordered,
    Kind.WRONG_UNITS: _wrong_units,
}


def _slow(answer: Answer, fault: Fault) -> Answer:
    return replace(answer, delay_s=max(answer.delay_s, fault.delay_s))


def _truncated(answer: Answer, _: Fault) -> Answer:
    return replace(answer, cut_at=len(answer.body) // 2)


def _html(answer: Answer, _: Fault) -> Answer:
    return replace(answer, status=200, body=_HTML, headers=(("content-type", "text/html; charset=utf-8"),))


def _huge(answer: Answer, _: Fault) -> Answer:
    return replace(answer, status=200, body=b'{"data":""}', headers=(JSON,), filler_bytes=HUGE_BYTES)


def _reset(answer: Answer, _: Fault) -> Answer:
    return replace(answer, reset=True)


_ON_THE_WAY: dict[Kind, Callable[[Answer, Fault], Answer]] = {
    Kind.SLOW: _slow,
    Kind.TRUNCATED: _truncated,
    Kind.HTML: _html,
    Kind.HUGE: _huge,
    Kind.RESET: _reset,
}
