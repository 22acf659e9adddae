"""Numbers as people read them: never kinder to us than the exact value, which goes with them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

NOTHING_EMITTED = "no emissions above zero to compare with"
NO_REQUESTS = "no requests"
NO_ENERGY = "the best flavour has no energy"
NO_WAITING_GAIN = "nothing to gain by waiting"
WAITED_TOO_LONG = "deadlines were missed"

_NOISE = 9
"""Decimals beyond which a difference is the rounding of floats, not a figure."""

_UNITS = ((1e6, "t"), (1e3, "kg"), (1.0, "g"), (1e-3, "mg"), (1e-6, "µg"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A figure as shown and, in `exact`, as it is; no figure has the reason in `missing`, `remark` goes behind it."""

    text: str
    exact: str = ""
    missing: str = ""
    remark: str = ""


def saved(value: float | None, remark: str = "") -> Number:
    """A saving in percent, rounded down; a negative one is said to be more."""
    worse = value is not None and value < -(10.0**-_NOISE)
    said = ", ".join(part for part in ("more" if worse else "", remark) if part)
    return _number(value, decimals=2, rounding=ROUND_FLOOR, missing=NOTHING_EMITTED, remark=said)


def above_bound(value: float | None, remark: str = "") -> Number:
    """Percent above the least possible, rounded up."""
    return _number(value, decimals=2, rounding=ROUND_CEILING, missing=NOTHING_EMITTED, remark=remark)


def error(value: float | None, remark: str = "") -> Number:
    """A mean error in percent, or points of it, rounded up."""
    return _number(value, decimals=3, rounding=ROUND_CEILING, missing=NO_REQUESTS, remark=remark)


def granted(value: float | None, remark: str = "") -> Number:
    """A mean error in percent that may be served, rounded down."""
    return _number(value, decimals=3, rounding=ROUND_FLOOR, missing=NO_REQUESTS, remark=remark)


def realised(value: float | None, remark: str = "", *, missing: str = NO_WAITING_GAIN) -> Number:
    """The share in percent of what waiting could gain, rounded down."""
    return _number(value, decimals=1, rounding=ROUND_FLOOR, missing=missing, remark=remark)


def relative(value: float | None) -> Number:
    """A share in percent of what the best flavour takes."""
    return _number(value, decimals=1, rounding=ROUND_HALF_EVEN, missing=NO_ENERGY, remark="")


def amount(value: float) -> Number:
    """Requests: whole ones without decimals, few ones with three significant digits."""
    exact = float(value)
    whole = exact.is_integer() or abs(exact) >= 1000.0
    return Number(text=f"{exact:,.0f}" if whole else f"{exact:.3g}", exact=repr(exact))


def plain(value: float) -> str:
    """A number as it was configured: 4 rather than 4.0."""
    return f"{float(value):.6g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GramUnit:
    """One unit for all masses of a page, so that columns can be compared."""

    grams: float
    name: str

    @classmethod
    def fitting(cls, values: Iterable[float]) -> GramUnit:
        """The largest unit of which the largest value is at least one."""
        largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
        if largest == 0.0:
            return cls(grams=1.0, name="g")
        grams, name = next(((grams, name) for grams, name in _UNITS if largest >= grams), _UNITS[-1])
        return cls(grams=grams, name=name)

    def number(self, grams: float) -> Number:
        """Grams CO2e in this unit, four significant digits; `exact` stays in grams."""
        scaled = float(grams) / self.grams
        if not math.isfinite(scaled):
            return Number(text="n/a", missing="not a finite number")
        digits = 3 - math.floor(math.log10(abs(scaled))) if scaled else 0
        return Number(text=f"{scaled:,.{min(max(digits, 0), 9)}f}", exact=repr(float(grams)))


def _number(value: float | None, *, decimals: int, rounding: str, missing: str, remark: str) -> Number:
    if value is None or not math.isfinite(value):
        return Number(text="n/a", missing=missing if value is None else "not a finite number")
    exact = float(value)
    known = Decimal(exact).quantize(Decimal(1).scaleb(-_NOISE))
    shown = known.quantize(Decimal(1).scaleb(-decimals), rounding=rounding) + 0  # + 0: no "-0.00"
    return Number(text=f"{shown:,f}", exact=repr(exact), remark=remark)
