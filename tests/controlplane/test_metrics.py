"""The catalogue, the exposition and docs/metrics.md say the same; emissions are told as totals that never go down."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from controlplane.config import Processing
from controlplane.metrics import FAMILIES, Instruments, UndeclaredMetricError, registry_for
from controlplane.metrics import catalogue as catalogue_module
from controlplane.metrics.document import document
from controlplane.metrics.exposition import Exposition, counter, histogram
from controlplane.metrics.instruments import ApiMetrics
from controlplane.metrics.open_windows import OpenWindows
from controlplane.metrics.rules import RULES, rules_file
from tests.controlplane.fakes import DAY_S, SLOT_S, START_S, World, carbon_series, cluster, load_report, service_spec
from xds import ClusterLoad, SnapshotCache, XdsServer

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
SHOP = {"namespace": "default", "service": "shop"}
Sample = tuple[str, frozenset[tuple[str, str]]]

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: apt-get install prometheus)"
)


@pytest.fixture
def world(tmp_path) -> World:
    world = World(tmp_path / "state")
    world.source.kind, world.source.basis = "average", "test"
    return world


@pytest.fixture
async def server(world) -> XdsServer:
    return XdsServer(SnapshotCache(), on_report=world.engine.on_report)


def registry(world: World, server: XdsServer, instruments: Instruments | None = None) -> CollectorRegistry:
    quiet = {"envoy_restarts": 0, "reload_failures": 0}
    return registry_for(world.engine, server.registry, runtime=lambda: quiet, instruments=instruments)


def scrape(world: World, server: XdsServer) -> dict[Sample, float]:
    text = generate_latest(registry(world, server)).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def shop(found: dict[Sample, float], name: str, **labels: str) -> float:
    return found[f"carbonrouter_{name}", frozenset((SHOP | labels).items())]


async def fully_fed(world: World) -> Instruments:
    """Everything that can happen, once."""
    instruments = Instruments()
    processing = Processing(replicas={"target": {"least": 1, "greatest": 10}})
    world.configure(service_spec(embodied_g={"best": 0.5}, processing=processing))
    for day in (0, 1):
        slots = 48 * (day + 1)
        world.source.outcome = carbon_series([200.0] * 240, actual=[210.0] * slots)
        world.clock.time_s = START_S + day * DAY_S + 600.0
        await world.feed.refresh()
        with instruments.planning(), instruments.deciding():
            world.engine.tick()
        world.clock.time_s += 600.0
        load = ClusterLoad(succeeded=40, failed=3, metrics={"named_metrics.energy_j": (10, 12.5)})
        world.engine.on_report(load_report({cluster("best"): 60, cluster("fast"): load}))
    world.engine.tick()
    instruments.state_written()
    instruments.api.observe(route="/status", method="GET", status=200, seconds=0.01)
    return instruments


async def test_everything_declared_is_exposed_as_declared_and_nothing_else(world, server):
    instruments = await fully_fed(world)
    text = generate_latest(registry(world, server, instruments)).decode()
    exposed = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {tuple(sorted(sample.labels.keys() - {"le"})) for sample in family.samples}
        exposed[name] = (family.type, family.documentation, labels)
    declared = {family.name: (family.kind, family.text, {tuple(sorted(family.labels))}) for family in FAMILIES.values()}
    assert exposed == declared


def test_what_is_not_declared_cannot_be_told():
    told = Exposition()
    with pytest.raises(UndeclaredMetricError, match="carbonrouter_reqests_total is not in the catalogue"):
        told.rows("reqests_total", "namespace", "service", "flavour")
    with pytest.raises(UndeclaredMetricError, match="has the labels"):
        told.rows("requests_total", "namespace", "service")
    with pytest.raises(UndeclaredMetricError, match="is a histogram"):
        told.rows("plan_duration_seconds")
    with pytest.raises(UndeclaredMetricError, match="is a gauge"):
        counter("carbonrouter_services")
    with pytest.raises(UndeclaredMetricError, match="has the labels"):
        histogram("carbonrouter_plan_duration_seconds", "service")
    with pytest.raises(ValueError, match="zip"):
        told.rows("windows_total", "namespace", "service").add(["default"], 1)


def test_every_label_is_explained_and_no_name_is_declared_twice():
    used = {label for family in FAMILIES.values() for label in family.labels}
    assert used == set(catalogue_module.LABELS)
    assert len(FAMILIES) == sum(map(len, catalogue_module.SECTIONS.values()))


def test_the_document_is_what_the_catalogue_prints():
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run `make docs`"


def promtool(*arguments: str, given: str = "") -> str:
    """What promtool says, and that it is content."""
    done = subprocess.run(
        ["promtool", *arguments], input=given, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_promtool
async def test_promtool_finds_nothing_to_say_about_an_exposition(world, server):
    instruments = await fully_fed(world)
    assert promtool("check", "metrics", given=generate_latest(registry(world, server, instruments)).decode()) == ""


def test_the_rules_use_metrics_that_exist_and_are_those_in_the_document():
    [block] = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert block == rules_file()
    used = {name for rule in RULES for name in re.findall(r"carbonrouter_\w+", rule.expr)}
    assert used <= set(FAMILIES)
    assert len({rule.record for rule in RULES}) == len(RULES)


def series(name: str, step: float, **labels: str) -> dict[str, str]:
    """A counter that grows by `step` each hour for 31 days."""
    told = ",".join(f'{label}="{value}"' for label, value in (SHOP | labels).items())
    return {"series": f"carbonrouter_{name}{{{told}}}", "values": f"0+{step}x744"}


RULES_FED = [
    series("settled_requests_total", 60, flavour="best", intensity="actual"),
    series("settled_requests_total", 40, flavour="fast", intensity="forecast"),
    series("settled_emissions_grams_total", 120, flavour="best", intensity="actual"),
    series("settled_emissions_grams_total", 20, flavour="fast", intensity="forecast"),
    series("settled_embodied_grams_total", 10, flavour="best"),
    series("always_best_emissions_grams_total", 120, intensity="actual"),
    series("always_best_emissions_grams_total", 80, intensity="forecast"),
    series("always_best_embodied_grams_total", 20),
    series("window_emissions_grams_total", 80, scenario="served"),
    series("window_emissions_grams_total", 100, scenario="always_best"),
    series("window_emissions_grams_total", 90, scenario="carbon_blind_mix"),
    series("window_emissions_grams_total", 64, scenario="clairvoyant"),
]
RULES_GIVE = {
    "service:carbonrouter_sci_grams_per_request:increase1d": 1.5,
    "service:carbonrouter_always_best_sci_grams_per_request:increase1d": 2.2,
    "service:carbonrouter_saving_ratio:increase1d": 0.3,
    "service:carbonrouter_settled_on_forecast_ratio:increase1d": 0.4,
    "service:carbonrouter_window_saving_ratio:increase30d": 0.2,
    "service:carbonrouter_window_carbon_gain_ratio:increase30d": 1 / 9,
    "service:carbonrouter_window_clairvoyant_gap_ratio:increase30d": 0.25,
}


@needs_promtool
def test_prometheus_reads_the_rules_and_they_give_the_ratios(tmp_path):
    (tmp_path / "rules.yaml").write_text(rules_file())
    assert f"{len(RULES)} rules found" in promtool("check", "rules", str(tmp_path / "rules.yaml"))
    labels = '{namespace="default", service="shop"}'
    expected = [
        {
            "expr": f"round({name}, 1e-6)",
            "eval_time": "31d",
            "exp_samples": [{"labels": labels, "value": round(value, 6)}],
        }
        for name, value in RULES_GIVE.items()
    ]
    test = {"interval": "1h", "input_series": RULES_FED, "promql_expr_test": expected}
    (tmp_path / "test.yaml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1h", "tests": [test]})
    )
    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "test.yaml"))


async def a_day(world: World) -> Iterable[float]:
    """Half hours of traffic; each yields when its reports are in and the engine has decided."""
    world.configure(service_spec(window_s=6 * 3600.0, embodied_g={"best": 0.5, "fast": 0.1}))
    for slot in range(40):
        actual = [150.0 + 10.0 * number for number in range(slot)]
        world.source.outcome = carbon_series([200.0] * 96, actual=actual)
        world.clock.time_s = START_S + slot * SLOT_S + 1.0
        await world.feed.refresh()
        world.engine.tick()
        world.clock.time_s += 1200.0
        world.engine.on_report(load_report({cluster("best"): 60, cluster("fast"): 40}))
        world.engine.tick()


async def test_emissions_are_those_of_the_actual_intensities(world, server):
    await a_day(world)
    found = scrape(world, server)
    intensities = [150.0 + 10.0 * number for number in range(39)]
    kwh = 60 * 10.0 / 3.6e6
    assert shop(found, "settled_requests_total", flavour="best", intensity="actual") == pytest.approx(60 * 39)
    assert shop(found, "settled_emissions_grams_total", flavour="best", intensity="actual") == pytest.approx(
        kwh * sum(intensities)
    )
    assert shop(found, "settled_embodied_grams_total", flavour="best") == pytest.approx(0.5 * 60 * 39)
    assert shop(found, "settled_energy_joules_total", flavour="fast") == pytest.approx(40 * 39)
    assert shop(found, "always_best_emissions_grams_total", intensity="actual") == pytest.approx(
        kwh * 100 / 60 * sum(intensities)
    )
    assert shop(found, "always_best_embodied_grams_total") == pytest.approx(50 * 39)
    assert shop(found, "settled_requests_total", flavour="best", intensity="forecast") == 0
    assert shop(found, "requests_without_intensity_total") == 0
    assert shop(found, "windows_settled_total") == 3
    assert shop(found, "window_requests_total") == pytest.approx(100 * 36)
    served = shop(found, "window_emissions_grams_total", scenario="served")
    assert served == pytest.approx((kwh + 40 * 1.0 / 3.6e6) * sum(intensities[:36]))
    assert served < shop(found, "window_emissions_grams_total", scenario="always_best")


async def test_the_open_window_is_told_as_status_tells_it(world, server):
    await a_day(world)
    found, session = scrape(world, server), world.session
    summary = session.summary(*session.window(world.clock.time_s))
    assert summary.grams > 0
    assert [
        shop(found, "open_window_emissions_grams", scenario=scenario)
        for scenario in ("served", "always_best", "carbon_blind_mix", "clairvoyant")
    ] == [summary.grams, summary.always_best_g, summary.carbon_blind_mix_g, summary.clairvoyant_g]


KEPT = ("settled_", "always_best_", "window_", "windows_settled_total", "requests_without_")


def kept(found: dict[Sample, float]) -> dict[Sample, float]:
    """The totals that are saved with the books."""
    prefixes = tuple(f"carbonrouter_{prefix}" for prefix in KEPT)
    return {
        (name, labels): value
        for (name, labels), value in found.items()
        if name.startswith(prefixes) and name.endswith("_total")
    }


async def test_a_restart_neither_loses_nor_doubles_what_is_settled(world, server):
    await a_day(world)
    before = kept(scrape(world, server))
    assert sum(before.values()) > 0
    world.restart()
    world.configure(service_spec(window_s=6 * 3600.0, embodied_g={"best": 0.5, "fast": 0.1}))
    assert kept(scrape(world, server)) == before
    world.engine.tick()
    assert kept(scrape(world, server)) == before


async def test_a_changed_service_goes_on_with_its_totals(world, server):
    await a_day(world)
    before = kept(scrape(world, server))
    world.configure(service_spec(window_s=6 * 3600.0, max_error=0.01))
    assert kept(scrape(world, server)) == before
    counters = scrape(world, server)
    assert shop(counters, "energy_joules_total", flavour="best") == pytest.approx(60 * 10.0 * 40)


async def test_what_was_settled_is_saved_though_no_report_comes(world):
    await a_day(world)
    world.engine.writer.flush()
    for _ in range(2):  # the second round settles nothing new
        world.engine.tick()
        assert not world.session.take_settled(), "the engine has had it saved"
    kept = world.engine.writer.load("default/shop")
    assert kept["account"] == world.session.state()["account"]


async def test_embodied_grams_change_no_decision(world):
    weights = []
    for embodied_g in ({}, {"best": 1e6}):
        world.configure(service_spec(embodied_g=embodied_g))
        world.source.outcome = carbon_series([300.0] * 24 + [80.0] * 24)
        await world.feed.refresh()
        world.engine.tick()
        weights.append(world.weights)
    assert weights[0] == weights[1]


async def test_a_removed_flavour_is_told_until_what_it_served_is_settled(world, server):
    await a_day(world)
    keep = tuple(flavour for flavour in world.session.spec.flavours if flavour.name != "fast")
    world.configure(service_spec(flavours=keep, window_s=6 * 3600.0))
    assert shop(scrape(world, server), "settled_requests_total", flavour="fast", intensity="actual") > 0
    world.clock.time_s += DAY_S
    world.engine.tick()
    world.restart()
    world.configure(service_spec(flavours=keep, window_s=6 * 3600.0))
    assert not any(("flavour", "fast") in labels for _, labels in scrape(world, server))


async def test_feeds_of_one_source_and_zone_are_told_once(world, server):
    world.configure(service_spec(), service_spec(service="other"))
    text = generate_latest(registry(world, server)).decode()
    states = [line for line in text.splitlines() if line.startswith("carbonrouter_carbon_source_state{")]
    assert len(states) == len(set(states)) == 3


async def test_many_open_windows_are_looked_at_in_turn(world, monkeypatch):
    monkeypatch.setattr("controlplane.metrics.open_windows.LOOKED_AT_PER_SCRAPE", 2)
    world.configure(*(service_spec(service=name) for name in ("a", "b", "c", "d", "e")))
    looks, sessions = OpenWindows(), world.engine.sessions
    told = [[session.spec.topology.service for session, _ in looks.look(sessions, START_S)] for _ in range(3)]
    assert told == [["a", "b"], ["a", "b", "c", "d"], ["a", "b", "c", "d", "e"]]
    told = [session.spec.topology.service for session, _ in looks.look(sessions, START_S + DAY_S)]
    assert told == ["b", "c"], "what is known of yesterday's windows is not told as today's"


def values(api: ApiMetrics) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels[label] for label in ("route", "method", "status")): sample.value
        for metric in api.collect()
        for sample in metric.samples
        if sample.name == "carbonrouter_api_requests_total"
    }


def test_the_api_is_counted_by_route_method_and_class_of_status():
    api = ApiMetrics()
    for status in (200, 204, 404):
        api.observe(route="/services/{key}", method="GET", status=status, seconds=0.01)
    api.observe(route=None, method="BREW", status=404, seconds=0.01)
    assert values(api) == {
        ("/services/{key}", "GET", "2xx"): 2,
        ("/services/{key}", "GET", "4xx"): 1,
        ("unmatched", "other", "4xx"): 1,
    }


def test_paths_given_for_templates_do_not_become_a_series_each():
    api = ApiMetrics()
    for number in range(1000):
        api.observe(route=f"/services/{number}", method="GET", status=200, seconds=0.01)
    told = values(api)
    assert len(told) <= 101
    assert sum(told.values()) == 1000


def test_instruments_time_what_they_are_held_around():
    instruments = Instruments()
    with instruments.planning(), instruments.deciding():
        pass
    with pytest.raises(ZeroDivisionError), instruments.deciding():
        _ = 1 / 0
    found = {sample.name: sample.value for metric in instruments.collect() for sample in metric.samples}
    assert found["carbonrouter_plan_duration_seconds_count"] == 1
    assert found["carbonrouter_decision_duration_seconds_count"] == 2
    assert "carbonrouter_state_write_age_seconds" not in found
    instruments.state_written()
    found = {sample.name: sample.value for metric in instruments.collect() for sample in metric.samples}
    assert math.isfinite(found["carbonrouter_state_write_age_seconds"])
