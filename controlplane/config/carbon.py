"""Where a service's carbon figures come from, as configured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from controlplane.config.fields import Flag, Seconds, Section, Whole
from controlplane.urls import base_url

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_SLOTS_S = (300.0, 600.0, 900.0, 1800.0, 3600.0)


def _slot(value: float) -> float:
    if value not in _SLOTS_S:
        raise ValueError("must be 5m, 10m, 15m, 30m or 1h")
    return value


def _http(value: str) -> str:
    # What may hold a password is left to a check whose message does not repeat it.
    if "@" not in value and not value.startswith(("http://", "https://")):
        raise ValueError("must be an http(s) URL")
    return value


Url = Annotated[str, AfterValidator(_http)]
Slot = Annotated[Seconds, AfterValidator(_slot)]
# What goes into a provider's query: nothing that ends a parameter or leads elsewhere.
Place = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]


class _Provider(Section):
    """A source on the network.

    Addresses and credentials are checked here and not field by field: a message about a field repeats its value.
    """

    secrets: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        address: str = getattr(self, "base_url", "")
        try:
            base_url(address, secret=bool(self.secrets))
        except ValueError as error:
            raise ValueError(f"base_url: {error}") from None
        return self

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        for name in self.secrets:
            file, variable = getattr(self, f"{name}_file"), getattr(self, f"{name}_env")
            if (file is None) == (variable is None):
                raise ValueError(f"needs one of {name}_file and {name}_env")
            if variable is not None and not _VARIABLE.fullmatch(variable):
                raise ValueError(f"{name}_env: must be the name of an environment variable")
        return self


class FileCarbon(Section):
    """A recorded series."""

    source: Literal["file"]
    path: Path
    repeat: Flag = False


class GbCarbon(_Provider):
    """The GB Carbon Intensity API: national unless a region or postcode is named."""

    source: Literal["gb"]
    region_id: Annotated[Whole, Field(ge=1, le=17)] | None = None
    postcode: Annotated[str, Field(min_length=2, max_length=4)] | None = None
    base_url: Url = "https://api.carbonintensity.org.uk"

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.region_id is not None and self.postcode is not None:
            raise ValueError("region_id and postcode exclude each other")
        return self


class ElectricityMapsCarbon(_Provider):
    """Electricity Maps: one zone, with the token of a plan."""

    secrets: ClassVar = ("token",)

    source: Literal["electricity-maps"]
    zone: Place
    basis: Literal["life-cycle", "direct"] = "life-cycle"
    token_file: Path | None = None
    token_env: str | None = None
    base_url: Url = "https://api.electricitymaps.com"


class WattTimeCarbon(_Provider):
    """WattTime: the marginal intensity of one region, averaged into slots."""

    secrets: ClassVar = ("username", "password")

    source: Literal["watttime"]
    region: Place
    slot: Slot = 1800.0
    username_file: Path | None = None
    username_env: str | None = None
    password_file: Path | None = None
    password_env: str | None = None
    base_url: Url = "https://api.watttime.org"


class CarbonAwareSdkCarbon(_Provider):
    """A Carbon Aware SDK WebAPI that somebody runs; what its numbers are only they know."""

    source: Literal["carbon-aware-sdk"]
    base_url: Url
    location: Place
    kind: Literal["average", "marginal"]
    basis: Literal["life-cycle", "direct", "generation"]
    slot: Slot = 1800.0


class EnergyChartsCarbon(_Provider):
    """Energy-Charts: one country."""

    source: Literal["energy-charts"]
    country: Annotated[str, Field(min_length=2, max_length=16, pattern=r"^[a-z_]+$")]
    base_url: Url = "https://api.energy-charts.info"


Carbon = Annotated[
    FileCarbon | GbCarbon | ElectricityMapsCarbon | WattTimeCarbon | CarbonAwareSdkCarbon | EnergyChartsCarbon,
    Field(discriminator="source"),
]

SOURCES: dict[str, type[Section]] = {
    "file": FileCarbon,
    "gb": GbCarbon,
    "electricity-maps": ElectricityMapsCarbon,
    "watttime": WattTimeCarbon,
    "carbon-aware-sdk": CarbonAwareSdkCarbon,
    "energy-charts": EnergyChartsCarbon,
}
