"""Electricity Maps' shapes: hours, estimates, nulls, tokens."""

import pytest

from controlplane.carbonsim import SimOptions, recorded
from tests.carbonsim.sim import simulation, trace

BASE = "/v3/carbon-intensity"
MEASURED = {
    "updatedAt": "2023-01-10T12:00:00.000Z",
    "emissionFactorType": "lifecycle",
    "temporalGranularity": "hourly",
    "isEstimated": False,
    "estimationMethod": None,
}


async def test_latest_is_estimated_from_the_forecast(client):
    assert await client.get(f"{BASE}/latest?zone=DE&shouldUseFallbackCallerLookup=false") == (
        200,
        {
            "zone": "DE",
            "carbonIntensity": 324,
            "datetime": "2023-01-10T12:00:00.000Z",
            "updatedAt": "2023-01-10T12:00:00.000Z",
            "createdAt": "2023-01-10T12:00:00.000Z",
            "emissionFactorType": "lifecycle",
            "temporalGranularity": "hourly",
            "isEstimated": True,
            "estimationMethod": "TIME_SLICER_AVERAGE",
        },
    )


async def test_history_is_a_day_of_hours_measured_but_for_the_last(client):
    status, document = await client.get(f"{BASE}/history?zone=DE")
    assert (status, len(document["history"])) == (200, 24)
    *ended, current = document["history"]
    assert current["isEstimated"]
    assert current["datetime"] == "2023-01-10T12:00:00.000Z"
    assert not any(row["isEstimated"] for row in ended)
    assert ended[-1] == MEASURED | {
        "zone": "DE",
        "carbonIntensity": 122,  # the mean of 122 and 123, to even
        "datetime": "2023-01-10T11:00:00.000Z",
        "createdAt": "2023-01-10T11:00:00.000Z",
    }


@pytest.mark.parametrize(("query", "count"), [("", 25), ("&horizonHours=6", 7), ("&horizonHours=72", 73)])
async def test_forecast(client, query, count):
    status, document = await client.get(f"{BASE}/forecast?zone=DE{query}")
    assert status == 200
    assert document["updatedAt"] == "2023-01-10T12:00:00.000Z"
    assert len(document["forecast"]) == count
    assert document["forecast"][:2] == [
        {"carbonIntensity": 324, "datetime": "2023-01-10T12:00:00.000Z"},
        {"carbonIntensity": 326, "datetime": "2023-01-10T13:00:00.000Z"},
    ]


async def test_past_range_ends_now(client):
    status, document = await client.get(f"{BASE}/past-range?zone=DE&start=2023-01-10T10:30Z&end=2023-01-12T00:00Z")
    assert status == 200
    assert [(row["datetime"][11:13], row["isEstimated"]) for row in document["data"]] == [
        ("10", False),
        ("11", False),
        ("12", True),
    ]
    _, document = await client.get(f"{BASE}/past-range?zone=DE&start=2023-02-10T00:00Z&end=2023-02-12T00:00Z")
    assert document["data"] == []


async def test_values_can_be_null():
    async with simulation(recorded(trace(0.5))) as client:
        _, document = await client.get(f"{BASE}/latest?zone=DE")
        assert document["carbonIntensity"] is None
        _, document = await client.get(f"{BASE}/forecast?zone=DE")
        assert None in [row["carbonIntensity"] for row in document["forecast"]]


async def test_estimations_can_be_declined(client):
    _, document = await client.get(f"{BASE}/history?zone=DE&disableEstimations=true")
    assert [row["carbonIntensity"] for row in document["history"][-2:]] == [122, None]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("latest", 404),
        ("latest?zone=nowhere", 404),
        ("latest?zone=DE&emissionFactorType=guess", 400),
        ("latest?zone=DE&temporalGranularity=5_minutes", 400),
        ("forecast?zone=DE&horizonHours=25", 400),
        ("past-range?zone=DE", 400),
        ("past-range?zone=DE&start=x&end=y", 400),
        ("past-range?zone=DE&start=2023-01-10T00:00Z&end=2023-01-10T00:00Z", 400),
        ("past-range?zone=DE&start=2023-01-01T00:00Z&end=2023-01-12T00:00Z", 400),
        ("past-range?zone=DE&start=0001-01-01T00:00Z&end=2023-01-12T00:00Z", 400),
        ("future?zone=DE", 404),
    ],
)
async def test_bad_requests(client, query, status):
    found, document = await client.get(f"{BASE}/{query}")
    assert found == status
    assert isinstance(document["error"], str)


async def test_a_token_is_asked_for_where_there_is_one():
    async with simulation(options=SimOptions(token="s3cret")) as client:
        for headers in ({}, {"auth-token": "guess"}, {"auth-token": "s3cre\u00e9"}):
            assert await client.get(f"{BASE}/latest?zone=DE", headers=headers) == (
                401,
                {"error": "Invalid auth-token"},
            )
        status, _ = await client.get(f"{BASE}/latest?zone=DE", headers={"auth-token": "s3cret"})
        assert status == 200
        assert (await client.get("/intensity"))[0] == 200


def test_a_token_is_not_shown():
    assert "s3cret" not in repr(SimOptions(token="s3cret"))
