"""Electricity Maps, API v3: average intensity of a zone's consumption, hours, a token.

https://portal.electricitymaps.com/developer-hub/api/reference
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from controlplane.carbon.credentials import Credential, Secret
from controlplane.carbon.errors import CarbonSourceError, OtherNumbersError, TemporarySourceError
from controlplane.carbon.grid import Column, Remarks, Rows, epoch_s, issued_s, merge, readings
from controlplane.carbon.http import JsonClient, printable
from controlplane.carbon.offer import ForecastOffer
from controlplane.carbon.series import CarbonSeries, Kind
from controlplane.carbon.shape import fields, iso, mapping, rows_of, same
from controlplane.carbon.timeline import Meaning, Timeline, newest_forecast, past_day

BASE_URL = "https://api.electricitymaps.com"
LICENCE = "Electricity Maps (electricitymaps.com), by your contract with them"
PERIOD_S = 3600

# Without a forecast only the running hour is known, and the next one cannot be before it begins.
LAGGING_POLL_S = 600.0
LEAST_POLL_S = 60.0
SPREAD_S = 60.0

ElectricityMapsBasis = Literal["life-cycle", "direct"]
_FACTORS = {"life-cycle": "lifecycle", "direct": "direct"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    rows: Rows
    updated_at_s: float | None
    estimated: Counter[str]


class ElectricityMapsSource:
    """One zone's hours: the last day, and the forecast where the plan has one.

    `basis` chooses the emission factors asked for. Without a forecast the series ends with the running hour.
    """

    name = "electricity-maps"
    kind: Kind = "average"

    def __init__(
        self,
        *,
        zone: str,
        token: Secret,
        basis: ElectricityMapsBasis = "life-cycle",
        base_url: str = BASE_URL,
        timeout_s: float = 10.0,
    ) -> None:
        self.zone = zone
        self.basis = basis
        self.poll_s = float(PERIOD_S)
        self._token = token
        self._client = JsonClient(source=self.name, base_url=base_url, timeout_s=timeout_s, secret=True)
        self._offer = ForecastOffer(401, 403, 404)
        self._timeline = Timeline()
        self._meaning = Meaning(
            source=self.name, zone=zone, kind=self.kind, basis=basis, licence=LICENCE, period_s=PERIOD_S
        )

    async def fetch(self, *, now_s: float) -> CarbonSeries:
        """Return the last day and what is foreseen; without a forecast it may lack the hour that has just begun.

        Raises:
            CarbonSourceError: see `JsonClient.get`; permanent if the answer is for another zone or other emission
                factors, temporary if there is a forecast but no value covers `now_s`, or no value at all.
        """
        credential = Credential.token(await self._token.read(source=self.name), header="auth-token")
        remarks = Remarks()
        forecast = None
        if self._offer.asks(now_s):
            forecast = await self._offer.taken(self._ask("forecast", credential, remarks, now_s=now_s))
        answers, notes = await self._past(credential, remarks, now_s=now_s, foreseen=forecast)
        if forecast is not None:
            answers = [*answers, forecast]
        rows: Rows = {}
        for each in answers:
            rows = merge(rows, each.rows)
        issued = [each.updated_at_s for each in ([forecast] if forecast else answers) if each.updated_at_s is not None]
        series = self._timeline.series(
            rows,
            meaning=self._meaning,
            now_s=now_s,
            issued_at_s=max(issued, default=None),
            remarks=remarks,
            notes=(*notes, *_estimated(answers)),
        )
        return self._complete(series, now_s=now_s, foreseen=forecast is not None)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _past(
        self, credential: Credential, remarks: Remarks, *, now_s: float, foreseen: _Answer | None
    ) -> tuple[list[_Answer], tuple[str, ...]]:
        """What was, and without a forecast what is; a failure is a note as long as there is a forecast."""
        try:
            answers = [await self._ask("history", credential, remarks, now_s=now_s)]
        except OtherNumbersError:
            raise
        except CarbonSourceError as error:
            if foreseen is None:
                raise
            return [], (f"past actual values are missing: {error}",)
        notes = self._offer.confirmed(now_s)
        if foreseen is None and now_s // PERIOD_S * PERIOD_S not in answers[0].rows:
            try:
                answers.append(await self._ask("latest", credential, remarks, now_s=now_s))
            except OtherNumbersError:
                raise
            except CarbonSourceError as error:
                notes = (*notes, f"the running hour is missing: {error}")
        return answers, notes

    async def _ask(
        self, what: Literal["forecast", "history", "latest"], key: Credential, remarks: Remarks, *, now_s: float
    ) -> _Answer:
        query = {
            "zone": self.zone,
            "emissionFactorType": _FACTORS[self.basis],
            # Without it an unknown zone becomes that of the caller's address.
            "shouldUseFallbackCallerLookup": "false",
        }
        document = mapping(
            await self._client.get(f"/v3/carbon-intensity/{what}", query=query, credential=key), source=self.name
        )
        self._is_ours(document, zone_required=True)
        listed = [document] if what == "latest" else rows_of(document.get(what), source=self.name)
        column: Column = "forecast" if what == "forecast" else "actual"
        for item in map(fields, listed):
            self._is_ours(item, zone_required=False)
        updated = [issued_s(each.get("updatedAt"), remarks=remarks) for each in (document, *map(fields, listed))]
        return _Answer(
            rows=readings(
                ((epoch_s(fields(item).get("datetime")), fields(item).get("carbonIntensity")) for item in listed),
                column=column,
                period_s=PERIOD_S,
                remarks=remarks,
                asked=newest_forecast(now_s) if what == "forecast" else past_day(now_s),
            ),
            updated_at_s=max((at_s for at_s in updated if at_s is not None), default=None),
            estimated=_estimates(listed),
        )

    def _is_ours(self, said: Mapping[str, object], *, zone_required: bool) -> None:
        if zone_required or "zone" in said:
            same(said.get("zone"), self.zone, what="zone", source=self.name)
        for name, asked in (("emissionFactorType", _FACTORS[self.basis]), ("temporalGranularity", "hourly")):
            if said.get(name) is not None:
                same(said[name], asked, what=name, source=self.name)

    def _complete(self, series: CarbonSeries | None, *, now_s: float, foreseen: bool) -> CarbonSeries:
        if series is None or (foreseen and not series.renews(now_s)):
            raise TemporarySourceError(f"no value for {iso(now_s)} in the answer", source=self.name)
        self.poll_s = float(PERIOD_S)
        if not foreseen:
            until_next_s = PERIOD_S - now_s % PERIOD_S + random.uniform(0.0, SPREAD_S)  # noqa: S311 - spreads load
            self.poll_s = max(LEAST_POLL_S, until_next_s) if series.renews(now_s) else LAGGING_POLL_S
        return series


def _estimates(listed: Iterable[object]) -> Counter[str]:
    estimated = [item for item in map(fields, listed) if item.get("isEstimated") is True]
    return Counter(printable(str(item.get("estimationMethod") or "unnamed"), limit=60) for item in estimated)


def _estimated(answers: Iterable[_Answer]) -> tuple[str, ...]:
    counts = sum((each.estimated for each in answers), Counter[str]())
    return tuple(f"{count} x estimated by the provider ({how})" for how, count in sorted(counts.items())[:5])
