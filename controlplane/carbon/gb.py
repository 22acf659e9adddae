"""Great Britain: the Carbon Intensity API of its system operator (NESO). Average intensity, half-hours, no key.

https://carbon-intensity.github.io/api-definitions/
"""

import re
from datetime import UTC, datetime
from urllib.parse import quote

from controlplane.carbon.errors import CarbonSourceError, TemporarySourceError
from controlplane.carbon.gb_answer import SLOT_S, parse_answer
from controlplane.carbon.grid import Remarks, Rows, arrays, merge, within
from controlplane.carbon.http import JsonClient
from controlplane.carbon.series import CarbonSeries, Kind

BASE_URL = "https://api.carbonintensity.org.uk"
LICENCE = "CC BY 4.0, NESO Carbon Intensity API (carbonintensity.org.uk)"
REGIONS = range(1, 18)

# The national request begins this much in the past: the actual values of the last slots come with it, so that one
# request a slot is enough. The days before are asked for once, at the start or after an outage.
LOOK_BACK_S = 4 * SLOT_S
PAST_S = 24 * 3600
FUTURE_S = 72 * 3600

_OUTWARD = re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]?")


class GbSource:
    """The national series, or one region's by its id or by the outward half of a postcode.

    Regions have no actual values. The national series keeps the actual values of the last 24 hours.

    Raises:
        ValueError: both a region and a postcode, an unknown region, or what is no outward postcode.
    """

    name = "gb"
    kind: Kind = "average"
    basis = "generation"
    poll_s = float(SLOT_S)

    def __init__(
        self,
        *,
        region_id: int | None = None,
        postcode: str | None = None,
        base_url: str = BASE_URL,
        timeout_s: float = 10.0,
    ) -> None:
        self.zone, self._place = _place(region_id=region_id, postcode=postcode)
        self._client = JsonClient(source=self.name, base_url=base_url, timeout_s=timeout_s)
        self._past: Rows = {}
        self._complete_until_s: int | None = None

    async def fetch(self, *, now_s: float) -> CarbonSeries:
        """Return yesterday's actual values (national) and the forecast for about two days.

        Raises:
            CarbonSourceError: see `JsonClient.get` and `parse_answer`; temporary if no value covers `now_s`.
        """
        slot_s = int(now_s // SLOT_S) * SLOT_S
        remarks = Remarks()
        rows = await self._forecast(slot_s, remarks)
        notes: tuple[str, ...] = ()
        if not self._place:
            notes = await self._backfill(slot_s, remarks)
        rows = within(merge(self._past, rows), start_s=slot_s - PAST_S, end_s=slot_s + FUTURE_S)
        if slot_s not in rows:
            raise TemporarySourceError(f"no value for {_iso(slot_s)} in the answer", source=self.name)
        if not self._place:
            self._past = within(rows, start_s=slot_s - PAST_S, end_s=slot_s)
        start_s, forecast, actual = arrays(rows, slot_s=SLOT_S, remarks=remarks)
        return CarbonSeries(
            source=self.name,
            zone=self.zone,
            kind=self.kind,
            basis=self.basis,
            licence=LICENCE,
            start_s=float(start_s),
            slot_s=float(SLOT_S),
            forecast_g_per_kwh=forecast,
            actual_g_per_kwh=actual,
            issued_at_s=now_s,
            notes=(*remarks.notes(), *notes),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _forecast(self, slot_s: int, remarks: Remarks) -> Rows:
        if self._place:
            path = f"/regional/intensity/{_iso(slot_s)}/fw48h/{self._place}"
        else:
            path = f"/intensity/{_iso(slot_s - LOOK_BACK_S)}/fw48h"
        return parse_answer(await self._client.get(path), remarks=remarks, source=self.name)

    async def _backfill(self, slot_s: int, remarks: Remarks) -> tuple[str, ...]:
        """Fetch the last day where look-back does not reach; a failure is a note, for the forecast is there."""
        known_s = self._complete_until_s
        if known_s is None or slot_s - known_s > LOOK_BACK_S:
            try:
                document = await self._client.get(f"/intensity/{_iso(slot_s)}/pt24h")
                rows = parse_answer(document, remarks=remarks, source=self.name)
            except CarbonSourceError as error:
                return (f"past actual values are missing: {error}",)
            self._past = merge(self._past, rows)
        self._complete_until_s = slot_s
        return ()


def _place(*, region_id: int | None, postcode: str | None) -> tuple[str, str]:
    """Return (zone, the end of a regional path), the latter empty for the national series."""
    if region_id is not None and postcode is not None:
        raise ValueError("give a region or a postcode, not both")
    if region_id is not None:
        if region_id not in REGIONS:
            raise ValueError(f"region {region_id} is not within {REGIONS[0]}..{REGIONS[-1]}")
        return f"GB-region-{region_id}", f"regionid/{region_id}"
    if postcode is not None:
        outward = postcode.strip().upper()
        if not _OUTWARD.fullmatch(outward):
            raise ValueError(f"{postcode!r} is not the outward half of a GB postcode, such as RG10")
        return f"GB-postcode-{outward}", f"postcode/{quote(outward)}"
    return "GB", ""


def _iso(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%MZ")
