"""The shapes of the GB Carbon Intensity API.

https://carbon-intensity.github.io/api-definitions/

Values are whole numbers, as there. One grid is played: every region and every postcode has the national values, and no
generation mix, since none was recorded. The national index of the provider has bands that move every year; these are
those of the reference system's mock.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from typing import Any

from fastapi import APIRouter

from controlplane.carbonsim.errors import ApiError
from controlplane.carbonsim.moments import gb_moment, gb_text
from controlplane.carbonsim.provider import Known, Provider
from controlplane.carbonsim.tape import SLOT_S

MAX_RANGE_S = 14 * 86_400
# Hours from the asked time on, or back from it.
_WINDOWS = {"fw24h": 24, "fw48h": 48, "pt24h": -24}
_BANDS = (100.0, 150.0, 200.0, 300.0)
_INDICES = ("very low", "low", "moderate", "high", "very high")
_OUTWARD = re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]?")
_POSTCODE_REGION = 13
_REGIONS = (
    ("Scottish Hydro Electric Power Distribution", "North Scotland"),
    ("SP Distribution", "South Scotland"),
    ("Electricity North West", "North West England"),
    ("NPG North East", "North East England"),
    ("NPG Yorkshire", "Yorkshire"),
    ("SP Manweb", "North Wales & Merseyside"),
    ("WPD South Wales", "South Wales"),
    ("WPD West Midlands", "West Midlands"),
    ("WPD East Midlands", "East Midlands"),
    ("UKPN East", "East England"),
    ("WPD South West", "South West England"),
    ("SSE South", "South England"),
    ("UKPN London", "London"),
    ("UKPN South East", "South East England"),
    ("England", "England"),
    ("Scotland", "Scotland"),
    ("Wales", "Wales"),
)


def gb_router(provider: Provider) -> APIRouter:
    """The routes of the GB API, answered by `provider`."""
    router = APIRouter()

    def national(first: int, count: int) -> dict[str, Any]:
        return {"data": rows(provider.known(first, count))}

    @router.get("/intensity")
    async def current() -> dict[str, Any]:
        return national(provider.current_slot(), 1)

    @router.get("/intensity/{start}")
    async def one_slot(start: str) -> dict[str, Any]:
        return national(int(_moment(start, "start") // SLOT_S), 1)

    @router.get("/intensity/{start}/{end}")
    async def several(start: str, end: str) -> dict[str, Any]:
        return national(*window(start, end))

    # Not the provider's, but where the reference system's mock has its regions.
    @router.get("/intensity/{start}/{end}/{by}/{place}")
    async def mock_regional(start: str, end: str, by: str, place: str) -> dict[str, Any]:
        region = _region(by, place)
        return {**national(*window(start, end)), "region": region}

    @router.get("/regional/intensity/{start}/{end}/{by}/{place}")
    async def regional(start: str, end: str, by: str, place: str) -> dict[str, Any]:
        region = _region(by, place)
        return {"data": {**region, "data": rows(provider.known(*window(start, end)), with_actual=False)}}

    return router


def window(start: str, end: str) -> tuple[int, int]:
    """(first half-hour since the epoch, count) of what the last two parts of a path ask for.

    `end` is fw24h, fw48h, pt24h or a time. Forward from within a slot the window begins with that slot, back from
    within a slot it ends with it.

    Raises:
        ApiError: 400; a time is unreadable, the end is not after the start, or they are more than 14 days apart.
    """
    start_s = _moment(start, "start")
    if end in _WINDOWS:
        count = abs(_WINDOWS[end]) * 3600 // SLOT_S
        if _WINDOWS[end] > 0:
            return int(start_s // SLOT_S), count
        return math.ceil(start_s / SLOT_S) - count, count
    end_s = _moment(end, "end")
    if end_s <= start_s:
        raise ApiError(400, "The end datetime must come after the start datetime.")
    if end_s - start_s > MAX_RANGE_S:
        raise ApiError(400, "The range must not be longer than 14 days.")
    first = int(start_s // SLOT_S)
    return first, math.ceil(end_s / SLOT_S) - first


def rows(known: Known, *, with_actual: bool = True) -> list[dict[str, Any]]:
    """One row a half-hour: {"from", "to", "intensity": {"forecast", "actual", "index"}}."""
    listed = []
    for offset, (forecast, actual) in enumerate(zip(known.forecast.tolist(), known.actual.tolist(), strict=True)):
        start_s = (known.first_slot + offset) * SLOT_S
        values: dict[str, Any] = {"forecast": whole(forecast)}
        if with_actual:
            values["actual"] = whole(actual)
        values["index"] = _index(actual if with_actual and not math.isnan(actual) else forecast)
        listed.append({"from": gb_text(start_s), "to": gb_text(start_s + SLOT_S), "intensity": values})
    return listed


def whole(value: float) -> int | None:
    """The value as providers print it: a whole number, or None where it is unknown."""
    return None if math.isnan(value) else round(value)


def _index(value: float) -> str | None:
    return None if math.isnan(value) else _INDICES[bisect_right(_BANDS, value)]


def _moment(text: str, which: str) -> float:
    try:
        return gb_moment(text)
    except ValueError as error:
        message = f"Please enter a valid {which} datetime in ISO 8601 format 'YYYY-MM-DDThh:mmZ'"
        raise ApiError(400, f"{message}: {error}.") from error


def _region(by: str, place: str) -> dict[str, Any]:
    if by == "regionid":
        if not (place.isascii() and place.isdecimal() and len(place) <= 2 and 1 <= int(place) <= len(_REGIONS)):
            raise ApiError(400, f"Please enter a valid region ID, from 1 to {len(_REGIONS)}.")
        return _named(int(place))
    if by == "postcode":
        outward = place.upper()
        if not _OUTWARD.fullmatch(outward):
            raise ApiError(400, "Please enter a valid outward postcode such as RG10.")
        return {**_named(_POSTCODE_REGION), "postcode": outward}
    raise ApiError(404, "There is no such path.")


def _named(number: int) -> dict[str, Any]:
    dno, short = _REGIONS[number - 1]
    return {"regionid": number, "dnoregion": dno, "shortname": short}
