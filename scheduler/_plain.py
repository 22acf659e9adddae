"""Strict reading of plain data (what JSON gives back) into state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def record(data: object, *, what: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
    """Return `data` if it is a mapping with exactly `keys`; ValueError otherwise."""
    if not isinstance(data, Mapping) or set(data) != set(keys):
        got = sorted(map(str, data)) if isinstance(data, Mapping) else type(data).__name__
        raise ValueError(f"{what}: expected the keys {sorted(keys)}, got {got}")
    return data


def number(value: object, *, what: str, minimum: float = -math.inf) -> float:
    """Return `value` as a finite float >= `minimum`; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{what}: {value!r} is not a number")  # noqa: TRY004 - bad data, not a bad call
    try:
        result = float(value)
    except OverflowError as error:  # an int may have any number of digits; they do not belong into a message
        raise ValueError(f"{what}: a number of that many digits is not finite") from error
    if not (math.isfinite(result) and result >= minimum):
        raise ValueError(f"{what}: {value!r} must be finite and >= {minimum}")
    return result


def optional_number(value: object, *, what: str, minimum: float = -math.inf) -> float | None:
    """Like `number`, but None stays None."""
    return None if value is None else number(value, what=what, minimum=minimum)


def items(value: object, *, what: str) -> list[Any]:
    """Return `value` as a list; ValueError when it is not a list or tuple."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{what}: expected a list, got {type(value).__name__}")  # noqa: TRY004
    return list(value)
