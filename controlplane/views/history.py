"""What was served slot by slot, as plain data."""

from __future__ import annotations

from typing import Any

from controlplane.session import ServiceSession
from controlplane.views.times import iso


def history_view(session: ServiceSession, *, since_s: float, until_s: float) -> list[dict[str, Any]]:
    """The slots that begin in [since_s, until_s), oldest first; the window before this one is still there."""
    slot_s = session.account.slot_s
    return [
        {
            "start": iso(start_s),
            "end": iso(start_s + slot_s),
            "served": dict(record.served),
            "failed_attempts": sum(record.failed.values()),
            "commanded": record.command(),
            "measured": record.split(),
            "carbon_forecast_g_per_kwh": record.carbon_forecast,
            "carbon_actual_g_per_kwh": record.carbon_actual,
        }
        for start_s, record in session.account.between(since_s, until_s)
    ]
