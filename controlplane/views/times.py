"""Times as people and programs read them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(time_s: float) -> str:
    """Unix seconds as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
