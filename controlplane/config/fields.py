"""The kinds of values that stand in `carbonrouter.yaml`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_S = 366 * 86400.0


def duration(value: object) -> float:
    """Seconds of a text such as 90m; ValueError otherwise."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a duration such as 500ms, 30s, 15m, 6h or 1d")
    return float(match[1]) * _UNIT_S[match[2]]


def _bounded_duration(value: object) -> float:
    seconds = duration(value)
    if not 0.0 < seconds <= _LONGEST_S:
        raise ValueError("must be above 0 and at most 366d")
    return seconds


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    try:
        # Without brackets nobody can tell the end of an IPv6 address from a port; a zone (%eth0) Envoy does not take.
        literal = "%" not in bare and bracketed == (ip_address(bare).version == 6)
    except ValueError:
        literal = False
    if not literal:
        raise ValueError("must be ADDRESS:PORT with a literal IP address, such as 127.0.0.1:8080 or [::1]:8080")
    if not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536):
        raise ValueError("must end in a port from 1 to 65535")
    return value


def _dns_label(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", value):
        raise ValueError("must be lower-case letters, digits, '-' and '.', as Kubernetes names are")
    return value


def _not_empty(values: tuple[object, ...]) -> tuple[object, ...]:
    # Not a minimum length: pydantic counts what is left when invalid items are gone, and would complain twice.
    if not values:
        raise ValueError("must not be empty")
    return values


def doubled(values: Sequence[str]) -> list[str]:
    """The values that stand in it more than once, sorted."""
    return sorted({value for value in values if values.count(value) > 1})


NonEmpty = AfterValidator(_not_empty)
# YAML's `yes` and '4' are not numbers, however willing a converter may be.
Number = Annotated[float, Strict()]
Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Percent = Annotated[Number, Field(ge=0, le=100)]
_DURATION_SCHEMA = {"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["30s", "15m", "6h"]}
Seconds = Annotated[float, BeforeValidator(_bounded_duration), WithJsonSchema(_DURATION_SCHEMA)]
Address = Annotated[str, AfterValidator(_address)]
Name = Annotated[str, AfterValidator(_dns_label)]
Host = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^(\*|(\*\.)?[A-Za-z0-9_.-]+)$")]


class Section(BaseModel):
    """A mapping in the file: nothing in it is unknown, and nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    def resolved(self, folder: Path) -> Self:
        """The same with every relative path, here and further down, taken from `folder`."""
        fields = ((name, getattr(self, name)) for name in type(self).model_fields)
        return self.model_copy(update={name: _resolved(value, folder) for name, value in fields})


def _resolved(value: object, folder: Path) -> object:
    match value:
        case Path():
            return folder / value
        case Section():
            return value.resolved(folder)
        case tuple():
            return tuple(_resolved(each, folder) for each in value)
        case dict():
            return {key: _resolved(each, folder) for key, each in value.items()}
        case _:
            return value
