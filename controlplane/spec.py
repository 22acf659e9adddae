"""What a service is, as the engine works with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controlplane.carbon import CarbonFeed
from controlplane.config import Processing
from controlplane.demand import DemandForecast
from controlplane.intent import Topology
from scheduler import ControllerSettings, Flavour


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """What one service is and what was promised for it; two equal specs need no new session.

    Attributes:
        topology: its flavours and where they are.
        flavours: the same flavours as the scheduler sees them, with their energy.
        settings: the promise.
        slot_s: length of a slot while the carbon source names none, and of the slots of the account.
        valid_for_s: how long a decision holds at most without being renewed.
        demand: forecast of requests; None lets the level be learned from what is served.
        processing: how work that may wait is throttled.
        embodied_g: the hardware's share of one request by flavour, g CO2e; accounted for, never planned by.
    """

    topology: Topology
    flavours: tuple[Flavour, ...]
    settings: ControllerSettings
    slot_s: float = 1800.0
    valid_for_s: float = 60.0
    demand: DemandForecast | None = None
    processing: Processing = field(default_factory=Processing)
    embodied_g: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """`namespace/service`."""
        return f"{self.topology.namespace}/{self.topology.service}"


@dataclass(frozen=True, slots=True)
class Planned:
    """A service and the feed its carbon figures come from; services may share a feed."""

    spec: ServiceSpec
    feed: CarbonFeed
