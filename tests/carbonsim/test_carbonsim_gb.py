"""The GB Carbon Intensity API's shapes, asked for by our own source and by anybody."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.carbon import GbSource
from controlplane.carbonsim import SLOT_S, SimOptions, pattern_named, recorded
from controlplane.carbonsim.errors import ApiError
from controlplane.carbonsim.gb import rows, window
from controlplane.carbonsim.provider import Provider
from tests.carbonsim.sim import DAY, HALF_HOUR, NOON_S, StillClock, iso, simulation, trace
from tests.support.properties import deterministic

NOON = DAY + timedelta(hours=12)
times = st.datetimes(datetime(1971, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize("place", [{}, {"region_id": 13}, {"postcode": "RG10"}])
async def test_our_source_gets_the_recorded_values(client, place):
    source = GbSource(base_url=client.url, **place)
    try:
        series = await source.fetch(now_s=NOON_S)
    finally:
        await source.aclose()
    made = trace()
    slots = (int(series.start_s - DAY.timestamp()) // SLOT_S + np.arange(series.forecast_g_per_kwh.size)) % 96
    np.testing.assert_array_equal(series.forecast_g_per_kwh, made.carbon_forecast[slots])
    ended = series.start_s + (np.arange(slots.size) + 1) * SLOT_S <= NOON_S
    expected = np.where(ended, made.carbon_actual[slots], np.nan) if not place else np.full(slots.size, np.nan)
    np.testing.assert_array_equal(series.actual_g_per_kwh, expected)
    assert series.covers(NOON_S)
    assert series.notes == ()


async def test_the_current_half_hour(client):
    row = {
        "from": "2023-01-10T12:00Z",
        "to": "2023-01-10T12:30Z",
        "intensity": {"forecast": 324, "actual": None, "index": "very high"},
    }
    assert await client.get("/intensity") == (200, {"data": [row]})
    assert await client.get("/intensity/2023-01-10T12:29Z") == (200, {"data": [row]})


@pytest.mark.parametrize(
    ("path", "first", "count"),
    [
        ("2023-01-10T12:00Z/fw24h", NOON, 48),
        ("2023-01-10T12:29Z/fw48h", NOON, 96),
        ("2023-01-10T12:29:59Z/fw48h", NOON, 96),
        ("2023-01-10T12:00Z/pt24h", NOON - timedelta(days=1), 48),
        ("2023-01-10T12:10Z/pt24h", NOON - timedelta(days=1) + HALF_HOUR, 48),
        ("2023-01-10T12:10Z/2023-01-10T12:20Z", NOON, 1),
        ("2023-01-10T12:10Z/2023-01-10T13:10Z", NOON, 3),
        ("2023-01-10T12:00Z/2023-01-24T12:00Z", NOON, 672),
    ],
)
async def test_windows(client, path, first, count):
    status, document = await client.get(f"/intensity/{path}")
    assert status == 200
    assert [row["from"] for row in document["data"]] == [iso(first + place * HALF_HOUR) for place in range(count)]


async def test_a_region_is_an_object_without_actual_values(client):
    status, document = await client.get("/regional/intensity/2023-01-10T10:00Z/fw48h/regionid/3")
    assert status == 200
    assert {key: document["data"][key] for key in ("regionid", "shortname")} == {
        "regionid": 3,
        "shortname": "North West England",
    }
    assert len(document["data"]["data"]) == 96
    assert document["data"]["data"][0]["intensity"] == {"forecast": 320, "index": "very high"}
    _, document = await client.get("/regional/intensity/2023-01-10T10:00Z/fw48h/postcode/rg10")
    assert document["data"]["postcode"] == "RG10"


async def test_the_mocks_regional_paths(client):
    status, document = await client.get("/intensity/2023-01-10T10:00Z/fw48h/regionid/3")
    assert (status, len(document["data"]), document["region"]["regionid"]) == (200, 96, 3)


@pytest.mark.parametrize(
    "path",
    [
        "/intensity/yesterday/fw48h",
        "/intensity/2023-01-10/fw48h",
        "/intensity/2023-02-30T12:00Z/fw48h",
        "/intensity/2023-01-10T12:00+01:00/fw48h",
        "/intensity/9999-12-31T23:59Z/fw48h",
        "/intensity/0001-01-01T00:00Z/pt24h",
        "/intensity/2023-01-10T12:00Z/fw96h",
        "/intensity/2023-01-10T12:00Z/2023-01-10T12:00Z",
        "/intensity/2023-01-10T12:00Z/2023-01-10T11:00Z",
        "/intensity/2023-01-10T12:00Z/2023-01-24T12:01Z",
        "/regional/intensity/2023-01-10T12:00Z/fw48h/regionid/0",
        "/regional/intensity/2023-01-10T12:00Z/fw48h/regionid/18",
        "/regional/intensity/2023-01-10T12:00Z/fw48h/regionid/%C2%B2",
        "/regional/intensity/2023-01-10T12:00Z/fw48h/postcode/RG10%201AA",
        "/regional/intensity/never/fw48h/postcode/RG10",
    ],
)
async def test_bad_requests_have_the_envelope(client, path):
    status, document = await client.get(path)
    assert status == 400
    assert document["error"]["code"] == "400 Bad Request"
    assert document["error"]["message"]


async def test_unknown_paths_have_the_envelope(client):
    status, document = await client.get("/intensity/2023-01-10T12:00Z/fw48h/planet/3")
    assert (status, document["error"]["code"]) == (404, "404 Not Found")
    status, document = await client.get("/generation")
    assert (status, document["error"]["code"]) == (404, "404 Not Found")
    status, document = await client.post("/intensity")
    assert (status, document["error"]["code"]) == (405, "405 Method Not Allowed")


@deterministic
@given(times, st.sampled_from(["fw24h", "fw48h", "pt24h"]), st.booleans())
def test_any_time_has_an_aligned_answer_that_reaches_it(moment, length, with_seconds):
    text = moment.strftime("%Y-%m-%dT%H:%M:%SZ" if with_seconds else "%Y-%m-%dT%H:%MZ")
    asked_s = datetime.fromisoformat(text).timestamp()
    first, count = window(text, length)
    assert count == (96 if length == "fw48h" else 48)
    start_s, end_s = first * SLOT_S, (first + count) * SLOT_S
    if length == "pt24h":
        assert end_s - SLOT_S < asked_s <= end_s
    else:
        assert start_s <= asked_s < start_s + SLOT_S
    listed = rows(Provider(recorded(trace()), clock=StillClock()).known(first, count))
    assert [datetime.fromisoformat(row["from"]).timestamp() for row in listed] == list(range(start_s, end_s, SLOT_S))
    assert all(row["to"] == after["from"] for row, after in pairwise(listed))


@deterministic
@given(times, st.timedeltas(timedelta(minutes=1), timedelta(days=14)))
def test_any_range_is_covered_by_no_more_slots_than_it_touches(start, length):
    end = start + length
    first, count = window(start.strftime("%Y-%m-%dT%H:%M:%SZ"), end.strftime("%Y-%m-%dT%H:%M:%SZ"))
    start_s, end_s = int(start.timestamp()), int(end.timestamp())
    assert first * SLOT_S <= start_s < (first + 1) * SLOT_S
    assert (first + count - 1) * SLOT_S < end_s <= (first + count) * SLOT_S


@deterministic
@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_answered_or_refused(start, end):
    try:
        window(start, end)
    except ApiError as error:
        assert error.status == 400


async def test_noise_is_the_same_for_all_and_new_in_each_slot():
    options = SimOptions(noise_pct=10.0, seed=7)
    async with simulation(options=options) as one, simulation(options=options) as other:
        path = "/intensity/2023-01-10T12:00Z/fw48h"
        first = await one.get(path)
        assert first == await other.get(path) == await one.get(path)
        exact = [300 + (24 + place) % 96 for place in range(96)]
        assert [row["intensity"]["forecast"] for row in first[1]["data"]] != exact
        one.clock.time_s += SLOT_S
        assert await one.get(path) != first


async def test_unknown_values_are_null():
    async with simulation(recorded(trace(0.5))) as client:
        _, document = await client.get("/intensity/2023-01-10T11:30Z/2023-01-10T12:30Z")
        assert [row["intensity"] for row in document["data"]] == [
            {"forecast": 323, "actual": 123, "index": "low"},
            {"forecast": None, "actual": None, "index": None},
        ]


# The mock's controls


async def test_scenarios_are_chosen_and_begin_anew(client):
    async def coming() -> list[int]:
        _, document = await client.get("/intensity/2023-01-10T13:00Z/2023-01-10T14:30Z")
        return [row["intensity"]["forecast"] for row in document["data"]]

    status, document = await client.post("/scenario", {"scenario": "low"})
    assert (status, document["status"], document["scenario"]) == (200, "scenario updated", "low")
    assert await coming() == [40, 38, 35]
    client.clock.time_s += 2 * SLOT_S
    assert await client.post("/reset") == (200, {"status": "scenario reset", "start_time": "2023-01-10T13:00Z"})
    assert await coming() == [50, 45, 40]
    await client.post("/scenario", {"scenario": "custom", "pattern": [10, 20.4], "repeat": False})
    assert await coming() == [10, 20, 20]
    _, document = await client.get("/scenario")
    assert (document["scenario"], document["pattern"], document["repeat"]) == ("custom", [10, 20.4], False)
    await client.post("/scenario", {"scenario": "recorded"})
    assert await coming() == [326, 327, 328]


async def test_a_recording_is_not_reset(client):
    status, document = await client.post("/reset")
    assert (status, document["error"]["code"]) == (409, "409 Conflict")


async def test_without_a_recording_there_is_none_to_return_to():
    async with simulation(pattern_named("peak").tape(first_slot=int(NOON_S // SLOT_S))) as client:
        _, document = await client.get("/scenario")
        assert document["scenario"] == "peak"
        assert "recorded" not in document["available_scenarios"]
        assert (await client.post("/scenario", {"scenario": "recorded"}))[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "low",
        {},
        {"scenario": "unheard-of"},
        {"scenario": 3},
        {"scenario": "low", "speed": 2},
        {"scenario": "custom"},
        {"scenario": "custom", "pattern": []},
        {"scenario": "custom", "pattern": ["1"]},
        {"scenario": "custom", "pattern": [-1]},
        {"scenario": "custom", "pattern": [1], "repeat": "yes"},
        {"scenario": "custom", "pattern": [1] * 10_001},
    ],
)
async def test_what_is_no_scenario(client, body):
    status, document = await client.post("/scenario", body)
    assert (status, document["error"]["code"]) == (400, "400 Bad Request")
    assert (await client.get("/scenario"))[1]["scenario"] == "recorded"


async def test_a_body_too_large(client):
    async with client.session.post(client.url + "/scenario", data=b"x" * 300_000) as response:
        assert response.status == 413


async def test_health_and_index(client):
    status, document = await client.get("/health")
    assert (status, document["status"], document["now"]) == (200, "ok", "2023-01-10T12:10:00.000Z")
    status, document = await client.get("/")
    assert status == 200
    assert {"rising", "carbon-scenario", "recorded"} <= set(document["available_scenarios"])


async def test_requests_are_counted_by_path_and_simulated_minute(client):
    await client.get("/intensity")
    await client.get("/intensity?again")
    client.clock.time_s += 60.0
    await client.get("/intensity")
    await client.get("/health")
    assert (await client.get("/requests"))[1] == {
        "total": 3,
        "forgotten": 0,
        "requests": [
            {"minute": "2023-01-10T12:10Z", "path": "/intensity", "count": 2},
            {"minute": "2023-01-10T12:11Z", "path": "/intensity", "count": 1},
        ],
    }
