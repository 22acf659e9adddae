"""What an outage of the carbon source came to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from controlplane.demo.run import DemoOutcome
from controlplane.demo.sightings import Sighting
from controlplane.views import iso

Row = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """One outage.

    Attributes:
        start_s, end_s: when the source was down, Unix seconds.
        answered, failed: requests in the slots of that time.
        sightings: what API and metrics said of the source, from the last change before the outage on.
        recovered_after_s: so long after its end the source was fresh again; None if it never was.
    """

    start_s: float
    end_s: float
    answered: int
    failed: int
    sightings: tuple[Sighting, ...]
    recovered_after_s: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe data."""
        return {
            "from": iso(self.start_s),
            "to": iso(self.end_s),
            "answered": self.answered,
            "failed": self.failed,
            "recovered_after_s": self.recovered_after_s,
            "seen": [
                {
                    "time": iso(seen.time_s),
                    "state": seen.state,
                    "metric": seen.metric,
                    "forecast_fresh": seen.fresh,
                    "reason": seen.reason,
                    "last_error": seen.last_error,
                }
                for seen in self.sightings
            ],
        }

    def rows(self) -> Iterator[Row]:
        """Rows of the final table."""
        hours = (self.end_s - self.start_s) / 3600
        yield "outage", f"{hours:g} h", f"carbon source down, {iso(self.start_s)} to {iso(self.end_s)}"
        yield "  requests in it", f"{self.answered:,}", f"{self.failed} failed"
        for seen in self.sightings:
            condition = f"ForecastFresh {seen.fresh}, {seen.reason}"
            yield f"  {iso(seen.time_s)[5:16]}", seen.state, f"condition {condition}; metric {seen.metric}"
        if self.recovered_after_s is None:
            yield "  recovered", "NEVER", ""
        else:
            yield "  recovered", f"{self.recovered_after_s / 60:.0f} min", "after its end: fresh again"


def aftermath_of(outcome: DemoOutcome) -> Aftermath | None:
    """What the outage came to, None if there was none."""
    plan = outcome.plan
    if plan.outage is None:
        return None
    start_s, end_s = plan.outage.start_s, plan.outage.end_s
    first, last = ((moment_s - plan.start_s) / plan.trace.slot_s for moment_s in (start_s, end_s))
    answered, failed = outcome.tally.in_slots(math.floor(first), math.ceil(last))
    before = [seen for seen in outcome.sightings if seen.time_s < start_s]
    since = [seen for seen in outcome.sightings if seen.time_s >= start_s]
    return Aftermath(
        start_s=start_s,
        end_s=end_s,
        answered=answered,
        failed=failed,
        sightings=tuple(before[-1:] + since),
        recovered_after_s=next((seen.time_s - end_s for seen in since if seen.fresh and seen.time_s >= end_s), None),
    )
