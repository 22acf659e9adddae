"""What a source was told of the last day, and each new answer over it, as one series of one meaning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan, nan

import numpy as np
from numpy.typing import NDArray

from controlplane.carbon.grid import Remarks, Row, Rows, arrays, merge, within
from controlplane.carbon.series import Basis, CarbonSeries, Kind

PAST_S = 24 * 3600
FUTURE_S = 96 * 3600

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What the numbers are; numbers of two meanings never stand in one series. `period_s` is the provider's slot."""

    source: str
    zone: str
    kind: Kind
    basis: Basis
    licence: str
    period_s: int


class Timeline:
    """Keeps what was told of the last 24 hours, for as long as the meaning stays the same.

    With `slot_s`, the provider's slots are averaged into longer ones of that length; where its own are longer, or do
    not fill one, they stay as they are.
    """

    def __init__(self, *, slot_s: int | None = None) -> None:
        self._slot_s = slot_s
        self._meaning: Meaning | None = None
        self._told: Rows = {}

    def actual_until_s(self) -> int | None:
        """Start of the last of the provider's slots whose actual value is known; None if none is."""
        return max((at_s for at_s, row in self._told.items() if not isnan(row.actual_g_per_kwh)), default=None)

    def series(  # noqa: PLR0913 - what an answer held, what it means, and when it was given
        self,
        rows: Rows,
        *,
        meaning: Meaning,
        now_s: float,
        remarks: Remarks,
        issued_at_s: float | None = None,
        notes: Iterable[str] = (),
    ) -> CarbonSeries | None:
        """Lay the new `rows` over what is known, from a day before `now_s` to four days after; None without a value.

        An actual value of a slot that has not ended yet is an estimate, and stands as a forecast of it. A time of
        issue that is unknown or ahead of `now_s` is `now_s`.
        """
        notes = (*notes, *self._changed(meaning))
        rows = self._merged(rows, present_s=int(now_s // meaning.period_s) * meaning.period_s)
        if not rows:
            return None
        start_s, forecast, actual = arrays(rows, slot_s=meaning.period_s, remarks=remarks)
        slot_s = self._length(meaning.period_s)
        if slot_s != meaning.period_s:
            start_s, forecast, actual = _averaged(start_s, forecast, actual, period_s=meaning.period_s, slot_s=slot_s)
            notes = (*notes, f"averaged from {meaning.period_s} s to {slot_s} s")
        return CarbonSeries(
            source=meaning.source,
            zone=meaning.zone,
            kind=meaning.kind,
            basis=meaning.basis,
            licence=meaning.licence,
            start_s=float(start_s),
            slot_s=float(slot_s),
            forecast_g_per_kwh=forecast,
            actual_g_per_kwh=actual,
            issued_at_s=now_s if issued_at_s is None else min(issued_at_s, now_s),
            notes=(*remarks.notes(), *notes),
        )

    def _merged(self, rows: Rows, *, present_s: int) -> Rows:
        """The new rows over those of slots that have ended; remembers them, and tells estimates from actual values."""
        told = merge(within(self._told, start_s=0, end_s=present_s), rows)
        told = within(told, start_s=present_s - PAST_S, end_s=present_s + FUTURE_S)
        # What was foreseen of a slot stays beside what it turns out to be; an estimate of what runs does not.
        self._told = {
            at_s: Row(forecast_g_per_kwh=row.forecast_g_per_kwh) if at_s >= present_s else row
            for at_s, row in told.items()
            if at_s < present_s or not isnan(row.forecast_g_per_kwh)
        }
        return {at_s: row if at_s < present_s else _foreseen(row) for at_s, row in told.items()}

    def _length(self, period_s: int) -> int:
        slot_s = self._slot_s
        return period_s if slot_s is None or slot_s < period_s or slot_s % period_s else slot_s

    def _changed(self, meaning: Meaning) -> tuple[str, ...]:
        before, self._meaning = self._meaning, meaning
        if before is None or before == meaning:
            return ()
        self._told = {}
        return (f"began afresh: before, these were {before.kind}, {before.basis}, slots of {before.period_s} s",)


def _foreseen(row: Row) -> Row:
    """A row of a slot that has not ended: an actual value is then an estimate, and stands where none is foreseen."""
    estimate, forecast = row.actual_g_per_kwh, row.forecast_g_per_kwh
    return Row(forecast_g_per_kwh=estimate if isnan(forecast) else forecast)


def _averaged(
    start_s: int, forecast: FloatArray, actual: FloatArray, *, period_s: int, slot_s: int
) -> tuple[int, FloatArray, FloatArray]:
    """Means over slots of `slot_s`: of what is foreseen in them, and of actual values only where none is missing."""
    size, before = slot_s // period_s, start_s % slot_s // period_s
    after = -(before + forecast.size) % size

    def laid(values: FloatArray) -> FloatArray:
        return np.pad(values, (before, after), constant_values=nan).reshape(-1, size)

    foreseen = laid(forecast)
    known = np.isfinite(foreseen)
    count = known.sum(axis=1)
    total = np.where(known, foreseen, 0.0).sum(axis=1)
    mean = np.divide(total, count, out=np.full(count.size, nan), where=count > 0)
    return start_s - before * period_s, mean, laid(actual).mean(axis=1)
