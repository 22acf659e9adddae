"""A source of carbon figures as plain data."""

from __future__ import annotations

from typing import Any

from controlplane.carbon import CarbonFeed
from controlplane.views.times import iso


def source_view(feed: CarbonFeed, now_s: float) -> dict[str, Any]:
    """How good a feed's series is, what it is, and what went wrong last; JSON-safe."""
    status, series = feed.status(now_s), feed.series
    return {
        "source": status.source,
        "zone": status.zone,
        "state": status.state,
        "age_s": status.age_s,
        "last_error": status.last_error,
        "fetches": status.fetches,
        "failures": status.failures,
        "kind": status.kind,
        "basis": status.basis,
        "licence": status.licence,
        "issued_at": None if status.issued_at_s is None else iso(status.issued_at_s),
        "next_fetch": None if status.next_fetch_s is None else iso(status.next_fetch_s),
        "notes": list(series.notes) if series else [],
    }
