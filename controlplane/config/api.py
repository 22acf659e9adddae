"""Where the control plane itself is asked and steered, as configured, and by whom."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from controlplane.config.fields import Address, Number, Section


class Tls(Section):
    """A certificate (with its chain) and its key, PEM."""

    cert: Path
    key: Path


class Api(Section):
    """The API, the live page and the metrics.

    `token_file` holds the bearer token that every request must bring; it is read again when it changes.
    `requests_per_second` is what one client may ask on average, with bursts of twice as much.
    """

    listen: Address = "127.0.0.1:9900"
    token_file: Path | None = None
    tls: Tls | None = None
    requests_per_second: Annotated[Number, Field(gt=0, le=100_000)] = 500.0

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if not self.loopback and self.token_file is None:
            raise ValueError(
                f"listen {self.listen} can be reached from other machines, and whoever reaches it can steer every "
                "service: set token_file too"
            )
        return self

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        host = self.listen.rpartition(":")[0]
        return ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
