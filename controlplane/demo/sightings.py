"""What the control plane says of its carbon source while the demo runs, in its API and metrics, as anybody asks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

_PAUSE_S = 0.2
_METRIC = "carbonrouter_carbon_source_state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What was said first at `time_s`, Unix seconds on the engine's clock.

    Attributes:
        state, last_error: of the source, as the API has it.
        fresh, reason: the condition ForecastFresh.
        metric: the state that the metrics name.
    """

    time_s: float
    state: str
    last_error: str | None
    fresh: bool
    reason: str
    metric: str

    def differs(self, other: Sighting) -> bool:
        """Whether the source's state is another; errors change their words."""
        return (self.state, self.fresh, self.reason) != (other.state, other.fresh, other.reason)


@dataclass(slots=True)
class SourceWatch:
    """Asks the API at `url` about one service again and again. `sightings` has every change, oldest first."""

    url: str
    service: str
    sightings: list[Sighting] = field(default_factory=list)

    async def run(self) -> None:
        """Ask until cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            while True:
                try:
                    seen = await self._look(session)
                except (aiohttp.ClientError, TimeoutError):
                    seen = None
                if seen is not None and (not self.sightings or seen.differs(self.sightings[-1])):
                    self.sightings.append(seen)
                await asyncio.sleep(_PAUSE_S)

    async def _look(self, session: aiohttp.ClientSession) -> Sighting | None:
        """What is said now; None if it changes between two questions."""
        async with session.get(f"{self.url}api/v1/services/{self.service}", raise_for_status=True) as answer:
            said = await answer.json()
        async with session.get(f"{self.url}metrics", raise_for_status=True) as answer:
            metric = _state_told(await answer.text())
        condition = next(each for each in said["conditions"] if each["type"] == "ForecastFresh")
        if metric != said["carbon"]["state"]:
            return None
        return Sighting(
            time_s=datetime.fromisoformat(said["time"]).timestamp(),
            state=said["carbon"]["state"],
            last_error=said["carbon"]["last_error"],
            fresh=condition["status"] == "True",
            reason=condition["reason"],
            metric=metric,
        )


def _state_told(exposition: str) -> str:
    """The one state whose sample is 1."""
    for family in text_string_to_metric_families(exposition):
        if family.name == _METRIC:
            return next((each.labels["state"] for each in family.samples if each.value == 1.0), "")
    return ""
