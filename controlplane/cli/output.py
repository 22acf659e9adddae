"""How results are printed."""

from __future__ import annotations

from enum import StrEnum


class Output(StrEnum):
    """A table for people, or JSON for programs."""

    TABLE = "table"
    JSON = "json"
