"""WattTime, API v3: marginal intensity of a region (MOER), five minutes, a name and a password.

https://docs.watttime.org/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controlplane.carbon.credentials import Credential, Secret, sendable
from controlplane.carbon.errors import CarbonSourceError, OtherNumbersError, PermanentSourceError, TemporarySourceError
from controlplane.carbon.grid import Column, Remarks, Rows, Span, epoch_s, issued_s, merge, readings
from controlplane.carbon.http import JsonClient, printable
from controlplane.carbon.series import CarbonSeries, Kind
from controlplane.carbon.shape import fields, iso, mapping, period_s, rows_of, same
from controlplane.carbon.timeline import FORECAST_LAG_S, PAST_S, Meaning, Timeline

BASE_URL = "https://api.watttime.org"
LICENCE = "WattTime (watttime.org), by your contract with them"
SIGNAL = "co2_moer"
UNIT = "lbs_co2_per_mwh"
G_PER_KWH = 0.45359237
"""Of one lb/MWh: an avoirdupois pound is 453.59237 g."""

PERIOD_S = 300
HORIZON_H = 72
LOOK_BACK_S = 2 * 3600
TOKEN_S = 29 * 60.0
"""Tokens live 30 minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    rows: Rows
    period_s: int
    generated_at_s: float | None
    notes: tuple[str, ...]


class WattTimeSource:
    """One region's last day and the forecast of three.

    The provider's slots of five minutes are averaged into `slot_s`: the planner plans every slot of a window, and
    decisions that change every five minutes on a signal as noisy as a marginal one chase its noise.
    """

    name = "watttime"
    kind: Kind = "marginal"
    basis = "direct"

    def __init__(  # noqa: PLR0913 - what is configured
        self,
        *,
        region: str,
        username: Secret,
        password: Secret,
        slot_s: int = 1800,
        base_url: str = BASE_URL,
        timeout_s: float = 10.0,
    ) -> None:
        self.zone = region
        self.poll_s = float(slot_s)
        self._username, self._password = username, password
        self._client = JsonClient(source=self.name, base_url=base_url, timeout_s=timeout_s, secret=True)
        self._timeline = Timeline(slot_s=slot_s)
        self._token: tuple[Credential, float] | None = None

    async def fetch(self, *, now_s: float) -> CarbonSeries:
        """Return the last day and what is foreseen.

        Raises:
            CarbonSourceError: see `JsonClient.get`; permanent if the login is refused or the answer is of another
                region, signal or unit, temporary if no value covers `now_s`.
        """
        remarks = Remarks()
        span = (now_s - FORECAST_LAG_S, now_s + HORIZON_H * 3600)
        forecast = await self._ask("forecast", {"horizon_hours": str(HORIZON_H)}, remarks, span=span, now_s=now_s)
        past, notes = await self._past(forecast, remarks, now_s=now_s)
        meaning = Meaning(
            source=self.name,
            zone=self.zone,
            kind="marginal",
            basis="direct",
            licence=LICENCE,
            period_s=forecast.period_s,
        )
        series = self._timeline.series(
            merge(past, forecast.rows),
            meaning=meaning,
            now_s=now_s,
            issued_at_s=forecast.generated_at_s,
            remarks=remarks,
            notes=(*notes, *forecast.notes),
        )
        if series is None or not series.renews(now_s):
            raise TemporarySourceError(f"no value for {iso(now_s)} in the answer", source=self.name)
        return series

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _past(self, forecast: _Answer, remarks: Remarks, *, now_s: float) -> tuple[Rows, tuple[str, ...]]:
        """The values since those known last; a failure is a note, for the forecast is there."""
        known_s = self._timeline.actual_until_s()
        start_s = now_s - PAST_S if known_s is None else max(now_s - PAST_S, known_s - LOOK_BACK_S)
        try:
            query = {"start": iso(start_s), "end": iso(now_s)}
            past = await self._ask("historical", query, remarks, span=(start_s, now_s), now_s=now_s)
        except OtherNumbersError:
            raise
        except CarbonSourceError as error:
            return {}, (f"past actual values are missing: {error}",)
        if past.period_s != forecast.period_s:
            return {}, (f"past actual values are missing: their slots are {past.period_s} s",)
        return past.rows, past.notes

    async def _ask(self, what: str, asked: Mapping[str, str], remarks: Remarks, *, span: Span, now_s: float) -> _Answer:
        query = {"region": self.zone, "signal_type": SIGNAL, **asked}
        document = mapping(await self._get(f"/v3/{what}", query, now_s=now_s), source=self.name)
        meta = fields(document.get("meta"))
        same(meta.get("region"), self.zone, what="region", source=self.name)
        same(meta.get("signal_type"), SIGNAL, what="signal", source=self.name)
        same(meta.get("units"), UNIT, what="unit", source=self.name)
        length_s = period_s(meta.get("data_point_period_seconds", PERIOD_S), source=self.name)
        listed = rows_of(document.get("data"), source=self.name)
        column: Column = "forecast" if what == "forecast" else "actual"
        rows = readings(
            ((epoch_s(fields(item).get("point_time")), fields(item).get("value")) for item in listed),
            column=column,
            period_s=length_s,
            remarks=remarks,
            asked=span,
            factor=G_PER_KWH,
        )
        return _Answer(
            rows=rows,
            period_s=length_s,
            generated_at_s=issued_s(meta.get("generated_at"), remarks=remarks),
            notes=(*_warnings(meta), *_imputed(listed)),
        )

    async def _get(self, path: str, query: Mapping[str, str], *, now_s: float) -> object:
        """GET with the token; once more with a new one if a token that was kept is refused."""
        kept = self._token is not None and 0 <= now_s - self._token[1] < TOKEN_S
        token = self._token[0] if kept and self._token is not None else await self._login(now_s)
        try:
            return await self._client.get(path, query=query, credential=token)
        except PermanentSourceError as error:
            if error.status != 401:
                raise
            self._token = None
            if not kept:
                raise
        return await self._client.get(path, query=query, credential=await self._login(now_s))

    async def _login(self, now_s: float) -> Credential:
        username = await self._username.read(source=self.name)
        password = await self._password.read(source=self.name)
        if ":" in username:
            raise PermanentSourceError("the username holds a colon, which a login cannot", source=self.name)
        document = await self._client.get("/login", credential=Credential.basic(username, password))
        token = fields(document).get("token")
        if not isinstance(token, str) or not sendable(token):
            raise PermanentSourceError("the login gave no token", source=self.name)
        credential = Credential.bearer(token)
        self._token = (credential, now_s)
        return credential


def _warnings(meta: Mapping[str, object]) -> tuple[str, ...]:
    listed = meta.get("warnings")
    warnings = listed[:3] if isinstance(listed, list) else []
    return tuple(printable(f"the provider warns: {fields(each).get('message', each)}") for each in warnings)


def _imputed(listed: list[object]) -> tuple[str, ...]:
    count = sum(fields(item).get("imputed_data_used") is True for item in listed)
    return (f"{count} x estimated by the provider (imputed data)",) if count else ()
