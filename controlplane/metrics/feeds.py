"""What the carbon sources tell, once per identity however many services, or credentials, use it."""

from __future__ import annotations

import math
from collections.abc import Collection
from weakref import WeakKeyDictionary

from controlplane.carbon import CarbonFeed, CarbonSeries, Identity
from controlplane.metrics.catalogue import HORIZONS, STATES
from controlplane.metrics.exposition import Exposition

MOST_FORMER = 100
"""Of so many sources that nobody uses any more the counters are still told."""

FEED = ("source", "zone", "kind", "basis", "variant")
"""The labels that tell sources apart."""


class FetchTotals:
    """Fetches and failures by identity: they never go down when a feed ends, and one that comes back goes on."""

    def __init__(self) -> None:
        self.totals: dict[Identity, tuple[int, int]] = {}
        self._counted: WeakKeyDictionary[CarbonFeed, tuple[int, int]] = WeakKeyDictionary()
        # Held until they are counted once more: a feed may fetch after a scrape and be gone before the next.
        self._in_use: Collection[CarbonFeed] = ()

    def look(self, feeds: Collection[CarbonFeed]) -> None:
        """Count what was fetched since the last look by the feeds in use, now or then."""
        for feed in dict.fromkeys((*self._in_use, *feeds)):
            self._count(feed)
        self._in_use = tuple(feeds)
        used = {feed.identity for feed in feeds}
        for former in [each for each in self.totals if each not in used][:-MOST_FORMER]:
            del self.totals[former]

    def _count(self, feed: CarbonFeed) -> None:
        status = feed.status(0.0)
        before = self._counted.get(feed, (0, 0))
        self._counted[feed] = (status.fetches, status.failures)
        # Taken out and put back: who was in use last stands last, and is forgotten last.
        fetches, failures = self.totals.pop(feed.identity, (0, 0))
        self.totals[feed.identity] = (fetches + status.fetches - before[0], failures + status.failures - before[1])


def tell_feeds(told: Exposition, feeds: Collection[CarbonFeed], totals: FetchTotals, now_s: float) -> None:
    """State, age and foresight of each source in use, and fetches of those that were; in the order of their names."""
    totals.look(feeds)
    by_identity: dict[Identity, list[CarbonFeed]] = {}
    for feed in feeds:
        by_identity.setdefault(feed.identity, []).append(feed)
    for identity, found in sorted(by_identity.items()):
        _tell_state(told, identity, found, now_s)
        known = [feed.series for feed in found if feed.series is not None]
        if known:
            _tell_forecast(told, identity, max(known, key=lambda series: series.issued_at_s), now_s)
    for identity, (fetches, failures) in sorted(totals.totals.items()):
        told.rows("carbon_source_fetches_total", *FEED).add(values(identity), fetches)
        told.rows("carbon_source_failures_total", *FEED).add(values(identity), failures)


def values(identity: Identity) -> list[str]:
    """Those of the labels `FEED`."""
    return [identity.source, identity.zone, identity.kind, identity.basis, identity.variant]


def _tell_state(told: Exposition, identity: Identity, found: list[CarbonFeed], now_s: float) -> None:
    """The worst of the feeds that differ in their credentials alone."""
    statuses = [feed.status(now_s) for feed in found]
    worst = max(statuses, key=lambda status: STATES.index(status.state))
    for state in STATES:
        told.rows("carbon_source_state", *FEED, "state").add([*values(identity), state], worst.state == state)
    ages = [status.age_s for status in statuses if status.age_s is not None]
    if ages:
        told.rows("carbon_source_age_seconds", *FEED).add(values(identity), max(ages))


def _tell_forecast(told: Exposition, identity: Identity, series: CarbonSeries, now_s: float) -> None:
    rows = told.rows("carbon_forecast_g_per_kwh", *FEED, "horizon")
    for horizon, ahead_s in (("now", 0.0), ("next", series.slot_s), *HORIZONS.items()):
        place = series.index_at(now_s + ahead_s)
        if place is not None and math.isfinite(value := float(series.forecast_g_per_kwh[place])):
            rows.add([*values(identity), horizon], value)
