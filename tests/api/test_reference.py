"""The calls of k8s-carbonrouter's own clients, as curl lines, answered by a real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.processes import EngineProcess, engine_process

JSON = ("-H", "Content-Type: application/json")
# What its operator sends: everything a TrafficSchedule holds, numbers of the scheduler in strings.
OPERATORS = {
    "scheduler": {
        "targetError": "0.1",
        "creditMin": "-0.5",
        "creditMax": "0.5",
        "creditWindow": 300,
        "policy": "forecast-aware",
        "validFor": 60,
        "discoveryInterval": 60,
        "carbonTarget": "national",
        "carbonTimeout": 2,
        "carbonCacheTTL": 300,
        "throttleMin": ".15",
        "throttleIntensityFloor": "100",
        "throttleIntensityCeiling": "300",
    },
    "components": {
        "router": {"minReplicas": 1, "maxReplicas": 5},
        "consumer": {"minReplicas": 1, "maxReplicas": 10},
        "target": {"minReplicas": 0, "maxReplicas": 20},
    },
    "flavours": [
        {"precision": 100, "carbonIntensity": 1.0, "enabled": True, "annotations": {"a": "b"}},
        {"precision": 50, "carbonIntensity": 0.6, "enabled": True},
        {"precision": 0.3, "carbonIntensity": 0.3, "enabled": True},
    ],
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Iterator[EngineProcess]:
    with engine_process(tmp_path_factory.mktemp("engine")) as engine:
        yield engine
        assert "Traceback" not in engine.log


def put(engine: EngineProcess, name: str, body: Any) -> tuple[int, str, Any]:
    return engine.curl("-X", "PUT", *JSON, "-d", json.dumps(body), path=f"/config/ns/{name}")


def post(engine: EngineProcess, path: str, body: Any) -> tuple[int, str, Any]:
    return engine.curl("-X", "POST", *JSON, "-d", json.dumps(body), path=path)


def schedule(engine: EngineProcess, name: str) -> Any:
    status, content_type, content = engine.curl(path=f"/schedule/ns/{name}")
    assert (status, content_type) == (200, "application/json")
    return content


def test_health(engine):
    assert engine.curl(path="/healthz") == (200, "application/json", {"status": "ready"})


def test_a_schedule_nobody_configured_is_unknown(engine):
    status, content_type, problem = engine.curl(path="/schedule/ns/nobody")
    assert (status, content_type) == (404, "application/problem+json")
    assert problem["detail"] == "unknown schedule ns/nobody"


def test_the_default_schedule_is_made_when_first_asked_for(engine):
    status, _, content = engine.curl(path="/schedule")
    assert status == 200
    assert [(each["name"], each["precision"], each["carbonIntensity"]) for each in content["flavours"]] == [
        ("precision-100", 100, 1.0),
        ("precision-50", 50, 0.6),
        ("precision-30", 30, 0.3),
    ]
    assert engine.curl(path="/schedule/default/default")[0] == 200


def test_the_operators_configuration_becomes_a_schedule_of_the_documented_shape(engine):
    status, _, content = put(engine, "shop", OPERATORS)
    assert (status, content["status"]) == (202, "accepted")
    assert content["ignored"] == [
        "carbonCacheTTL",
        "carbonTarget",
        "carbonTimeout",
        "creditMax",
        "creditMin",
        "creditWindow",
        "discoveryInterval",
    ]
    found = schedule(engine, "shop")
    assert set(found) == {
        "flavourWeights",
        "flavours",
        "validUntil",
        "credits",
        "policy",
        "diagnostics",
        "avgPrecision",
        "processing",
    }
    assert set(found["flavourWeights"]) == {"precision-100", "precision-50", "precision-30"}
    assert sum(found["flavourWeights"].values()) == 100
    for flavour in found["flavours"]:
        assert set(flavour) == {"name", "precision", "weight", "carbonIntensity", "enabled"}
        assert flavour["weight"] == found["flavourWeights"][flavour["name"]]
    assert found["policy"] == {"name": "forecast-aware"}
    assert {"balance", "velocity", "target", "min", "max"} <= set(found["credits"])
    assert found["credits"]["target"] == 0.1
    assert set(found["processing"]) == {"throttle", "creditsRatio", "intensityRatio", "ceilings"}
    assert set(found["processing"]["ceilings"]) == {"router", "consumer", "target"}
    left = datetime.strptime(found["validUntil"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) - datetime.now(UTC)
    assert timedelta() < left <= timedelta(seconds=60)


def test_settings_may_stand_flat_too(engine):
    put(engine, "flat", {"targetError": 0.05, "policy": "p100", "flavours": OPERATORS["flavours"]})
    found = schedule(engine, "flat")
    assert (found["credits"]["target"], found["policy"]["name"]) == (0.05, "p100")
    assert found["flavourWeights"] == {"precision-100": 100, "precision-50": 0, "precision-30": 0}


def test_settings_start_from_the_defaults_each_time_and_flavours_stay(engine):
    put(engine, "again", {**OPERATORS, "flavours": OPERATORS["flavours"][:2]})
    assert put(engine, "again", {"targetError": "0.2"})[0] == 202
    found = schedule(engine, "again")
    assert (found["credits"]["target"], found["policy"]["name"]) == (0.2, "credit-greedy")
    assert set(found["flavourWeights"]) == {"precision-100", "precision-50"}


@pytest.mark.parametrize("flavours", [[], None], ids=["none found", "null"])
def test_no_flavours_found_yet_are_those_of_before_or_the_defaults(engine, flavours):
    name = f"none-{flavours is None}".lower()
    assert put(engine, name, {"flavours": flavours})[0] == 202
    assert len(schedule(engine, name)["flavours"]) == 3
    put(engine, name, {"flavours": OPERATORS["flavours"][:2]})
    put(engine, name, {"flavours": flavours})
    assert len(schedule(engine, name)["flavours"]) == 2


def test_precision_is_a_fraction_or_percent_and_of_two_alike_the_first_counts(engine):
    flavours = [
        {"precision": 1, "carbonIntensity": 3},
        {"precision": 0.29, "carbonIntensity": 1},
        {"precision": 29, "carbonIntensity": 2},
        {"precision": 87.5, "carbonIntensity": 2.5},
        {"precision": 60, "carbonIntensity": 2, "enabled": False},
    ]
    put(engine, "fractions", {"flavours": flavours})
    found = schedule(engine, "fractions")["flavours"]
    assert [(each["name"], each["precision"]) for each in found] == [
        ("precision-100", 100),
        ("precision-87.5", 87.5),
        ("precision-29", 29),
    ]
    assert found[2]["carbonIntensity"] == pytest.approx(1 / 3)


def test_an_empty_body_makes_a_service_or_leaves_it_as_it_is(engine):
    assert engine.curl("-X", "PUT", path="/config/ns/empty")[0] == 202
    assert schedule(engine, "empty")["credits"]["target"] == 0.15
    put(engine, "empty", {"targetError": 0.07})
    assert engine.curl("-X", "PUT", path="/config/ns/empty")[0] == 202
    assert schedule(engine, "empty")["credits"]["target"] == 0.07


@pytest.mark.parametrize("valid_for", [1, 60, 3600, 1_000_000, 31_622_400, "120"])
def test_every_validity_that_is_allowed_is_understood(engine, valid_for):
    assert put(engine, "validity", {"validFor": valid_for})[0] == 202


@pytest.mark.parametrize(
    "body",
    ["{", "[1]", '"text"', "7", "null", "\udcff", "{" * 50_000, f'{{"targetError": {"9" * 5000}}}'],
    ids=["malformed", "list", "text", "number", "null", "bytes", "deep", "digits"],
)
def test_a_body_that_is_no_object_is_refused(engine, tmp_path, body):
    (tmp_path / "body").write_bytes(body.encode("utf-8", "surrogateescape"))
    arguments = ("-X", "PUT", *JSON, "--data-binary", f"@{tmp_path / 'body'}")
    status, content_type, problem = engine.curl(*arguments, path="/config/ns/refused")
    assert (status, content_type, problem["status"]) == (400, "application/problem+json", 400)
    assert engine.curl(path="/schedule/ns/refused")[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        {"targetError": "much"},
        {"targetError": 1.5},
        {"validFor": 0},
        {"policy": "no-such-policy"},
        {"scheduler": [1]},
        {"throttleIntensityFloor": 400},
        {"flavours": [{"precision": -1}]},
        {"flavours": [{"precision": 101}]},
        {"flavours": [{"precision": "1e999"}]},
        {"components": {"router": {"minReplicas": 5, "maxReplicas": 1}}},
    ],
    ids=str,
)
def test_what_it_took_without_looking_is_refused_and_changes_nothing(engine, body):
    put(engine, "looked-at", {"targetError": 0.05})
    status, content_type, _ = put(engine, "looked-at", body)
    assert (status, content_type) == (422, "application/problem+json")
    assert schedule(engine, "looked-at")["credits"]["target"] == 0.05


def test_a_lone_surrogate_in_a_key_is_answered(engine, tmp_path):
    (tmp_path / "body").write_text('{"\\ud800": 1}')
    arguments = ("-X", "PUT", *JSON, "--data-binary", f"@{tmp_path / 'body'}")
    status, _, content = engine.curl(*arguments, path="/config/ns/surrogate")
    assert (status, content) == (202, {"status": "accepted", "ignored": ["\\ud800"]})


def test_what_was_counted_survives_an_identical_configuration(engine):
    put(engine, "ledger", OPERATORS)
    counts = {"flavour_counts": {"precision-100": 60, "precision-50": 30, "precision-30": 10}, "window_seconds": 15}
    status, _, told = post(engine, "/feedback/ns/ledger", {**counts, "total_requests": 100})
    assert status == 200
    assert told["realized_precision"] == pytest.approx(0.78)
    assert told["total_requests"] == 100
    put(engine, "ledger", OPERATORS)
    put(engine, "ledger", {**OPERATORS, "scheduler": {**OPERATORS["scheduler"], "targetError": "0.2"}})
    _, _, state = engine.curl(path="/api/v1/services/ns/ledger")
    assert (state["budget"]["requests"], state["budget"]["error_requests"]) == (100, pytest.approx(22))


def test_feedback_for_what_is_not_there_is_refused(engine):
    assert post(engine, "/feedback/ns/nobody", {"flavour_counts": {}})[0] == 404
    put(engine, "feedback", OPERATORS)
    assert post(engine, "/feedback/ns/feedback", {"flavour_counts": {"precision-99": 1}})[0] == 422
    assert post(engine, "/feedback/ns/feedback", {"flavour_counts": {"precision-100": -1}})[0] == 422
    assert post(engine, "/feedback/ns/feedback", {})[0] == 422
    assert post(engine, "/feedback/ns/feedback", {"flavour_counts": {}})[2]["total_requests"] == 0


def test_a_manual_schedule_holds_for_its_time_and_is_ended_by_a_configuration(engine):
    put(engine, "manual", OPERATORS)
    sent = {
        "flavourWeights": {"precision-100": 20, "precision-50": 0, "precision-30": 60},
        "carbonForecastNow": 120,
        "carbonForecastNext": 280,
        "validFor": 600,
    }
    assert post(engine, "/schedule/ns/manual/manual", sent) == (202, "application/json", {"status": "schedule set"})
    imposed = {"precision-100": 25, "precision-50": 0, "precision-30": 75}
    assert schedule(engine, "manual")["flavourWeights"] == imposed
    assert engine.curl("-X", "PUT", path="/config/ns/manual")[0] == 202
    assert schedule(engine, "manual")["flavourWeights"] == imposed
    put(engine, "manual", OPERATORS)
    assert schedule(engine, "manual")["flavourWeights"] != imposed


def test_a_manual_schedule_may_name_its_end(engine):
    put(engine, "until", OPERATORS)
    ends = (datetime.now(UTC) + timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    sent = {"flavourWeights": {"precision-100": 1}, "validUntil": ends}
    assert post(engine, "/schedule/ns/until/manual", sent)[0] == 202
    assert engine.curl(path="/api/v1/services/ns/until")[2]["override"]["until"] == ends
    for past in ("2020-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"):
        assert post(engine, "/schedule/ns/until/manual", {**sent, "validUntil": past})[0] == 422


def test_a_schedule_that_was_fetched_may_be_set_again(engine):
    put(engine, "echo", OPERATORS)
    fetched = schedule(engine, "echo")
    fetched["flavourWeights"] = {"precision-100": 10, "precision-50": 20, "precision-30": 70}
    fetched["validFor"] = 30
    assert post(engine, "/schedule/ns/echo/manual", fetched)[0] == 202
    assert schedule(engine, "echo")["flavourWeights"] == fetched["flavourWeights"]


@pytest.mark.parametrize(
    "sent",
    [
        {"carbonForecastNow": 120, "carbonForecastNext": 280, "validUntil": "2030-01-01T00:00:00Z"},
        {"flavourWeights": {}},
        {"flavourWeights": {"precision-100": 0}},
        {"flavourWeights": {"precision-100": -1}},
        {"flavourWeights": {"precision-77": 1}},
        {"flavourWeights": {"precision-100": 1}, "validFor": 0},
    ],
    ids=str,
)
def test_a_manual_schedule_that_splits_nothing_is_refused(engine, sent):
    put(engine, "split", OPERATORS)
    before = schedule(engine, "split")["flavourWeights"]
    assert post(engine, "/schedule/ns/split/manual", sent)[:2] == (422, "application/problem+json")
    assert schedule(engine, "split")["flavourWeights"] == before


def test_set_schedule_steers_the_default(engine):
    sent = {"flavourWeights": {"precision-50": 1}, "carbonForecastNow": 100}
    assert post(engine, "/setschedule", sent) == (202, "application/json", {"status": "schedule set"})
    assert engine.curl(path="/schedule")[2]["flavourWeights"] == {
        "precision-100": 0,
        "precision-50": 100,
        "precision-30": 0,
    }
    assert post(engine, "/schedule/ns/nobody/manual", sent)[0] == 404


def test_whole_percents_never_fall_below_none(engine):
    flavours = [{"precision": 100 - place, "carbonIntensity": 1} for place in range(66)]
    put(engine, "many", {"flavours": flavours})
    weights = {f"precision-{100 - place}": 1 for place in range(66)}
    assert post(engine, "/schedule/ns/many/manual", {"flavourWeights": weights})[0] == 202
    found = schedule(engine, "many")["flavourWeights"]
    assert sum(found.values()) == 100
    assert min(found.values()) >= 0
