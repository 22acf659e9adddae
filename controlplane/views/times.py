"""Times as people and programs read them."""

from __future__ import annotations

from datetime import UTC, datetime

_FIRST_S, _LAST_S = 0.0, 253_402_300_799.0


def iso(time_s: float) -> str:
    """Unix seconds as ISO 8601 in UTC, to the second; times beyond the years that have a name are cut to them."""
    return datetime.fromtimestamp(min(max(time_s, _FIRST_S), _LAST_S), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
