"""Rows of a provider's answer, checked one by one, and laid on a regular grid."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isnan, nan
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# The dirtiest grids stay well below 2,000 g CO2e/kWh; more is a unit mix-up or a defect.
MAX_G_PER_KWH = 5000.0

# No figure is of another age, and what is further away cannot always be printed, or makes a grid without end.
EARLIEST_S = 0.0
LATEST_S = datetime(2200, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One slot's values in g CO2e/kWh; NaN where the provider gave none."""

    forecast_g_per_kwh: float = nan
    actual_g_per_kwh: float = nan

    def updated(self, newer: "Row") -> "Row":
        """Return this row with every value that `newer` knows."""
        forecast, actual = newer.forecast_g_per_kwh, newer.actual_g_per_kwh
        return Row(
            forecast_g_per_kwh=self.forecast_g_per_kwh if isnan(forecast) else forecast,
            actual_g_per_kwh=self.actual_g_per_kwh if isnan(actual) else actual,
        )


Rows = dict[int, Row]
"""Rows by the start of their slot, seconds since the Unix epoch."""


@dataclass(slots=True, kw_only=True)
class Remarks:
    """Counts what had to be left out of an answer, by reason."""

    _counts: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str, count: int = 1) -> None:
        """Count one more case of `reason`."""
        if count:
            self._counts[reason] += count

    def notes(self) -> tuple[str, ...]:
        """Return one note a reason, in alphabetical order: "2 x row is no object"."""
        return tuple(f"{count} x {reason}" for reason, count in sorted(self._counts.items()))


Column = Literal["forecast", "actual"]
Span = tuple[float, float]
"""What a provider was asked for: from, until; seconds since the Unix epoch."""


def asked_for(start_s: float, span: Span, *, period_s: int, remarks: Remarks) -> bool:
    """Tell whether any of a slot, or its beginning, lies in what was asked for; what does not is remarked."""
    first_s, until_s = span
    if first_s - period_s < start_s <= until_s:
        return True
    # Some providers count the slot that ends where a span begins as part of it: no reason for a note with each answer.
    if start_s != first_s - period_s:
        remarks.add("row was not asked for")
    return False


def readings(  # noqa: PLR0913 - pairs, what they are, and what was asked for
    pairs: Iterable[tuple[float | None, object]],
    *,
    column: Column,
    period_s: int,
    remarks: Remarks,
    asked: Span = (EARLIEST_S, LATEST_S),
    factor: float = 1.0,
) -> Rows:
    """Return the rows of (start of a slot, foreign value): g CO2e/kWh after multiplying by `factor`.

    A time that is None, begins no slot of `period_s` or is not within what was `asked`, null, and what is no plausible
    intensity is left out; what is wrong with it goes to `remarks`. Of two rows of a slot the later one that holds a
    value is taken.
    """
    rows: Rows = {}
    seen: set[float] = set()
    for start_s, value in pairs:
        if start_s is None:
            remarks.add("row has no readable time")
            continue
        if start_s % period_s:
            remarks.add(f"row begins no slot of {period_s} s")
            continue
        if not asked_for(start_s, asked, period_s=period_s, remarks=remarks):
            continue
        if start_s in seen:
            remarks.add("row repeats a slot")
        seen.add(start_s)
        known = intensity(value, remarks=remarks, factor=factor)
        if not isnan(known):
            rows[int(start_s)] = Row(forecast_g_per_kwh=known) if column == "forecast" else Row(actual_g_per_kwh=known)
    return rows


def merge(older: Mapping[int, Row], newer: Mapping[int, Row]) -> Rows:
    """Return all rows; where both know a value, the newer one."""
    merged = dict(older)
    for start_s, row in newer.items():
        merged[start_s] = merged.get(start_s, Row()).updated(row)
    return merged


def arrays(
    rows: Mapping[int, Row], *, slot_s: int, remarks: Remarks
) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Return (start, forecast (T,), actual (T,)) from the first row to the last, NaN in between where unknown.

    `rows` must not be empty and its keys must be a multiple of `slot_s` apart.
    """
    first, last = min(rows), max(rows)
    size = (last - first) // slot_s + 1
    forecast, actual = np.full(size, nan), np.full(size, nan)
    for start_s, row in rows.items():
        index = (start_s - first) // slot_s
        forecast[index], actual[index] = row.forecast_g_per_kwh, row.actual_g_per_kwh
    remarks.add("slot without a value", size - len(rows))
    return first, forecast, actual


def within(rows: Mapping[int, Row], *, start_s: float, end_s: float) -> Rows:
    """Return the rows whose slots start in [start_s, end_s)."""
    return {at_s: row for at_s, row in rows.items() if start_s <= at_s < end_s}


def intensity(value: object, *, remarks: Remarks, factor: float = 1.0) -> float:
    """Return a value, times `factor`, in g CO2e/kWh; NaN for null, and with a remark for no plausible intensity."""
    if value is None:
        return nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        remarks.add("value is not a number")
        return nan
    # Compared before it is converted: an integer may be too large for a float. NaN fails the comparison.
    if not 0 <= value <= MAX_G_PER_KWH / factor:
        remarks.add(f"value is not within 0..{MAX_G_PER_KWH:g} g/kWh")
        return nan
    return float(value) * factor


def epoch_s(value: object) -> float | None:
    """Return an ISO 8601 time with a zone, of 1970..2200, as seconds since the Unix epoch; None for all else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return unix_s(moment.timestamp()) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def unix_s(value: object) -> float | None:
    """Return a number of seconds since the Unix epoch, of 1970..2200; None for all else."""
    # Compared before it is converted: an integer may be too large for a float. NaN fails the comparison.
    if isinstance(value, int | float) and not isinstance(value, bool) and EARLIEST_S <= value < LATEST_S:
        return float(value)
    return None


def issued_s(value: object, *, remarks: Remarks) -> float | None:
    """Return a time of issue as `epoch_s` does; one that is given and cannot be used is remarked."""
    time_s = epoch_s(value)
    if value is not None and time_s is None:
        remarks.add("time of issue is not readable")
    return time_s
