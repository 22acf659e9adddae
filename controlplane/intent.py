"""The one contract between deciding and publishing.

Every publisher is a pure function of these types; whatever a data plane can be told about a service stands here, and
whatever stands here has been checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address

from scheduler import TOTAL_WEIGHT

__all__ = [
    "ENERGY_METRIC",
    "FLAVOUR_HEADER",
    "PIN_HEADER",
    "TOTAL_WEIGHT",
    "Endpoint",
    "FlavourTarget",
    "IntentError",
    "RoutingIntent",
    "Topology",
    "best_only",
]

PIN_HEADER = "x-carbonrouter"
FLAVOUR_HEADER = "x-carbonrouter-flavour"
ENERGY_METRIC = "energy_j"  # the ORCA named metric in which a backend reports the joules of one answer


class IntentError(ValueError):
    """An intent that must not reach a data plane."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one instance of a flavour listens: a literal IP address and a port."""

    address: str
    port: int

    def __post_init__(self) -> None:
        ip_address(self.address)
        if not 0 < self.port < 65536:
            raise IntentError(f"port {self.port} is not between 1 and 65535")

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlavourTarget:
    """One flavour as a data plane sees it.

    Attributes:
        name: unique within the service.
        precision_pct: quality in percent; clients pin the flavour by this number.
        endpoints: may be empty while nothing is ready; its share is then served by the fallback order.
    """

    name: str
    precision_pct: float
    endpoints: tuple[Endpoint, ...]

    @property
    def pin(self) -> str:
        """The value of the pinning header that asks for this flavour: `85`, or `95.5`."""
        return f"{self.precision_pct:g}"


@dataclass(frozen=True)
class Topology:
    """Where a service's flavours are and how they are reached; changes seldom, unlike the weights.

    Attributes:
        namespace, service: the identity from which all names derive.
        hosts: the host names for which the gateway serves this service, `*` for any.
        flavours: in any order; kept best first.
        timeout_s: how long a client waits for a whole answer, retries included.
    """

    namespace: str
    service: str
    hosts: tuple[str, ...]
    flavours: tuple[FlavourTarget, ...]
    timeout_s: float = 15.0

    def __post_init__(self) -> None:
        if not self.flavours:
            raise IntentError(f"{self.namespace}/{self.service} has no flavours")
        for what, values in (
            ("name", [flavour.name for flavour in self.flavours]),
            ("precision", [flavour.pin for flavour in self.flavours]),
        ):
            if len(set(values)) < len(values):
                raise IntentError(f"two flavours of {self.namespace}/{self.service} share a {what}: {sorted(values)}")
        best_first = sorted(self.flavours, key=lambda flavour: -flavour.precision_pct)
        object.__setattr__(self, "flavours", tuple(best_first))

    @property
    def best(self) -> FlavourTarget:
        """The flavour of highest precision: what is served when nobody decides."""
        return self.flavours[0]

    @property
    def served_by(self) -> frozenset[str]:
        """Names of the flavours that have endpoints."""
        return frozenset(flavour.name for flavour in self.flavours if flavour.endpoints)

    def fallbacks(self, flavour: FlavourTarget) -> tuple[FlavourTarget, ...]:
        """Who answers in the place of `flavour`: first the better ones, nearest first, then the worse ones.

        Quality goes before energy, since a failure must never break the promise made to users.
        """
        place = self.flavours.index(flavour)
        return self.flavours[:place][::-1] + self.flavours[place + 1 :]

    @cached_property
    def _hash(self) -> int:
        return hash((self.namespace, self.service, self.hosts, self.flavours, self.timeout_s))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class RoutingIntent:
    """How the traffic of one service is to be split until `valid_until_s` (Unix seconds).

    `weights` holds an integer for every flavour of the topology; they sum to 10,000. The sum is constant because
    hash-based stickiness is taken modulo the sum: a sum that moves would move most of the pinned users.

    Raises:
        IntentError: the weights are empty, of another set of flavours, no integers, negative, or of another sum.
    """

    topology: Topology
    weights: Mapping[str, int]
    valid_until_s: float

    def __post_init__(self) -> None:
        where = f"{self.topology.namespace}/{self.topology.service}"
        names = {flavour.name for flavour in self.topology.flavours}
        if set(self.weights) != names:
            raise IntentError(f"weights of {where} are for {sorted(self.weights)}, its flavours are {sorted(names)}")
        for name, weight in self.weights.items():
            if type(weight) is not int or weight < 0:
                raise IntentError(f"weight {weight!r} of {where} flavour {name} is no integer from 0 to {TOTAL_WEIGHT}")
        if sum(self.weights.values()) != TOTAL_WEIGHT:
            raise IntentError(f"weights of {where} sum to {sum(self.weights.values())}, not to {TOTAL_WEIGHT}")


def best_only(topology: Topology, *, valid_until_s: float) -> RoutingIntent:
    """All traffic on the best flavour: what holds when there is no decision."""
    weights = {flavour.name: 0 for flavour in topology.flavours} | {topology.best.name: TOTAL_WEIGHT}
    return RoutingIntent(topology, weights, valid_until_s)
