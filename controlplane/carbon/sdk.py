"""The Carbon Aware SDK's WebAPI (Green Software Foundation), which somebody runs in front of a provider.

https://carbon-aware-sdk.greensoftware.foundation/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from controlplane.carbon.errors import CarbonSourceError, PermanentSourceError, TemporarySourceError
from controlplane.carbon.grid import Column, Remarks, Rows, Span, epoch_s, issued_s, merge, readings
from controlplane.carbon.http import JsonClient
from controlplane.carbon.offer import ForecastOffer
from controlplane.carbon.series import Basis, CarbonSeries, Kind
from controlplane.carbon.shape import fields, iso, period_s, rows_of, same, spacing_s
from controlplane.carbon.timeline import PAST_S, Meaning, Timeline, newest_forecast, past_day

LICENCE = "by the data source behind the Carbon Aware SDK"
_CLOCK = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    rows: Rows
    period_s: int
    generated_at_s: float | None = None


class CarbonAwareSdkSource:
    """One location's last day, and the forecast where the provider behind the SDK has one.

    No answer says of what kind its numbers are, so `kind` and `basis` are said by whoever runs the SDK. Slots shorter
    than `slot_s` are averaged into it. A window size is never asked for: windows overlap and none would begin now.
    """

    name = "carbon-aware-sdk"

    def __init__(  # noqa: PLR0913 - what is configured
        self,
        *,
        location: str,
        kind: Kind,
        basis: Basis,
        base_url: str,
        slot_s: int = 1800,
        timeout_s: float = 10.0,
    ) -> None:
        self.zone = location
        self.kind, self.basis = kind, basis
        self.poll_s = float(slot_s)
        self._client = JsonClient(source=self.name, base_url=base_url, timeout_s=timeout_s)
        self._offer = ForecastOffer(404, 501)
        self._timeline = Timeline(slot_s=slot_s)

    async def fetch(self, *, now_s: float) -> CarbonSeries:
        """Return the last day and what is foreseen; without a forecast it may lack the present slot.

        Raises:
            CarbonSourceError: see `JsonClient.get`; permanent for another location or an unknown shape, temporary if
                there is a forecast but no value covers `now_s`, or no value at all.
        """
        remarks = Remarks()
        forecast = None
        if self._offer.asks(now_s):
            forecast = await self._offer.taken(self._forecast(remarks, now_s=now_s))
        past, notes = await self._past(forecast, remarks, now_s=now_s)
        known = forecast or past
        series = None
        if known is not None:
            series = self._timeline.series(
                merge(past.rows if past else {}, forecast.rows if forecast else {}),
                meaning=self._meaning(known.period_s),
                now_s=now_s,
                issued_at_s=known.generated_at_s,
                remarks=remarks,
                notes=notes,
            )
        if series is None or (forecast is not None and not series.renews(now_s)):
            raise TemporarySourceError(f"no value for {iso(now_s)} in the answer", source=self.name)
        return series

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _meaning(self, length_s: int) -> Meaning:
        return Meaning(
            source=self.name, zone=self.zone, kind=self.kind, basis=self.basis, licence=LICENCE, period_s=length_s
        )

    async def _forecast(self, remarks: Remarks, *, now_s: float) -> _Answer:
        document = await self._client.get("/emissions/forecasts/current", query={"location": self.zone})
        listed = rows_of(document, source=self.name)
        if not listed:
            raise TemporarySourceError("no forecast in the answer", source=self.name)
        if len(listed) > 1:
            raise PermanentSourceError(f"the answer has {len(listed)} forecasts instead of one", source=self.name)
        said = fields(listed[0])
        # Only of the forecast itself: its points name the region of the provider behind.
        same(said.get("location"), self.zone, what="location", source=self.name)
        rows = rows_of(said.get("forecastData"), source=self.name)
        generated_at_s = issued_s(said.get("generatedAt"), remarks=remarks)
        answer = self._answer(rows, "forecast", remarks, span=newest_forecast(now_s), generated_at_s=generated_at_s)
        if answer is None:
            raise TemporarySourceError("no forecast in the answer", source=self.name)
        return answer

    async def _past(
        self, forecast: _Answer | None, remarks: Remarks, *, now_s: float
    ) -> tuple[_Answer | None, tuple[str, ...]]:
        """What was; a failure is a note as long as there is a forecast."""
        query = {"location": self.zone, "time": iso(now_s - PAST_S), "toTime": iso(now_s)}
        try:
            document = await self._client.get("/emissions/bylocation", query=query)
            past = self._answer(rows_of(document, source=self.name), "actual", remarks, span=past_day(now_s))
        except CarbonSourceError as error:
            if forecast is None:
                raise
            return None, (f"past actual values are missing: {error}",)
        notes = self._offer.confirmed(now_s)
        if past is not None and forecast is not None and past.period_s != forecast.period_s:
            return None, (*notes, f"past actual values are missing: their slots are {past.period_s} s")
        return past, notes

    def _answer(
        self,
        listed: list[object],
        column: Column,
        remarks: Remarks,
        *,
        span: Span,
        generated_at_s: float | None = None,
    ) -> _Answer | None:
        """The rows of an answer, None where it has none."""
        items = [fields(item) for item in listed]
        times = [_moment_s(item) for item in items]
        length_s = self._length(items, times)
        if length_s is None:
            return None
        rows = readings(
            ((time_s, item.get("value", item.get("rating"))) for time_s, item in zip(times, items, strict=True)),
            column=column,
            period_s=length_s,
            remarks=remarks,
            asked=span,
        )
        return _Answer(rows=rows, period_s=length_s, generated_at_s=generated_at_s)

    def _length(self, items: list[Mapping[str, object]], times: list[float | None]) -> int | None:
        """The slot length that the rows name, else the one they keep; None where there is none."""
        named = {_duration_s(item.get("duration")) for item in items} - {None}
        if len(named) > 1:
            raise PermanentSourceError("the answer mixes slots of different lengths", source=self.name)
        length_s = named.pop() if named else spacing_s(times, grid_s=60)
        return None if length_s is None else period_s(length_s, source=self.name)


def _moment_s(item: Mapping[str, object]) -> float | None:
    return epoch_s(item.get("timestamp", item.get("time")))


def _duration_s(value: object) -> float | None:
    """Seconds of minutes (forecasts) or hh:mm:ss (emissions); None where nothing is said."""
    if isinstance(value, str) and (clock := _CLOCK.fullmatch(value)):
        return 3600.0 * int(clock[1]) + 60.0 * int(clock[2]) + int(clock[3])
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1440:
        return value * 60.0
    return None
