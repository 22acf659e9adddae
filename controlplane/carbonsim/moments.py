"""Times as the providers write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

FIRST_S = 0.0
LAST_S = datetime(2999, 12, 31, tzinfo=UTC).timestamp()

_GB = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?Z")


def gb_moment(text: str) -> float:
    """Epoch seconds of `YYYY-MM-DDThh:mmZ`, or with seconds.

    Raises:
        ValueError: it is none, or lies outside the years 1970 to 2999.
    """
    if not _GB.fullmatch(text):
        raise ValueError("not a time such as 2018-01-20T12:00Z")
    return _bounded(datetime.fromisoformat(text))


def any_moment(text: str) -> float:
    """Epoch seconds of an ISO 8601 time, UTC if it says nothing else.

    Raises:
        ValueError: it is none, or lies outside the years 1970 to 2999.
    """
    if len(text) > 64:
        raise ValueError("not an ISO 8601 time")
    return _bounded(datetime.fromisoformat(text))


def gb_text(time_s: float) -> str:
    """The time to the minute: `2018-01-20T12:00Z`."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%MZ")


def iso_text(time_s: float) -> str:
    """The time to the millisecond: `2018-01-20T12:00:00.000Z`."""
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _bounded(moment: datetime) -> float:
    try:
        time_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except OverflowError as error:
        raise ValueError("a time nobody can count to") from error
    if not FIRST_S <= time_s <= LAST_S:
        raise ValueError("not within the years 1970 to 2999")
    return time_s
