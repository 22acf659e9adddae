"""One service as configured: its flavours, its promise, its sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from controlplane.config.carbon import Carbon
from controlplane.config.fields import Address, Host, Name, NonEmpty, Number, Percent, Seconds, Section, Whole, doubled
from controlplane.config.promise import Budget, Constraints
from scheduler.policies import DEFAULT_POLICY, policy_named

MOST_FLAVOURS = 100
MOST_HOSTS = 100
# One answer that takes a kilowatt-hour is a slip of the unit.
MOST_J_PER_REQUEST = 3.6e6


class Demand(Section):
    """A recorded pattern of requests: a CSV with a requests_forecast (or requests_actual) column."""

    path: Path
    scale: Annotated[Number, Field(gt=0, allow_inf_nan=False)] = 1.0


class AnyFlavour(Section):
    """One way to answer, with its quality and its energy; nobody need know where it is.

    `embodied_g` is the hardware's share of one request (the M/R of SCI, g CO2e): accounted for, never planned by.
    """

    name: Name
    precision_pct: Percent
    energy_j: Annotated[Number, Field(ge=0, le=MOST_J_PER_REQUEST, allow_inf_nan=False)]
    embodied_g: Annotated[Number, Field(ge=0, le=1e6, allow_inf_nan=False)] = 0.0
    endpoints: tuple[Address, ...] = ()


class Flavour(AnyFlavour):
    """One way to answer that a proxy of ours sends requests to."""

    endpoints: Annotated[tuple[Address, ...], NonEmpty]


def _policy(name: str) -> str:
    policy_named(name)
    return name


class Replicas(Section):
    """How many replicas a component may have."""

    least: Annotated[Whole, Field(ge=0, le=100_000)] = 1
    greatest: Annotated[Whole, Field(ge=1, le=100_000)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least > self.greatest:
            raise ValueError("least must not be above greatest")
        return self


class Processing(Section):
    """How work that may wait is slowed down by the throttle, and the replicas that follow it."""

    throttle_min_pct: Percent = 5.0
    floor_g_per_kwh: Annotated[Number, Field(ge=0, le=5000)] = 150.0
    ceiling_g_per_kwh: Annotated[Number, Field(ge=0, le=5000)] = 350.0
    replicas: dict[Name, Replicas] = Field(default_factory=dict, max_length=16)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.floor_g_per_kwh >= self.ceiling_g_per_kwh:
            raise ValueError("floor_g_per_kwh must be below ceiling_g_per_kwh")
        return self


class ServiceTerms(Section):
    """What is promised for a service, and by which flavours."""

    hosts: Annotated[tuple[Host, ...], NonEmpty, Field(max_length=MOST_HOSTS)] = ("*",)
    timeout: Seconds = 15.0
    valid_for: Seconds | None = None
    policy: Annotated[str, AfterValidator(_policy)] = DEFAULT_POLICY
    budget: Budget
    constraints: Constraints | None = None
    processing: Processing = Processing()
    flavours: Annotated[tuple[AnyFlavour, ...], NonEmpty, Field(max_length=MOST_FLAVOURS)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for what, values in (
            ("two flavours have the same name", [flavour.name for flavour in self.flavours]),
            # Six digits, as the header that pins a flavour has them.
            ("two flavours have the same precision_pct", [f"{flavour.precision_pct:g}" for flavour in self.flavours]),
            ("hosts names twice", [host.lower() for host in self.hosts]),
        ):
            if twice := doubled(values):
                raise ValueError(f"{what}: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _constraints_name_flavours(self) -> Self:
        names = [flavour.name for flavour in self.flavours]
        demanded = self.constraints
        named = () if demanded is None else (*demanded.least_share_pct, *demanded.greatest_share_pct)
        if unknown := sorted(set(named) - set(names)):
            raise ValueError(f"constraints name {', '.join(unknown)}, which is none of the flavours {', '.join(names)}")
        return self


class AnyService(ServiceTerms):
    """A service, its terms, and where its figures come from."""

    name: Name
    namespace: Name = "default"
    carbon: Carbon
    demand: Demand | None = None

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


class Service(AnyService):
    """A service that a proxy of ours serves."""

    flavours: Annotated[tuple[Flavour, ...], NonEmpty, Field(max_length=MOST_FLAVOURS)]
