"""What the carbon sources tell, once per source and zone however many services use them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from controlplane.carbon import CarbonFeed, CarbonSeries, FeedStatus
from controlplane.metrics.catalogue import HORIZONS, STATES
from controlplane.metrics.exposition import Exposition

_FEED = ("source", "zone")


def tell_feeds(told: Exposition, feeds: Iterable[CarbonFeed], now_s: float) -> None:
    """State, age, fetches and foresight of each source; two feeds of one source and zone are told as one."""
    by_zone: dict[tuple[str, str], list[tuple[CarbonFeed, FeedStatus]]] = {}
    for feed in feeds:
        status = feed.status(now_s)
        by_zone.setdefault((status.source, status.zone), []).append((feed, status))
    for zone, found in sorted(by_zone.items()):
        _tell_state(told, zone, [status for _, status in found])
        if (series := found[0][0].series) is not None:
            _tell_forecast(told, zone, series, now_s)


def _tell_state(told: Exposition, zone: tuple[str, str], found: list[FeedStatus]) -> None:
    worst = max(found, key=lambda status: STATES.index(status.state))
    for state in STATES:
        told.rows("carbon_source_state", *_FEED, "state").add([*zone, state], worst.state == state)
    ages = [status.age_s for status in found if status.age_s is not None]
    if ages:
        told.rows("carbon_source_age_seconds", *_FEED).add(zone, max(ages))
    told.rows("carbon_source_fetches_total", *_FEED).add(zone, sum(status.fetches for status in found))
    told.rows("carbon_source_failures_total", *_FEED).add(zone, sum(status.failures for status in found))


def _tell_forecast(told: Exposition, zone: tuple[str, str], series: CarbonSeries, now_s: float) -> None:
    rows = told.rows("carbon_forecast_g_per_kwh", *_FEED, "horizon")
    for horizon, ahead_s in (("now", 0.0), ("next", series.slot_s), *HORIZONS.items()):
        place = series.index_at(now_s + ahead_s)
        if place is not None and math.isfinite(value := float(series.forecast_g_per_kwh[place])):
            rows.add([*zone, horizon], value)
