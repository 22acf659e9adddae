"""What is told over HTTP: metrics for scrapers, status that is strict JSON, and both the session's own numbers."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from controlplane.config import Processing
from controlplane.metrics import registry_for
from controlplane.steering import Pause, Steering
from controlplane.views import engine_view
from tests.controlplane.fakes import DAY_S, SLOT_S, World, carbon_series, cluster, load_report, service_spec
from xds import ClusterLoad, ProxyStatus, SnapshotCache, TypeStatus, TypeUrl, XdsServer

ENERGY = "named_metrics.energy_j"
SHOP = {"namespace": "default", "service": "shop"}
FEED = {"source": "scripted", "zone": "Z", "kind": "average", "basis": "test", "variant": ""}


def quiet():
    """The counters of a runtime to which nothing has happened."""
    return {"envoy_restarts": 0, "reload_failures": 0}


@pytest.fixture
def world(tmp_path) -> World:
    world = World(tmp_path / "state")
    world.source.kind, world.source.basis = "average", "test"
    return world


@pytest.fixture
async def server(world) -> XdsServer:
    return XdsServer(SnapshotCache(), on_report=world.engine.on_report)


async def a_busy_hour(world: World) -> None:
    world.configure(service_spec(), service_spec(service="other"))
    world.source.outcome = carbon_series([300.0] * 24 + [80.0] * 24, actual=[310.0])
    await world.feed.refresh()
    for _ in range(3):
        world.engine.tick()
        world.clock.time_s += 1300.0
        fast = ClusterLoad(succeeded=40, failed=3, metrics={ENERGY: (10, 12.5)})
        world.engine.on_report(load_report({cluster("best"): 160, cluster("fast"): fast}))
    world.engine.tick()


def samples(world: World, server: XdsServer) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    registry = registry_for(world.engine, server.registry, runtime=lambda: {"envoy_restarts": 4, "reload_failures": 3})
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def value(found: dict[str, list[tuple[dict[str, str], float]]], name: str, **labels: str) -> float:
    [match] = [number for having, number in found[name] if having == labels]
    return match


@pytest.mark.parametrize("busy", [False, True], ids=["nothing configured", "busy"])
async def test_every_metric_has_a_sound_name_help_and_type(world, server, busy):
    if busy:
        await a_busy_hour(world)
    registry = registry_for(world.engine, server.registry, runtime=quiet)
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    assert len(families) >= 15
    for family in families:
        assert family.name.startswith("carbonrouter_")
        assert family.documentation.endswith(".")
        assert family.type in {"gauge", "counter", "histogram"}
        assert "_total" not in family.name
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert math.isfinite(sample.value)
    names = [family.name for family in families]
    assert len(set(names)) == len(names)


async def test_metrics_are_the_sessions_numbers(world, server):
    await a_busy_hour(world)
    found = samples(world, server)
    session = world.session
    for name, weight in world.weights.items():
        assert value(found, "carbonrouter_flavour_weight", **SHOP, flavour=name) == weight
    assert value(found, "carbonrouter_schedule_valid_until_timestamp_seconds", **SHOP) == session.intent.valid_until_s
    assert value(found, "carbonrouter_decision_failures_total", **SHOP) == 0
    assert value(found, "carbonrouter_requests_total", **SHOP, flavour="best") == 480
    assert value(found, "carbonrouter_requests_total", **SHOP, flavour="fast") == 120
    assert value(found, "carbonrouter_failed_attempts_total", **SHOP, flavour="fast") == 9
    assert value(found, "carbonrouter_reported_energy_joules_total", **SHOP, flavour="fast") == 37.5
    assert value(found, "carbonrouter_budget_error_ratio", **SHOP) == 0.04
    assert value(found, "carbonrouter_window_error_ratio", **SHOP) == pytest.approx(0.02)
    carbon = session.decision.reasons.carbon_now_g_per_kwh
    assert value(found, "carbonrouter_carbon_intensity_g_per_kwh", **SHOP) == carbon
    assert value(found, "carbonrouter_expected_precision_ratio", **SHOP) == 1 - session.decision.expected_error
    assert value(found, "carbonrouter_decisions_total", **SHOP, policy="optimal") == session.tally.decisions["optimal"]
    assert value(found, "carbonrouter_service_info", **SHOP, **FEED, policy="optimal") == 1
    assert value(found, "carbonrouter_error_requests_total", **SHOP) == pytest.approx(12)
    assert value(found, "carbonrouter_energy_joules_total", **SHOP, flavour="best") == 4800
    assert value(found, "carbonrouter_reported_energy_requests_total", **SHOP, flavour="fast") == 30
    assert value(found, "carbonrouter_budget_credit_error_requests", **SHOP) == pytest.approx(0.04 * 600 - 12)
    commanded = [
        number for having, number in found["carbonrouter_commanded_seconds_total"] if SHOP.items() <= having.items()
    ]
    assert sum(commanded) == pytest.approx(3900)
    states = {
        state: value(found, "carbonrouter_carbon_source_state", **FEED, state=state) for state in ("fresh", "stale")
    }
    assert states == {"fresh": 1.0, "stale": 0.0}
    assert value(found, "carbonrouter_carbon_source_age_seconds", **FEED) == 3900
    assert value(found, "carbonrouter_carbon_source_fetches_total", **FEED) == 1
    horizons = {labels["horizon"]: number for labels, number in found["carbonrouter_carbon_forecast_g_per_kwh"]}
    assert horizons == {"now": 300, "next": 300, "3h": 300, "6h": 300, "12h": 80}, "24 h are beyond the series"
    assert value(found, "carbonrouter_services") == 2
    assert value(found, "carbonrouter_load_reports_total") == 3
    assert value(found, "carbonrouter_envoy_restarts_total") == 4
    assert value(found, "carbonrouter_reload_failures_total") == 3
    assert value(found, "carbonrouter_publish_failures_total") == 0


@pytest.mark.parametrize(
    ("outcome", "state"), [(None, "none"), (carbon_series([100.0] * 96), "fresh")], ids=["none", "fresh"]
)
async def test_a_source_is_in_exactly_one_state(world, server, outcome, state):
    world.configure(service_spec())
    world.source.outcome = outcome
    await world.feed.refresh()
    world.engine.tick()
    states = {labels["state"]: number for labels, number in samples(world, server)["carbonrouter_carbon_source_state"]}
    assert states == {"fresh": 0.0, "stale": 0.0, "none": 0.0} | {state: 1.0}


async def test_what_is_not_known_is_left_out_instead_of_made_up(world, server):
    world.configure(service_spec())
    found = samples(world, server)
    for name in ("window_error_ratio", "carbon_source_age_seconds", "carbon_intensity_g_per_kwh"):
        assert f"carbonrouter_{name}" not in found


async def test_failures_are_counted(world, server, monkeypatch):
    world.configure(service_spec())

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.session.controller, "decide", fail)
    world.refuse = ValueError("no")
    world.engine.tick()
    found = samples(world, server)
    assert value(found, "carbonrouter_decision_failures_total", **SHOP) == 1
    assert value(found, "carbonrouter_publish_failures_total") == 1


async def test_no_proxy_can_add_a_series(world, server):
    await a_busy_hour(world)
    before = {name: [labels for labels, _ in each] for name, each in samples(world, server).items()}
    for number in range(50):
        world.engine.on_report(load_report({f"made-up-{number}": 1, cluster("best"): 1}, node_id=f"stranger-{number}"))
    assert {name: [labels for labels, _ in each] for name, each in samples(world, server).items()} == before


async def test_a_removed_service_is_no_longer_told(world, server):
    await a_busy_hour(world)
    world.configure(service_spec())
    assert all(labels.get("service") != "other" for each in samples(world, server).values() for labels, _ in each)


def proxy(**types: TypeStatus) -> ProxyStatus:
    named = {TypeUrl[name]: status for name, status in types.items()}
    return ProxyStatus(node_id="envoy-1", node_cluster="c", connected_since_s=0.0, types=named)


def strict(status: dict[str, Any]) -> Any:
    return json.loads(json.dumps(status, allow_nan=False))


async def test_status_is_strict_json_at_every_moment(world):
    strict(engine_view(world.engine, ()))
    world.configure(service_spec())
    strict(engine_view(world.engine, ()))
    world.engine.tick()
    strict(engine_view(world.engine, ()))
    await a_busy_hour(world)
    strict(engine_view(world.engine, ()))
    world.source.outcome = carbon_series([math.nan] * 96)
    world.clock.time_s += SLOT_S
    await world.feed.refresh()
    world.engine.tick()
    strict(engine_view(world.engine, ()))
    world.clock.time_s += 3 * DAY_S
    strict(engine_view(world.engine, ()))


@pytest.mark.parametrize("joules", [math.nan, math.inf, -math.inf, 1e308, -5.0], ids=str)
async def test_a_lying_backend_cannot_break_status_or_metrics(world, server, joules):
    world.configure(service_spec())
    world.engine.tick()
    for _ in range(3):
        load = ClusterLoad(succeeded=1, metrics={ENERGY: (1, joules)})
        world.engine.on_report(load_report({cluster("best"): load}))
    world.engine.tick()
    status = strict(engine_view(world.engine, ()))
    assert status["services"][0]["window"]["energy_j_per_request_reported"] == {}
    assert value(samples(world, server), "carbonrouter_reported_energy_joules_total", **SHOP, flavour="best") == 0
    strict(world.session.state())


async def test_status_tells_the_decision_the_budget_and_the_source(world):
    await a_busy_hour(world)
    status = strict(engine_view(world.engine, ()))
    assert [each["service"] for each in status["services"]] == ["other", "shop"]
    shop = status["services"][1]
    assert shop["weights"] == world.weights
    assert shop["measured_split"] == pytest.approx({"best": 0.8, "fast": 0.2})
    assert shop["reasons"]["forecast"] == "provider"
    assert shop["budget"]["requests"] == pytest.approx(600)
    assert shop["budget"]["error_requests"] == pytest.approx(12)
    assert shop["budget"]["credit"] == pytest.approx(0.04 * 600 - 12)
    assert shop["budget"]["window_start"] == "2023-11-15T00:00:00Z"
    assert shop["carbon"]["notes"] == []
    assert (shop["carbon"]["source"], shop["carbon"]["state"], shop["carbon"]["kind"]) == (
        "scripted",
        "fresh",
        "average",
    )
    assert shop["window"]["requests"] == pytest.approx(600)
    assert shop["window"]["energy_j_per_request_reported"] == {"fast": pytest.approx(1.25)}
    assert status["feedback"]["reports"] == 3


async def test_status_of_a_new_window_does_not_show_the_old_ones_books(world):
    await a_busy_hour(world)
    world.clock.time_s += DAY_S
    world.engine.tick()
    shop = engine_view(world.engine, ())["services"][1]
    assert shop["budget"]["previous_window"]["requests"] > 0
    assert shop["budget"]["windows_closed"] == 1
    assert (shop["budget"]["requests"], shop["budget"]["credit"], shop["window"]["requests"]) == (0.0, 0.0, 0.0)


async def test_a_broken_budget_is_told(world):
    world.configure(service_spec(max_error=0.01))
    world.engine.tick()
    world.clock.time_s += 10
    world.engine.on_report(load_report({cluster("fast"): 100}))
    shop = engine_view(world.engine, ())["services"][0]
    held = next(each for each in shop["conditions"] if each["type"] == "BudgetHeld")
    assert (held["status"], held["reason"]) == ("True", "AheadOfBudget")
    assert shop["window"]["gap_to_clairvoyant_pct"] is None, "there is no bound within a budget that is exceeded"
    world.clock.time_s += DAY_S
    world.engine.tick()
    shop = engine_view(world.engine, ())["services"][0]
    assert shop["budget"]["previous_window"]["held"] is False
    assert shop["budget"]["windows_exceeded"] == 1


async def test_status_tells_how_far_each_proxy_has_come(world):
    connected = proxy(
        LISTENER=TypeStatus(sent="#2", acked="#2"),
        ROUTE=TypeStatus(sent="#2", acked="#1"),
        CLUSTER=TypeStatus(sent="#2", acked="#1", nack="no such thing", nacks=3),
    )
    [told] = strict(engine_view(world.engine, [connected]))["proxies"]
    assert told["node_id"] == "envoy-1"
    assert {name: each["state"] for name, each in told["types"].items()} == {
        "Listener": "SYNCED",
        "RouteConfiguration": "STALE",
        "Cluster": "NACK",
    }
    assert told["types"]["Cluster"]["reason"] == "no such thing"
    assert told["types"]["Cluster"]["rejections"] == 3


async def test_what_people_impose_and_the_speed_of_work_that_may_wait_are_told(world, server):
    processing = Processing(replicas={"target": {"least": 1, "greatest": 10}})
    world.configure(service_spec(processing=processing), service_spec(service="other"))
    world.source.outcome = carbon_series([250.0] * 48)
    await world.feed.refresh()
    world.engine.tick()
    world.engine.steer("default/shop", Steering(pause=Pause()))
    found = samples(world, server)
    shop = {"namespace": "default", "service": "shop"}
    assert value(found, "carbonrouter_imposed", **shop, by="pause") == 1
    assert value(found, "carbonrouter_imposed", **shop, by="override") == 0
    # Halfway between floor and ceiling, at a credit of 0 between -1 and 1: half speed, so five of ten replicas.
    assert value(found, "carbonrouter_processing_throttle_ratio", **shop) == pytest.approx(0.5)
    assert value(found, "carbonrouter_replica_ceiling", **shop, component="target") == 5
    assert [labels["service"] for labels, _ in found["carbonrouter_replica_ceiling"]] == ["shop"]
