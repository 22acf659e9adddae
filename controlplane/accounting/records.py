"""What is counted: one report's load, one slot's record, and what a request of each flavour takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat

from scheduler import Flavour

Basis = Literal["actual", "forecast"]
"""Which intensity a slot's grams were settled with."""


class SlotRecord(BaseModel):
    """One slot of `Account.slot_s` seconds; counts are by flavour.

    Counts are fractions where a report spans two slots and is shared out between them. `settled_as` says that the
    slot's grams have entered the totals, with `settled_g_per_kwh`; "unknown" that they never will. `closed` says that
    its window has entered those of windows.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    served: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    failed: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    metered_requests: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    metered_j: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    commanded: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    carbon_forecast: float | None = None
    carbon_actual: float | None = None
    settled_as: Basis | Literal["unknown"] | None = None
    settled_g_per_kwh: NonNegativeFloat | None = None
    closed: bool = False

    @property
    def carbon(self) -> float | None:
        """Actual intensity where known, else the forecast; g/kWh."""
        return self.carbon_forecast if self.carbon_actual is None else self.carbon_actual

    @property
    def carbon_settled(self) -> float | None:
        """The intensity the slot was settled with; where it was not, the best one known. g/kWh."""
        return self.carbon if self.settled_as is None else self.settled_g_per_kwh

    def split(self) -> dict[str, float]:
        """The measured share of each flavour; empty when nothing was served."""
        total = sum(self.served.values())
        return {name: count / total for name, count in self.served.items()} if total else {}

    def command(self) -> dict[str, float]:
        """The commanded share of each flavour, averaged over the time it held."""
        total = sum(self.commanded.values())
        return {name: seconds / total for name, seconds in self.commanded.items()} if total else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlavourLoad:
    """What one flavour did in one report: answers, failed attempts, and the joules some of the answers reported."""

    served: float = 0.0
    failed: float = 0.0
    metered_requests: float = 0.0
    metered_j: float = 0.0

    def __add__(self, other: FlavourLoad) -> FlavourLoad:
        return FlavourLoad(
            served=self.served + other.served,
            failed=self.failed + other.failed,
            metered_requests=self.metered_requests + other.metered_requests,
            metered_j=self.metered_j + other.metered_j,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """By what the requests of a service are judged.

    `embodied_g` is the hardware's share of one request by flavour, g CO2e; a flavour that is missing has none.
    Nothing is planned by it. `max_error` is the promise, 0-1.
    """

    flavours: tuple[Flavour, ...]
    max_error: float
    embodied_g: Mapping[str, float] = field(default_factory=dict)

    @property
    def best(self) -> Flavour:
        """The flavour of least error; of equally good ones, that which takes least energy."""
        return min(self.flavours, key=lambda flavour: (flavour.error, flavour.energy_j))

    def embodied_of(self, name: str) -> float:
        """Embodied g CO2e of one request."""
        return self.embodied_g.get(name, 0.0)
