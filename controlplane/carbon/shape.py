"""The shape of foreign JSON, checked step by step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import pairwise

from controlplane.carbon.errors import OtherNumbersError, PermanentSourceError
from controlplane.carbon.http import printable

MAX_ROWS = 10_000
_DAY_S = 86_400


def mapping(document: object, *, source: str) -> Mapping[str, object]:
    """Return a JSON object; PermanentSourceError for anything else."""
    if not isinstance(document, dict):
        raise PermanentSourceError("the answer is not a JSON object", source=source)
    return document


def rows_of(document: object, *, source: str) -> list[object]:
    """Return a JSON list of at most `MAX_ROWS`; PermanentSourceError for anything else."""
    if not isinstance(document, list):
        raise PermanentSourceError("the answer has no list of rows", source=source)
    if len(document) > MAX_ROWS:
        raise PermanentSourceError(f"the answer has more than {MAX_ROWS} rows", source=source)
    return document


def same(found: object, asked: str, *, what: str, source: str) -> None:
    """Refuse an answer that is about something else than was asked for, or does not say what it is about."""
    if found != asked:
        shown = printable(str(found), limit=60)
        raise OtherNumbersError(f"asked for {what} {asked}, the answer is for {shown}", source=source)


def fields(item: object) -> Mapping[str, object]:
    """Return a row's fields, none for what is no JSON object."""
    return item if isinstance(item, dict) else {}


def period_s(value: object, *, source: str) -> int:
    """Return a provider's slot length in seconds: whole minutes that fill a day.

    Raises:
        PermanentSourceError: it is none.
    """
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else 0
    if 60 <= number <= _DAY_S and number % 60 == 0 and _DAY_S % number == 0:
        return int(number)
    shown = printable(str(value), limit=40)
    raise PermanentSourceError(f"slots of {shown} s are not understood", source=source)


def spacing_s(times: Iterable[float | None], *, grid_s: int) -> int | None:
    """Return the least distance between times on a grid of `grid_s`, in seconds; None with less than two of them."""
    known = sorted({int(time_s) for time_s in times if time_s is not None and time_s % grid_s == 0})
    return min((later - sooner for sooner, later in pairwise(known)), default=None)


def iso(time_s: float) -> str:
    """Return a time as providers want it: 2026-12-24T18:00Z."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%MZ")
