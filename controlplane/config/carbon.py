"""Where a service's carbon figures come from, as configured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from controlplane.config.fields import Flag, Section, Whole


class FileCarbon(Section):
    """A recorded series."""

    source: Literal["file"]
    path: Path
    repeat: Flag = False


class GbCarbon(Section):
    """The GB Carbon Intensity API: national unless a region or postcode is named."""

    source: Literal["gb"]
    region_id: Annotated[Whole, Field(ge=1, le=17)] | None = None
    postcode: Annotated[str, Field(min_length=2, max_length=4)] | None = None
    base_url: Annotated[str, Field(pattern=r"^https?://")] = "https://api.carbonintensity.org.uk"

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.region_id is not None and self.postcode is not None:
            raise ValueError("region_id and postcode exclude each other")
        return self


Carbon = Annotated[FileCarbon | GbCarbon, Field(discriminator="source")]
