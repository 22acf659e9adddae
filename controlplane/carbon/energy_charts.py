"""Energy-Charts (Fraunhofer ISE): average intensity of a country's generation, quarters of an hour, no key.

https://api.energy-charts.info/
"""

from __future__ import annotations

from collections.abc import Mapping

from controlplane.carbon.errors import PermanentSourceError, TemporarySourceError
from controlplane.carbon.grid import Column, Remarks, Rows, merge, readings, unix_s
from controlplane.carbon.http import JsonClient
from controlplane.carbon.series import CarbonSeries, Kind
from controlplane.carbon.shape import iso, mapping, period_s, rows_of, spacing_s
from controlplane.carbon.timeline import Meaning, Timeline

BASE_URL = "https://api.energy-charts.info"
LICENCE = "Fraunhofer ISE, Energy-Charts (energy-charts.info), by the terms given there"
SHORTEST_S = 900


class EnergyChartsSource:
    """One country's day and forecast, of its quarters of an hour or, where it publishes only those, hours."""

    name = "energy-charts"
    kind: Kind = "average"
    basis = "generation"
    poll_s = float(SHORTEST_S)

    def __init__(self, *, country: str, base_url: str = BASE_URL, timeout_s: float = 10.0) -> None:
        self.zone = country
        self._client = JsonClient(source=self.name, base_url=base_url, timeout_s=timeout_s)
        self._timeline = Timeline()

    async def fetch(self, *, now_s: float) -> CarbonSeries:
        """Return what was and what is foreseen.

        Raises:
            CarbonSourceError: see `JsonClient.get`; permanent for an unknown shape, temporary if no value covers
                `now_s`.
        """
        document = mapping(await self._client.get("/co2eq", query={"country": self.zone}), source=self.name)
        remarks = Remarks()
        times = [unix_s(value) for value in rows_of(document.get("unix_seconds"), source=self.name)]
        length_s = period_s(spacing_s(times, grid_s=SHORTEST_S) or SHORTEST_S, source=self.name)
        rows = merge(
            self._column("co2eq", document, times, "actual", remarks, length_s),
            self._column("co2eq_forecast", document, times, "forecast", remarks, length_s),
        )
        meaning = Meaning(
            source=self.name, zone=self.zone, kind="average", basis="generation", licence=LICENCE, period_s=length_s
        )
        notes = ("the provider calls this address deprecated",) if document.get("deprecated") is True else ()
        series = self._timeline.series(rows, meaning=meaning, now_s=now_s, remarks=remarks, notes=notes)
        if series is None or not series.renews(now_s):
            raise TemporarySourceError(f"no value for {iso(now_s)} in the answer", source=self.name)
        return series

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _column(  # noqa: PLR0913, PLR0917 - one column of one answer
        self,
        name: str,
        document: Mapping[str, object],
        times: list[float | None],
        column: Column,
        remarks: Remarks,
        length_s: int,
    ) -> Rows:
        values = rows_of(document.get(name), source=self.name)
        if len(values) != len(times):
            raise PermanentSourceError(f"{len(values)} values of {name} for {len(times)} times", source=self.name)
        return readings(zip(times, values, strict=True), column=column, period_s=length_s, remarks=remarks)
