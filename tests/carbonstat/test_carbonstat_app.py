"""The HTTP contract: the original's keys and errors, ours beside them, the load report and the counters."""

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from carbonstat import app as service
from carbonstat.energy import BASIS
from carbonstat.work import Flavour

STRATEGIES = [
    (Flavour.HIGH, "HIGH_POWER", 2.5),
    (Flavour.MID, "MEDIUM_POWER", 2.0),
    (Flavour.LOW, "LOW_POWER", 1.0),
]


@pytest.mark.parametrize(("flavour", "strategy", "mean"), STRATEGIES)
async def test_post_averages_the_given_list(start, flavour, strategy, mean):
    call = start(flavour)
    reply = await call("POST", "/avg", b'{"numbers": [1, 2, ', b"3, 4]}")
    document = reply.json()
    assert reply.status == 200
    assert document["avg"] == round(mean)
    assert isinstance(document["avg"], int)
    assert document["strategy"] == strategy
    assert document["elapsed"] == document["elapsed_ms"] >= 0.0
    assert document["value"] == mean


@pytest.mark.parametrize("flavour", list(Flavour))
async def test_get_averages_the_seeded_numbers(start, flavour):
    call = start(flavour)
    document = (await call("GET", "/avg")).json()
    assert document["flavour"] == flavour.value
    assert document["elements"] == 64 // flavour.stride
    assert document["avg"] == round(document["value"])
    assert 0.0 <= document["precision"] <= 1.0
    assert (document["precision"] == 1.0) == (flavour is Flavour.HIGH)
    assert document["energy"] == {"joules": pytest.approx(document["cpu_ms"] / 100.0), "basis": BASIS}


async def test_precision_label_can_be_given(start):
    call = start(Flavour.LOW, precision_pct=30.0)
    assert (await call("GET", "/avg")).json()["precision"] == 0.3


@pytest.mark.parametrize(("method", "chunks"), [("GET", []), ("POST", [b'{"numbers": [5]}'])])
async def test_every_answer_reports_its_energy_to_the_proxy(start, method, chunks):
    call = start(watts_per_core=25.0)
    reply = await call(method, "/avg", *chunks)
    form, _, document = reply.headers["endpoint-load-metrics"].partition(" ")
    assert form == "JSON"
    assert json.loads(document) == {"named_metrics": {"energy_j": reply.json()["energy"]["joules"]}}
    assert reply.json()["energy"]["joules"] > 0.0


@pytest.mark.parametrize(
    ("chunks", "headers", "status"),
    [
        ([], {}, 400),
        ([b"{}"], {}, 400),
        ([b'{"numbers": []}'], {}, 400),
        ([b'{"numbers": ["a"]}'], {}, 400),
        ([b"nonsense"], {}, 400),
        ([b" " * service.MAX_BODY_BYTES, b" "], {}, 413),
        ([], {"content-length": str(service.MAX_BODY_BYTES + 1)}, 413),
    ],
)
async def test_refusals_say_why_and_report_no_energy(start, chunks, headers, status):
    reply = await start()("POST", "/avg", *chunks, headers=headers)
    assert reply.status == status
    assert list(reply.json()) == ["error"]
    assert "endpoint-load-metrics" not in reply.headers


async def test_a_client_that_leaves_is_no_crash(start):
    assert (await start()("POST", "/avg", b'{"num', disconnect=True)).status == 400


async def test_a_body_at_the_limit_is_read(start):
    body = b'{"numbers": [1]}'.ljust(service.MAX_BODY_BYTES)
    assert (await start()("POST", "/avg", body)).status == 200


async def test_health_and_unknown_paths(start):
    call = start()
    health = await call("GET", "/healthz")
    assert (health.status, health.json()) == (200, {"status": "ready"})
    assert (await call("GET", "/nowhere")).status == 404
    assert (await call("DELETE", "/avg")).status == 405


async def test_counters(start):
    call = start(Flavour.MID)
    answers = [(await call("GET", "/avg")).json(), (await call("GET", "/avg")).json()]
    await call("POST", "/avg", b"{}")
    reply = await call("GET", "/metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    samples = {
        (s.name, s.labels.get("status"), s.labels.get("le")): s
        for family in text_string_to_metric_families(reply.body.decode())
        for s in family.samples
    }
    assert {s.labels["flavour"] for s in samples.values()} == {"mid"}
    assert samples["carbonstat_requests_total", "200", None].value == 2
    assert samples["carbonstat_requests_total", "400", None].value == 1
    assert samples["carbonstat_request_seconds_count", None, None].value == 3
    cpu_s = sum(answer["cpu_ms"] for answer in answers) / 1e3
    assert samples["carbonstat_cpu_seconds_total", None, None].value == pytest.approx(cpu_s)
    assert samples["carbonstat_energy_joules_total", None, None].value == pytest.approx(10.0 * cpu_s)
