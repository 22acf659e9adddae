"""The shapes of Electricity Maps v3: hours, life-cycle factors, estimates where an hour has not ended.

https://portal.electricitymaps.com/developer-hub/api/reference

One grid is played, so every zone has the same values, and `emissionFactorType` is a label only.
"""

from __future__ import annotations

import hmac
import math
import re
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Header

from controlplane.carbonsim.errors import ApiError
from controlplane.carbonsim.gb import whole
from controlplane.carbonsim.moments import any_moment, iso_text
from controlplane.carbonsim.provider import Provider
from controlplane.carbonsim.tape import SLOT_S, mean_of_known

_HOUR_S = 3600
_SLOTS_AN_HOUR = _HOUR_S // SLOT_S
MAX_RANGE_S = 10 * 86_400
_HORIZONS = ("6", "24", "48", "72")
_ZONE = re.compile(r"[A-Z]{2,3}(-[A-Z0-9]{1,12}){0,3}")
_ESTIMATION = "TIME_SLICER_AVERAGE"


def electricity_maps_router(provider: Provider, *, token: str | None) -> APIRouter:
    """The routes below /v3/carbon-intensity; with a `token` they ask for it in the header auth-token."""

    def authorised(auth_token: Annotated[str, Header()] = "") -> None:
        if token is not None and not hmac.compare_digest(auth_token.encode(), token.encode()):
            raise ApiError(401, "Invalid auth-token")

    router = APIRouter(prefix="/v3/carbon-intensity", dependencies=[Depends(authorised)])

    @router.get("/latest")
    async def latest(asked: Asked) -> dict[str, Any]:
        now_hour = _hour(provider.now_s())
        return {"zone": asked.zone, **_rows(provider, now_hour, 1, asked)[0]}

    @router.get("/history")
    async def history(asked: Asked) -> dict[str, Any]:
        now_hour = _hour(provider.now_s())
        rows = _rows(provider, now_hour - 23, 24, asked)
        return {"zone": asked.zone, "history": [{"zone": asked.zone, **row} for row in rows]}

    @router.get("/forecast")
    async def forecast(asked: Asked, horizonHours: str = "24") -> dict[str, Any]:  # noqa: N803 - the provider's name
        if horizonHours not in _HORIZONS:
            raise ApiError(400, f"horizonHours must be one of {', '.join(_HORIZONS)}")
        first, count = _hour(provider.now_s()), int(horizonHours) + 1
        known = provider.known(first * _SLOTS_AN_HOUR, count * _SLOTS_AN_HOUR)
        values = mean_of_known(known.forecast.reshape(count, _SLOTS_AN_HOUR)).tolist()
        listed = [
            {"carbonIntensity": whole(value), "datetime": iso_text((first + hour) * _HOUR_S)}
            for hour, value in enumerate(values)
        ]
        return {"zone": asked.zone, "forecast": listed, "updatedAt": _updated(provider), **asked.labels}

    @router.get("/past-range")
    async def past_range(asked: Asked, start: str = "", end: str = "") -> dict[str, Any]:
        start_s, end_s = _moment(start, "start"), _moment(end, "end")
        if not 0 < end_s - start_s <= MAX_RANGE_S:
            raise ApiError(400, "end must come after start, by 10 days at most")
        first, after = _hour(start_s), min(math.ceil(end_s / _HOUR_S), _hour(provider.now_s()) + 1)
        rows = _rows(provider, first, after - first, asked) if after > first else []
        return {"zone": asked.zone, "data": [{"zone": asked.zone, **row} for row in rows]}

    return router


class _Asked:
    """The parameters that all four have; `shouldUseFallbackCallerLookup` needs no answer, for no zone is unknown."""

    def __init__(
        self,
        zone: str = "",
        emissionFactorType: str = "lifecycle",  # noqa: N803 - the provider's names
        temporalGranularity: str = "hourly",  # noqa: N803
        disableEstimations: str = "false",  # noqa: N803
    ) -> None:
        if not _ZONE.fullmatch(zone):
            raise ApiError(404, f"Zone '{zone[:40]}' does not exist.")
        if emissionFactorType not in {"lifecycle", "direct"}:
            raise ApiError(400, "emissionFactorType must be lifecycle or direct")
        if temporalGranularity != "hourly":
            raise ApiError(400, "temporalGranularity: only hourly is played")
        self.zone = zone
        self.factors = emissionFactorType
        self.estimates = disableEstimations.lower() != "true"
        self.labels = {"emissionFactorType": emissionFactorType, "temporalGranularity": temporalGranularity}


Asked = Annotated[_Asked, Depends()]


def _rows(provider: Provider, first: int, count: int, asked: _Asked) -> list[dict[str, Any]]:
    """`count` hours from `first` (hours since the epoch) on; estimated where half of an hour is not measured (yet)."""
    known = provider.known(first * _SLOTS_AN_HOUR, count * _SLOTS_AN_HOUR)
    actual = known.actual.reshape(count, _SLOTS_AN_HOUR)
    best = np.where(np.isnan(actual), known.forecast.reshape(actual.shape), actual)
    estimated = np.isnan(actual).sum(axis=1) > 0
    values = mean_of_known(best)
    if not asked.estimates:
        values = np.where(estimated, np.nan, values)
    updated = _updated(provider)
    return [
        {
            "carbonIntensity": whole(value),
            "datetime": iso_text((first + hour) * _HOUR_S),
            "updatedAt": updated,
            "createdAt": iso_text((first + hour) * _HOUR_S),
            "isEstimated": guessed,
            "estimationMethod": _ESTIMATION if guessed else None,
            **asked.labels,
        }
        for hour, (value, guessed) in enumerate(zip(values.tolist(), estimated.tolist(), strict=True))
    ]


def _hour(time_s: float) -> int:
    return int(time_s // _HOUR_S)


def _updated(provider: Provider) -> str:
    return iso_text(provider.current_slot() * SLOT_S)


def _moment(text: str, name: str) -> float:
    try:
        return any_moment(text)
    except ValueError as error:
        raise ApiError(400, f"{name} must be an ISO 8601 time") from error
