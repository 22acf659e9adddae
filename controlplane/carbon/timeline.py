"""What a source was told of the last day, and each new answer over it, as one series of one meaning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan, nan

import numpy as np
from numpy.typing import NDArray

from controlplane.carbon.grid import Remarks, Row, Rows, Span, arrays, merge, within
from controlplane.carbon.series import Basis, CarbonSeries, Kind

PAST_S = 24 * 3600
FUTURE_S = 96 * 3600
FORECAST_LAG_S = 3600.0
"""The newest forecast of a provider was made up to this long ago, and begins then."""

KEPT_AHEAD_S = 24 * 3600
"""How long after its issue what was foreseen still stands for slots that a later answer knows nothing of."""

ISSUE_AGE_S = 7 * 86_400
ISSUE_SLACK_S = 300.0
"""How far clocks may be apart before a time of issue that lies ahead is worth a note."""

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


def newest_forecast(now_s: float) -> Span:
    """What is asked for with a forecast that is given no beginning and no end."""
    return now_s - FORECAST_LAG_S, now_s + FUTURE_S


def past_day(now_s: float) -> Span:
    """What is asked for with the values of the last day."""
    return now_s - PAST_S, now_s


class Timeline:
    """Keeps what was told of the last 24 hours, and foreseen of the time to come, while the meaning stays the same.

    An answer that is unusable in part, or in nearly all of it, does not cost what was known before: slots to come of
    which it has no value stay as they were foreseen, for `KEPT_AHEAD_S`. To refuse such answers instead would need a
    share of unusable rows below which the loss is fine, and throws away what they do tell.

    With `slot_s`, the provider's slots are averaged into longer ones of that length; where its own are longer, or do
    not fill one, they stay as they are.
    """

    def __init__(self, *, slot_s: int | None = None) -> None:
        self._slot_s = slot_s
        self._meaning: Meaning | None = None
        self._told: Rows = {}
        self._issued_s: dict[int, float] = {}

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
        """Lay the new `rows` over what is known, from a day before `now_s` to four days after; None if they hold none.

        An actual value of a slot that has not ended yet is an estimate, and stands as a forecast of it. A time of
        issue that is unknown, ahead of `now_s` or older than `ISSUE_AGE_S` is `now_s`.
        """
        notes = (*notes, *self._changed(meaning))
        period_s, slot_s = meaning.period_s, self._length(meaning.period_s)
        present_s = int(now_s // period_s) * period_s
        rows = {at_s: row for at_s, row in _about(rows, present_s).items() if _known(row)}
        if not rows:
            return None
        issued_s = _issued(issued_at_s, now_s=now_s, remarks=remarks)
        foreseeing = {at_s for at_s, row in rows.items() if at_s >= present_s or not isnan(row.forecast_g_per_kwh)}
        rows = self._merged(rows, present_s=present_s, now_s=now_s, issued_s=issued_s)
        kept = sum(at_s >= present_s and at_s not in foreseeing for at_s in rows)
        remarks.add("slot to come is as foreseen by an earlier answer", kept)
        start_s, forecast, actual = arrays(rows, slot_s=period_s, remarks=remarks)
        if slot_s != period_s:
            start_s, forecast, actual = _averaged(start_s, forecast, actual, period_s=period_s, slot_s=slot_s)
            notes = (*notes, f"averaged from {period_s} s to {slot_s} s")
        new = np.array(sorted(foreseeing), dtype=np.int64) // slot_s * slot_s
        earlier = ~np.isin(start_s + slot_s * np.arange(forecast.size), new)
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
            issued_at_s=issued_s,
            notes=(*remarks.notes(), *notes),
            foreseen_earlier=earlier & np.isfinite(forecast),
        )

    def _merged(self, rows: Rows, *, present_s: int, now_s: float, issued_s: float) -> Rows:
        """The new rows over what was told before; remembers them, and tells estimates from actual values."""
        told = merge(_about(self._told, present_s), rows)
        past = within(told, start_s=0, end_s=present_s)
        kept = {
            at_s: self._told[at_s]
            for at_s, issue_s in self._issued_s.items()
            # A clock that was set back must not make what was foreseen then last longer.
            if present_s <= at_s < present_s + FUTURE_S and abs(now_s - issue_s) <= KEPT_AHEAD_S
        }
        ahead = {at_s: row for at_s, row in rows.items() if at_s >= present_s}
        # What was foreseen of a slot stays beside what it turns out to be; an estimate of what runs does not.
        foreseen = {
            at_s: Row(forecast_g_per_kwh=row.forecast_g_per_kwh)
            for at_s, row in ahead.items()
            if not isnan(row.forecast_g_per_kwh)
        }
        self._issued_s = {at_s: self._issued_s[at_s] for at_s in kept} | dict.fromkeys(foreseen, issued_s)
        self._told = past | kept | foreseen
        return past | kept | {at_s: _foreseen(row) for at_s, row in ahead.items()}

    def _length(self, period_s: int) -> int:
        slot_s = self._slot_s
        return period_s if slot_s is None or slot_s < period_s or slot_s % period_s else slot_s

    def _changed(self, meaning: Meaning) -> tuple[str, ...]:
        before, self._meaning = self._meaning, meaning
        if before is None or before == meaning:
            return ()
        self._told, self._issued_s = {}, {}
        return (f"began afresh: before, these were {before.kind}, {before.basis}, slots of {before.period_s} s",)


def _about(rows: Rows, present_s: int) -> Rows:
    return within(rows, start_s=present_s - PAST_S, end_s=present_s + FUTURE_S)


def _known(row: Row) -> bool:
    return not (isnan(row.forecast_g_per_kwh) and isnan(row.actual_g_per_kwh))


def _issued(issued_at_s: float | None, *, now_s: float, remarks: Remarks) -> float:
    """The time of issue, where it is known and can be right."""
    if issued_at_s is None:
        return now_s
    if not now_s - ISSUE_AGE_S <= issued_at_s <= now_s + ISSUE_SLACK_S:
        remarks.add("time of issue is not within the week before now")
        return now_s
    return min(issued_at_s, now_s)


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
