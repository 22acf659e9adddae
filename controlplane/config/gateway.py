"""Where Envoy listens, as configured."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from controlplane.config.fields import Address, Seconds, Section, Whole


class Gateway(Section):
    """Where Envoy listens, and how it is kept informed."""

    listen: Address = "127.0.0.1:10000"
    refresh: Seconds = 10.0
    ttl: Seconds = 30.0
    report_every: Seconds = 10.0
    concurrency: Annotated[Whole, Field(ge=1, le=256)] = 2

    @model_validator(mode="after")
    def _ttl_outlives_refresh(self) -> Self:
        if self.ttl < 2 * self.refresh:
            raise ValueError("ttl must be at least twice refresh, or proxies would fall back between two refreshes")
        return self
