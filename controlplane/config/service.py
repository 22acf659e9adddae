"""One service as configured: its flavours, its promise, its sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from controlplane.config.carbon import Carbon
from controlplane.config.fields import Address, Host, Name, NonEmpty, Number, Percent, Seconds, Section, doubled
from controlplane.config.promise import Budget, Constraints
from scheduler.policies import DEFAULT_POLICY, policy_named


class Demand(Section):
    """A recorded pattern of requests: a CSV with a requests_forecast (or requests_actual) column."""

    path: Path
    scale: Annotated[Number, Field(gt=0, allow_inf_nan=False)] = 1.0


class Flavour(Section):
    """One way to answer, with its quality and its energy."""

    name: Name
    precision_pct: Percent
    energy_j: Annotated[Number, Field(ge=0, allow_inf_nan=False)]
    endpoints: Annotated[tuple[Address, ...], NonEmpty]


def _policy(name: str) -> str:
    policy_named(name)
    return name


class Service(Section):
    """A service, its flavours and its promise."""

    name: Name
    namespace: Name = "default"
    hosts: Annotated[tuple[Host, ...], NonEmpty] = ("*",)
    timeout: Seconds = 15.0
    policy: Annotated[str, AfterValidator(_policy)] = DEFAULT_POLICY
    budget: Budget
    constraints: Constraints | None = None
    carbon: Carbon
    demand: Demand | None = None
    flavours: Annotated[tuple[Flavour, ...], NonEmpty]

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
