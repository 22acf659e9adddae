"""Great Britain: the Carbon Intensity API of its system operator (NESO). Average intensity, half-hours, no key.

https://carbon-intensity.github.io/api-definitions/
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

from controlplane.carbon.errors import CarbonSourceError, OtherNumbersError, TemporarySourceError
from controlplane.carbon.gb_answer import SLOT_S, parse_answer
from controlplane.carbon.grid import Remarks, Rows, merge
from controlplane.carbon.http import JsonClient
from controlplane.carbon.series import CarbonSeries, Kind
from controlplane.carbon.shape import iso
from controlplane.carbon.timeline import PAST_S, Meaning, Timeline

BASE_URL = "https://api.carbonintensity.org.uk"
LICENCE = "CC BY 4.0, NESO Carbon Intensity API (carbonintensity.org.uk)"
REGIONS = range(1, 18)

# The national request begins this much in the past: the actual values of the last slots come with it, so that one
# request a slot is enough. The days before are asked for once, at the start or after an outage.
LOOK_BACK_S = 4 * SLOT_S
HORIZON_S = 48 * 3600

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
        self._timeline = Timeline()
        self._meaning = Meaning(
            source=self.name, zone=self.zone, kind="average", basis="generation", licence=LICENCE, period_s=SLOT_S
        )
        self._complete_until_s: int | None = None

    async def fetch(self, *, now_s: float) -> CarbonSeries:
        """Return yesterday's actual values (national) and the forecast for about two days.

        Raises:
            CarbonSourceError: see `JsonClient.get` and `parse_answer`; permanent if the answer is for another region,
                temporary if no value covers `now_s`.
        """
        slot_s = int(now_s // SLOT_S) * SLOT_S
        remarks = Remarks()
        rows = await self._forecast(slot_s, remarks)
        past, notes = ({}, ()) if self._place else await self._backfill(slot_s, remarks)
        series = self._timeline.series(
            merge(past, rows), meaning=self._meaning, now_s=now_s, remarks=remarks, notes=notes
        )
        if series is None or not series.renews(now_s):
            raise TemporarySourceError(f"no value for {iso(slot_s)} in the answer", source=self.name)
        return series

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _forecast(self, slot_s: int, remarks: Remarks) -> Rows:
        start_s, path = slot_s - LOOK_BACK_S, f"/intensity/{iso(slot_s - LOOK_BACK_S)}/fw48h"
        for by, which in self._place.items():
            start_s, path = slot_s, f"/regional/intensity/{iso(slot_s)}/fw48h/{by}/{quote(which)}"
        document = await self._client.get(path)
        span = (start_s, start_s + HORIZON_S)
        return parse_answer(document, remarks=remarks, asked=span, place=self._place, source=self.name)

    async def _backfill(self, slot_s: int, remarks: Remarks) -> tuple[Rows, tuple[str, ...]]:
        """Fetch the last day where look-back does not reach; a failure is a note, for the forecast is there."""
        known_s = self._complete_until_s
        rows: Rows = {}
        if known_s is None or slot_s - known_s > LOOK_BACK_S:
            try:
                document = await self._client.get(f"/intensity/{iso(slot_s)}/pt24h")
                rows = parse_answer(document, remarks=remarks, asked=(slot_s - PAST_S, slot_s), source=self.name)
            except OtherNumbersError:
                raise
            except CarbonSourceError as error:
                return {}, (f"past actual values are missing: {error}",)
        self._complete_until_s = slot_s
        return rows, ()


def _place(*, region_id: int | None, postcode: str | None) -> tuple[str, Mapping[str, str]]:
    """Return (zone, what a regional answer calls its place), the latter empty for the national series."""
    if region_id is not None and postcode is not None:
        raise ValueError("give a region or a postcode, not both")
    if region_id is not None:
        if region_id not in REGIONS:
            raise ValueError(f"region {region_id} is not within {REGIONS[0]}..{REGIONS[-1]}")
        return f"GB-region-{region_id}", {"regionid": str(region_id)}
    if postcode is not None:
        outward = postcode.strip().upper()
        if not _OUTWARD.fullmatch(outward):
            raise ValueError(f"{postcode!r} is not the outward half of a GB postcode, such as RG10")
        return f"GB-postcode-{outward}", {"postcode": outward}
    return "GB", {}
