"""Every fault: as a function of a healthy answer, through a real client, and as our own source sees it."""

import asyncio
import json
from math import inf

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.carbon import GbSource, PermanentSourceError, TemporarySourceError
from controlplane.carbonsim import Fault, Kind, SimOptions
from controlplane.carbonsim.answer import Answer
from controlplane.carbonsim.breakage import HUGE_BYTES, broken
from controlplane.carbonsim.faults import MAX_FAULTS, FaultBook, TooManyFaults
from controlplane.carbonsim.requestlog import MAX_ENTRIES, RequestLog
from tests.carbonsim.sim import NOON_S, Client, simulation
from tests.support.properties import deterministic
from tests.support.wait import eventually

GB = "/intensity/2023-01-10T12:00Z/fw24h"
MAPS = "/v3/carbon-intensity/forecast?zone=DE"
STATUS = {"down": 503, "error500": 500, "unauthorised": 401, "forbidden": 403, "throttled": 429}


def gb_answer(count: int = 7) -> Answer:
    rows = [{"from": f"{place}", "to": "", "intensity": {"forecast": place, "actual": None}} for place in range(count)]
    return Answer(status=200, body=json.dumps({"data": rows}).encode())


def forecasts(answer: Answer) -> list[int | None]:
    return [row["intensity"]["forecast"] for row in json.loads(answer.body)["data"]]


async def cause(client: Client, kind: str, **more: object) -> None:
    status, _ = await client.post("/faults", {"kind": kind, **more})
    assert status == 201


async def asked(client: Client, path: str, *, times: int = 1) -> bool:
    _, document = await client.get("/requests")
    return sum(entry["count"] for entry in document["requests"] if entry["path"] == path) >= times


# As a function


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.NULLS, [None, 1, 2, None, 4, 5, None]),
        (Kind.GAPS, [0, 1, 3, 4, 6]),
        (Kind.DUPLICATES, [0, 0, 1, 2, 3, 3, 4, 5, 6, 6]),
        (Kind.UNORDERED, [1, 3, 5, 0, 2, 4, 6]),
        (Kind.WRONG_UNITS, [0, 1000, 2000, 3000, 4000, 5000, 6000]),
    ],
)
def test_faults_of_rows(kind, expected):
    assert forecasts(broken(gb_answer(), Fault(kind=kind))) == expected


@pytest.mark.parametrize(("kind", "status"), STATUS.items())
def test_faults_of_status(kind, status):
    answer = broken(gb_answer(), Fault(kind=Kind(kind), retry_after_s=17))
    assert answer.status == status
    assert json.loads(answer.body)["error"]["code"].startswith(str(status))
    assert (("retry-after", "17") in answer.headers) == (kind == "throttled")


def test_a_row_alone_has_values_that_can_be_wrong():
    answer = Answer(status=200, body=b'{"zone":"DE","datetime":"x","carbonIntensity":300}')
    assert json.loads(broken(answer, Fault(kind=Kind.NULLS)).body)["carbonIntensity"] is None
    assert json.loads(broken(answer, Fault(kind=Kind.WRONG_UNITS)).body)["carbonIntensity"] == 300_000
    assert json.loads(broken(answer, Fault(kind=Kind.GAPS)).body) == json.loads(answer.body)


@deterministic
@given(st.sampled_from(Kind), st.integers(0, 30), st.binary(max_size=40) | st.none())
def test_every_kind_takes_every_answer(kind, count, body):
    answer = gb_answer(count) if body is None else Answer(status=404, body=body)
    changed = broken(answer, Fault(kind=kind))
    if body is None and count >= 3:
        assert changed != answer


def test_faults_add_up():
    answer = broken(broken(gb_answer(), Fault(kind=Kind.GAPS)), Fault(kind=Kind.WRONG_UNITS))
    assert forecasts(answer) == [0, 1000, 3000, 4000, 6000]


# When they happen


def test_a_fault_has_a_time_and_a_path():
    book = FaultBook([Fault(kind=Kind.DOWN, from_s=10, until_s=20, path_prefix="/v3", planned=True)])
    hit = [now_s for now_s in (9, 10, 19.9, 20) if book.hits("/v3/x", now_s=now_s)]
    assert hit == [10, 19.9]
    book = FaultBook([Fault(kind=Kind.DOWN, path_prefix="/v3")])
    assert not book.hits("/intensity", now_s=0)


def test_a_probability_is_a_share_of_answers_and_the_same_for_each_seed():
    def hits(seed: int) -> list[bool]:
        book = FaultBook([Fault(kind=Kind.DOWN, probability=0.3)], seed=seed)
        return [bool(book.hits("/", now_s=0)) for _ in range(2000)]

    assert 0.25 < sum(hits(1)) / 2000 < 0.35
    assert hits(1) == hits(1) != hits(2)


def test_faults_are_bounded_and_what_has_ended_does_not_count():
    book = FaultBook()
    for _ in range(MAX_FAULTS):
        book.add(Fault(kind=Kind.DOWN, until_s=10), now_s=0)
    with pytest.raises(TooManyFaults):
        book.add(Fault(kind=Kind.DOWN), now_s=0)
    book.add(Fault(kind=Kind.DOWN), now_s=10)
    assert [fault.until_s for fault in book.pending(now_s=10)] == [inf]


def test_the_request_log_forgets_the_oldest():
    log = RequestLog()
    for minute in range(MAX_ENTRIES + 5):
        log.add("/intensity" + "x" * 1000, now_s=60.0 * minute)
    shown = log.to_dict()
    assert (shown["total"], shown["forgotten"], len(shown["requests"])) == (MAX_ENTRIES + 5, 5, MAX_ENTRIES)
    assert len(shown["requests"][0]["path"]) == 200


# Through a client


@pytest.mark.parametrize("path", [GB, MAPS])
@pytest.mark.parametrize(("kind", "status"), STATUS.items())
async def test_status_seen(client, kind, status, path):
    await cause(client, kind)
    async with client.session.get(client.url + path) as response:
        assert response.status == status
        assert (response.headers.get("Retry-After") == "60") == (kind == "throttled")
        assert "error" in await response.json()


@pytest.mark.parametrize("path", [GB, MAPS])
@pytest.mark.parametrize("kind", ["nulls", "gaps", "duplicates", "unordered", "wrong_units"])
async def test_rows_seen(client, kind, path):
    _, healthy = await client.get(path)
    await cause(client, kind)
    status, document = await client.get(path)
    assert status == 200
    assert document.keys() == healthy.keys()
    assert document != healthy


async def test_truncated_seen(client):
    _, healthy = await client.get(GB)
    await cause(client, "truncated")
    async with client.session.get(client.url + GB) as response:
        assert response.status == 200
        assert response.content_length == len(json.dumps(healthy, separators=(",", ":")))
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_html_seen(client):
    await cause(client, "html")
    async with client.session.get(client.url + GB) as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert "<h1>" in await response.text()


async def test_huge_seen(client):
    await cause(client, "huge")
    size, tail = 0, b""
    async with client.session.get(client.url + GB) as response:
        assert response.content_length is None
        async for chunk in response.content.iter_chunked(1 << 20):
            size, tail = size + len(chunk), (tail + chunk)[-3:]
    assert size == HUGE_BYTES + len(b'{"data":""}')
    assert tail == b'x"}'


async def test_others_are_served_meanwhile_and_nobody_waits_for_who_does_not_read(caplog):
    async with aiohttp.ClientSession() as slow_reader:
        async with simulation() as client:
            await cause(client, "huge", path_prefix="/intensity")
            response = await slow_reader.get(client.url + GB)
            assert (await client.get(MAPS))[0] == 200
        with pytest.raises(aiohttp.ClientError):
            await response.read()
    assert not caplog.records


async def test_reset_seen(client):
    await cause(client, "reset")
    with pytest.raises(aiohttp.ClientError) as raised:
        await client.get(GB)
    assert isinstance(raised.value, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError)
    await client.delete("/faults")
    assert (await client.get(GB))[0] == 200


async def test_slow_seen(client):
    _, healthy = await client.get(GB)
    await cause(client, "slow", delay_s=60.0, path_prefix="/intensity/")
    waiting = asyncio.create_task(client.get(GB))
    await eventually(lambda: asked(client, GB, times=2))
    assert (await client.get("/intensity"))[0] == 200
    assert not waiting.done()
    waiting.cancel()
    await client.delete("/faults")
    await cause(client, "slow", delay_s=0.01)
    assert await client.get(GB) == (200, healthy)


async def test_stopping_cuts_the_wait_of_slow_answers_short(caplog):
    async with aiohttp.ClientSession() as patient:
        async with simulation() as client:
            await cause(client, "slow", delay_s=60.0)
            waiting = asyncio.ensure_future(patient.get(client.url + GB))
            await eventually(lambda: asked(client, GB))
        async with await waiting as response:
            assert len((await response.json())["data"]) == 48
    assert not caplog.records


# As our own source sees them


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("down", TemporarySourceError),
        ("error500", TemporarySourceError),
        ("throttled", TemporarySourceError),
        ("truncated", TemporarySourceError),
        ("reset", TemporarySourceError),
        ("html", TemporarySourceError),
        ("wrong_units", TemporarySourceError),
        ("slow", TemporarySourceError),
        ("unauthorised", PermanentSourceError),
        ("forbidden", PermanentSourceError),
        ("huge", PermanentSourceError),
    ],
)
async def test_our_source_says_what_happened(client, kind, error):
    await cause(client, kind, delay_s=60.0)
    source = GbSource(base_url=client.url, timeout_s=0.3 if kind == "slow" else 30.0)
    try:
        with pytest.raises(error) as raised:
            await source.fetch(now_s=NOON_S)
        if kind == "throttled":
            assert raised.value.retry_after_s == 60.0
    finally:
        await source.aclose()


@pytest.mark.parametrize("kind", ["nulls", "gaps", "duplicates", "unordered"])
async def test_our_source_makes_the_best_of_odd_rows(client, kind):
    await cause(client, kind)
    source = GbSource(base_url=client.url)
    try:
        series = await source.fetch(now_s=NOON_S)
    finally:
        await source.aclose()
    assert bool(series.notes) == (kind != "unordered")
    known = series.forecast_g_per_kwh[series.forecast_g_per_kwh == series.forecast_g_per_kwh]
    assert set(known) <= set(range(300, 396))
    assert known.size > 60


# The controls


async def test_faults_are_listed_end_and_are_cleared(client):
    await cause(client, "down", duration_s=3600)
    await cause(client, "slow", delay_s=0, path_prefix="/v3", probability=0.5)
    _, document = await client.get("/faults")
    assert document["faults"] == [
        {
            "kind": "down",
            "from": "2023-01-10T12:10:00.000Z",
            "until": "2023-01-10T13:10:00.000Z",
            "probability": 1.0,
            "path_prefix": "/",
            "planned": False,
        },
        {
            "kind": "slow",
            "from": "2023-01-10T12:10:00.000Z",
            "until": None,
            "probability": 0.5,
            "path_prefix": "/v3",
            "planned": False,
        },
    ]
    assert (await client.get("/intensity"))[0] == 503
    client.clock.time_s += 3600
    assert (await client.get("/intensity"))[0] == 200
    assert len((await client.get("/faults"))[1]["faults"]) == 1
    assert await client.delete("/faults") == (200, {"faults": []})


async def test_controls_are_never_hit(client):
    await cause(client, "reset")
    for path in ("/", "/health", "/scenario", "/faults", "/requests"):
        assert (await client.get(path))[0] == 200


async def test_planned_outages_stay():
    planned = Fault(kind=Kind.DOWN, from_s=NOON_S + 60, until_s=NOON_S + 120, planned=True)
    async with simulation(options=SimOptions(planned=(planned,))) as client:
        seen = []
        for _ in range(4):
            await client.delete("/faults")
            seen.append((await client.get("/intensity"))[0])
            client.clock.time_s += 59
        assert seen == [200, 200, 503, 200]


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"kind": "earthquake"},
        {"kind": "down", "duration_s": 0},
        {"kind": "down", "duration_s": "60"},
        {"kind": "down", "duration_s": 1e300},
        {"kind": "down", "probability": 0},
        {"kind": "down", "probability": 1.1},
        {"kind": "down", "path_prefix": "intensity"},
        {"kind": "down", "path_prefix": "/" + "x" * 300},
        {"kind": "slow", "delay_s": 61},
        {"kind": "throttled", "retry_after_s": -1},
        {"kind": "down", "more": 1},
    ],
)
async def test_what_is_no_fault(client, body):
    status, document = await client.post("/faults", body)
    assert (status, document["error"]["code"]) == (400, "400 Bad Request")
    assert (await client.get("/faults"))[1] == {"faults": []}


async def test_too_many_faults(client):
    for _ in range(MAX_FAULTS):
        await cause(client, "slow", delay_s=0)
    assert (await client.post("/faults", {"kind": "down"}))[0] == 409
