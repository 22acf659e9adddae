"""The GB source over real HTTP: documented shapes, what is asked for, and rows of every ugly kind."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from controlplane.carbon import CarbonFeed, GbSource, PermanentSourceError, TemporarySourceError
from controlplane.carbon.errors import OtherNumbersError
from tests.carbon.carbon_fakes import HALF_HOUR, SLOT, START_S, FakeClock, answer, iso, row, rows


async def fetched(provider, document, *, now_s=START_S, **place):
    provider.respond = lambda path: answer({"data": []} if "pt24h" in path else document)
    source = GbSource(base_url=provider.url, **place)
    try:
        return await source.fetch(now_s=now_s)
    finally:
        await source.aclose()


def at(series, moment: datetime) -> tuple[float, float]:
    index = series.index_at(moment.timestamp())
    return series.forecast_g_per_kwh[index], series.actual_g_per_kwh[index]


async def test_national(provider):
    listed = [row(SLOT - HALF_HOUR, forecast=266, actual=263), *rows(SLOT, 90)]
    series = await fetched(provider, {"data": listed})
    assert provider.paths == ["/intensity/2023-01-10T10:00Z/fw48h", "/intensity/2023-01-10T12:00Z/pt24h"]
    assert (series.source, series.zone, series.kind, series.basis) == ("gb", "GB", "average", "generation")
    assert series.licence.startswith("CC BY 4.0")
    assert (series.slot_s, series.issued_at_s) == (1800.0, START_S)
    assert at(series, SLOT - HALF_HOUR) == (266.0, 263.0)
    assert series.forecast_g_per_kwh[1:].tolist() == [100.0 + index for index in range(90)]
    assert np.isnan(series.actual_g_per_kwh[1:]).all()
    assert series.notes == ()


@pytest.mark.parametrize(
    ("place", "zone", "end"),
    [
        ({"region_id": 13}, "GB-region-13", "regionid/13"),
        ({"postcode": " rg10 "}, "GB-postcode-RG10", "postcode/RG10"),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
async def test_regional_shapes(provider, place, zone, end, listed):
    region = {"regionid": 13, "shortname": "London", "postcode": "RG10", "data": rows(SLOT, 96)}
    series = await fetched(provider, {"data": [region] if listed else region}, **place)
    assert provider.paths == [f"/regional/intensity/2023-01-10T12:00Z/fw48h/{end}"]
    assert series.zone == zone
    assert series.forecast_g_per_kwh.size == 96
    assert np.isnan(series.actual_g_per_kwh).all()


async def test_a_slot_that_ends_where_the_span_begins_is_left_out_without_a_note(provider):
    listed = [row(SLOT - 5 * HALF_HOUR, forecast=1, actual=1), *rows(SLOT, 90)]
    series = await fetched(provider, {"data": listed})
    assert series.start_s == SLOT.timestamp()
    assert series.notes == ()


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(
    ("place", "said", "words"),
    [
        ({"region_id": 13}, {"regionid": 7}, "asked for region 13, the answer is for 7"),
        ({"region_id": 13}, {"regionid": None}, "asked for region 13"),
        ({"region_id": 1}, {"regionid": True}, "asked for region 1, the answer is for True"),
        ({"region_id": 13}, {"postcode": "RG10"}, "asked for region 13"),
        ({"postcode": "RG10"}, {"regionid": 12, "postcode": "SW1"}, "asked for postcode RG10, the answer is for SW1"),
        ({}, {"regionid": 7}, "asked for all of Great Britain, the answer is for region 7"),
    ],
)
async def test_an_answer_for_another_place_is_refused_whole(provider, place, said, words, listed):
    region = {**said, "data": rows(SLOT, 96)}
    with pytest.raises(OtherNumbersError, match=words):
        await fetched(provider, {"data": [region] if listed else region}, **place)


async def test_national_rows_are_no_answer_for_a_region(provider):
    with pytest.raises(OtherNumbersError, match="asked for region 13"):
        await fetched(provider, {"data": rows(SLOT, 96)}, region_id=13)


async def test_a_postcode_need_not_be_repeated_and_may_be_written_otherwise(provider):
    for said in ({"regionid": 12}, {"regionid": 12, "postcode": " rg10"}):
        series = await fetched(provider, {"data": {**said, "data": rows(SLOT, 96)}}, postcode="RG10")
        assert series.zone == "GB-postcode-RG10"


async def test_only_what_was_asked_for_is_taken(provider):
    """The look-back is two hours: a longer past in the same answer rewrites nothing that is known."""
    good = [row(SLOT + index * HALF_HOUR, forecast=200, actual=210 if index < 0 else None) for index in range(-4, 92)]
    day = [row(SLOT + index * HALF_HOUR, forecast=200, actual=210) for index in range(-48, 0)]
    provider.respond = lambda path: answer({"data": day if "pt24h" in path else good})
    clock = FakeClock()
    feed = CarbonFeed(GbSource(base_url=provider.url), clock=clock)
    await feed.refresh()
    clock.time_s += 1800
    ugly = [row(SLOT + index * HALF_HOUR, forecast=4999, actual=5000) for index in range(-48, 300)]
    provider.respond = lambda path: answer({"data": ugly})
    await feed.refresh()
    await feed.aclose()
    assert sum(actual == 5000.0 for _, actual, _ in feed.history.slots) == 4
    assert sum(actual == 210.0 for _, actual, _ in feed.history.slots) == 45
    assert any("row was not asked for" in note for note in feed.series.notes)
    assert feed.series.end_s <= clock.time_s + 47 * 3600


@pytest.mark.parametrize(
    "place",
    [
        {"region_id": 0},
        {"region_id": 18},
        {"postcode": ""},
        {"postcode": "RG10 9NY"},
        {"postcode": "../x"},
        {"postcode": "RG10/"},
        {"region_id": 3, "postcode": "RG10"},
        {"base_url": "ftp://example.org"},
        {"base_url": "nonsense"},
    ],
)
def test_wrong_places_are_refused_at_once(place):
    with pytest.raises(ValueError, match=r"region|postcode|URL"):
        GbSource(**place)


NOW = row(SLOT, forecast=200)
NEXT = SLOT + HALF_HOUR
LATER = row(SLOT + 2 * HALF_HOUR, forecast=300)


@pytest.mark.parametrize(
    ("ugly", "note"),
    [
        (row(NEXT, forecast=None), "slot without a value"),
        (row(NEXT, forecast="NaN"), "value is not a number"),
        (row(NEXT, forecast="266"), "value is not a number"),
        (row(NEXT, forecast=True), "value is not a number"),
        (row(NEXT, forecast=[1]), "value is not a number"),
        (row(NEXT, forecast=float("nan")), "value is not within"),
        (row(NEXT, forecast=float("inf")), "value is not within"),
        (row(NEXT, forecast=-1), "value is not within"),
        (row(NEXT, forecast=5000.1), "value is not within"),
        (row(NEXT, forecast=10**400), "value is not within"),
        (row(NEXT, length=timedelta(minutes=15)), "row is not half an hour"),
        (row(NEXT, length=timedelta(hours=1)), "row is not half an hour"),
        (row(NEXT, length=-HALF_HOUR), "row is not half an hour"),
        (row(NEXT + timedelta(minutes=1)), "row is not half an hour"),
        ({**row(NEXT), "from": "yesterday"}, "row has no readable time"),
        ({**row(NEXT), "from": "2023-01-10T12:30"}, "row has no readable time"),
        ({**row(NEXT), "to": None}, "row has no readable time"),
        ({**row(NEXT), "from": 1673353800}, "row has no readable time"),
        ({"intensity": {"forecast": 1}}, "row has no readable time"),
        ({"from": iso(NEXT), "to": iso(NEXT + HALF_HOUR)}, "row has no intensity"),
        ({**row(NEXT), "intensity": 266}, "row has no intensity"),
        (None, "row is no object"),
        ("row", "row is no object"),
        ([], "row is no object"),
    ],
)
async def test_a_bad_row_is_dropped_and_noted(provider, ugly, note):
    series = await fetched(provider, {"data": [NOW, ugly, LATER]})
    assert series.forecast_g_per_kwh[[0, 2]].tolist() == [200.0, 300.0]
    assert np.isnan(at(series, NEXT)).all()
    assert any(note in text for text in series.notes)


async def test_a_bad_value_does_not_take_the_good_one_with_it(provider):
    series = await fetched(provider, {"data": [row(SLOT - HALF_HOUR, forecast=-5, actual=210), NOW]})
    assert np.isnan(series.forecast_g_per_kwh[0])
    assert series.actual_g_per_kwh[0] == 210.0


async def test_the_actual_value_of_a_slot_that_has_not_ended_is_a_forecast(provider):
    series = await fetched(provider, {"data": [row(SLOT, forecast=None, actual=210), row(NEXT, forecast=5, actual=4)]})
    assert series.forecast_g_per_kwh.tolist() == [210.0, 5.0]
    assert np.isnan(series.actual_g_per_kwh).all()


async def test_order_does_not_matter_and_the_later_of_two_rows_wins(provider):
    listed = [LATER, row(NEXT, forecast=1), NOW, row(NEXT, forecast=250, actual=4), row(NEXT, forecast=None)]
    series = await fetched(provider, {"data": listed})
    assert series.forecast_g_per_kwh.tolist() == [200.0, 250.0, 300.0]
    assert series.notes == ("1 x row repeats a slot",)


async def test_rows_far_away_make_no_endless_grid(provider):
    far = [row(datetime(9999, 1, 1, tzinfo=SLOT.tzinfo)), row(datetime(1970, 1, 1, tzinfo=SLOT.tzinfo))]
    series = await fetched(provider, {"data": [*far, NOW]})
    assert series.forecast_g_per_kwh.size == 1


@pytest.mark.parametrize(
    ("document", "error", "words"),
    [
        ({"data": []}, TemporarySourceError, "no value for 2023-01-10T12:00Z"),
        ({"data": [LATER]}, TemporarySourceError, "no value for"),
        ({"data": [row(SLOT, forecast=None)]}, TemporarySourceError, "no value for"),
        ({"data": None}, PermanentSourceError, "no list of rows"),
        ({"data": {"data": None}}, PermanentSourceError, "no list of rows"),
        ({"data": [{"data": {}}]}, PermanentSourceError, "no list of rows"),
        ({"data": [{"data": []}, {"data": []}]}, PermanentSourceError, "2 regions"),
        ({}, PermanentSourceError, "no list of rows"),
        ([], PermanentSourceError, "not a JSON object"),
        (None, PermanentSourceError, "not a JSON object"),
        ({"data": [NOW] * 10_001}, PermanentSourceError, "more than 10000 rows"),
        ({"error": {"code": "400 Bad Request", "message": "no\nsuch"}}, PermanentSourceError, r"400 .*no\\nsuch"),
        ({"error": {"code": "500 Internal", "message": "sorry"}}, TemporarySourceError, "500 Internal: sorry"),
        ({"error": "down"}, PermanentSourceError, "down"),
        ({"error": {}}, PermanentSourceError, "error"),
    ],
)
async def test_answers_without_a_usable_series(provider, document, error, words):
    with pytest.raises(error, match=words):
        await fetched(provider, document)


def as_of(now_s: float, path: str) -> bytes:
    """Answer like the real one: actual values for slots that have ended by now."""
    _, _, start, span = path.split("/")[:4]
    first = datetime.fromisoformat(start)
    listed = rows(first - timedelta(hours=24), 48) if span == "pt24h" else rows(first, 96)
    for item in listed:
        if datetime.fromisoformat(item["to"]).timestamp() <= now_s:
            item["intensity"]["actual"] = 50
    return answer({"data": listed})


async def test_a_simulated_day_asks_once_a_slot_and_once_for_the_day_before(provider):
    clock = FakeClock()
    feed = CarbonFeed(GbSource(base_url=provider.url), clock=clock)
    provider.respond = lambda path: as_of(clock.now_s(), path)
    while clock.time_s < START_S + 86_400:
        await feed.refresh()
        assert feed.status(clock.now_s()).state == "fresh"
        assert np.isfinite(feed.series.actual_g_per_kwh).sum() == 48
        clock.time_s += 60.0
    await feed.aclose()
    assert len(provider.paths) == 49
    assert sum("pt24h" in path for path in provider.paths) == 1


async def test_after_an_outage_the_gap_is_asked_for(provider):
    provider.respond = lambda _: answer({"data": rows(SLOT, 96)})
    source = GbSource(base_url=provider.url)
    for hours in (0, 1, 5):
        await source.fetch(now_s=START_S + hours * 3600)
    await source.aclose()
    assert [path.rpartition("/")[2] for path in provider.paths] == ["fw48h", "pt24h", "fw48h", "fw48h", "pt24h"]


async def test_missing_past_values_are_a_note_and_asked_for_again(provider):
    def respond(path: str) -> bytes:
        return answer(b"", status=503) if "pt24h" in path else answer({"data": rows(SLOT, 96)})

    provider.respond = respond
    source = GbSource(base_url=provider.url)
    for hours in (0, 1):
        series = await source.fetch(now_s=START_S + hours * 3600)
        assert any("past actual values are missing" in note for note in series.notes)
    await source.aclose()
    assert len(provider.paths) == 4
