"""Sources are told apart by what their figures are, and their counters outlive them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from controlplane.carbon import CarbonFeed, CarbonSeries
from controlplane.metrics import registry_for
from controlplane.metrics.feeds import MOST_FORMER, FetchTotals
from controlplane.spec import Planned
from tests.controlplane.fakes import ScriptedSource, World, carbon_series, service_spec
from xds import SyncRegistry

FEED = {"source": "scripted", "zone": "Z", "kind": "average", "basis": "test", "variant": ""}


class Source(ScriptedSource):
    def __init__(self, outcome: CarbonSeries | None = None, *, kind: str = "average", zone: str = "Z") -> None:
        super().__init__(outcome)
        self.kind, self.basis, self.zone = kind, "test", zone


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path / "state")


@pytest.fixture
def registry(world) -> CollectorRegistry:
    runtime = {"envoy_restarts": 0, "reload_failures": 0}
    return registry_for(world.engine, SyncRegistry(), runtime=lambda: runtime)


async def fetched(world: World, source: Source, *, variant: str = "") -> CarbonFeed:
    feed = CarbonFeed(source, clock=world.clock, variant=variant)
    await feed.refresh()
    return feed


def serve(world: World, *feeds: CarbonFeed) -> None:
    """One service to a feed, and no other."""
    world.engine.configure([Planned(service_spec(service=f"s{at}"), feed) for at, feed in enumerate(feeds)])


def told(registry: CollectorRegistry, name: str) -> Iterator[tuple[dict[str, str], float]]:
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            if sample.name == f"carbonrouter_{name}":
                yield sample.labels, sample.value


def of(registry: CollectorRegistry, name: str, **labels: Any) -> list[float]:
    return [value for having, value in told(registry, name) if labels.items() <= having.items()]


async def test_kinds_and_variants_of_one_zone_are_series_of_their_own(world, registry):
    serve(
        world,
        await fetched(world, Source(carbon_series([100.0] * 96))),
        await fetched(world, Source(carbon_series([500.0] * 96), kind="marginal")),
        await fetched(world, Source(carbon_series([300.0] * 96)), variant="127.0.0.1-0a1b2c3d"),
    )
    now = {
        (labels["kind"], labels["variant"]): value
        for labels, value in told(registry, "carbon_forecast_g_per_kwh")
        if labels["horizon"] == "now"
    }
    assert now == {("average", ""): 100, ("marginal", ""): 500, ("average", "127.0.0.1-0a1b2c3d"): 300}
    assert of(registry, "carbon_source_fetches_total") == [1, 1, 1]
    [info] = [labels for labels, _ in told(registry, "service_info") if labels["service"] == "s2"]
    assert info.items() >= (FEED | {"variant": "127.0.0.1-0a1b2c3d"}).items(), "a service leads to its source's series"


async def test_feeds_that_differ_in_credentials_alone_are_one_series_with_the_worst_state(world, registry):
    good, refused = await fetched(world, Source(carbon_series([100.0] * 96))), await fetched(world, Source())
    serve(world, refused, good)
    assert of(registry, "carbon_source_state", **FEED, state="none") == [1]
    assert of(registry, "carbon_source_fetches_total", **FEED) == [2]
    assert of(registry, "carbon_source_failures_total", **FEED) == [1]
    assert of(registry, "carbon_forecast_g_per_kwh", **FEED, horizon="now") == [100]


async def test_counters_of_a_source_do_not_go_down_when_a_feed_ends_or_comes_back(world, registry):
    staying, leaving = await fetched(world, Source()), await fetched(world, Source())
    serve(world, staying, leaving)
    assert of(registry, "carbon_source_failures_total") == [2]
    world.clock.time_s += 3600.0
    await leaving.refresh()
    serve(world, staying)
    assert of(registry, "carbon_source_failures_total") == [3], "also what was tried since it was last looked at"
    serve(world)
    assert of(registry, "carbon_source_failures_total") == [3]
    assert of(registry, "carbon_source_state") == []
    world.clock.time_s += 3600.0
    await leaving.refresh()
    serve(world, leaving)
    assert of(registry, "carbon_source_failures_total") == [4], "nothing is counted twice"
    serve(world, await fetched(world, Source()))
    assert of(registry, "carbon_source_failures_total") == [5]


async def test_counters_are_kept_of_so_many_former_sources_and_no_more(world):
    known = carbon_series([100.0] * 96)
    totals, first = FetchTotals(), await fetched(world, Source(known, zone="first"))
    for number in range(3 * MOST_FORMER):
        totals.look([first, await fetched(world, Source(known, zone=f"Z{number}"))])
    zones = [identity.zone for identity in totals.totals]
    assert len(zones) == MOST_FORMER + 2
    assert {"first", f"Z{3 * MOST_FORMER - 1}", f"Z{2 * MOST_FORMER}"} <= set(zones)
    assert "Z0" not in zones
    totals.look([first])
    gc.collect()
    assert len(totals._counted) == 1, "feeds that ended are not held"
