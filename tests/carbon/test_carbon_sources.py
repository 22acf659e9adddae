"""What is particular to each provider: what it is asked, what its answers mean, and what it does not have."""

from dataclasses import replace
from urllib.parse import unquote

import numpy as np
import pytest

from controlplane.carbon import (
    CarbonAwareSdkSource,
    CarbonFeed,
    ElectricityMapsSource,
    EnergyChartsSource,
    PermanentSourceError,
    SecretFile,
    SecretVariable,
    TemporarySourceError,
    WattTimeSource,
)
from controlplane.carbon.watttime import G_PER_KWH
from tests.carbon.carbon_fakes import START_S, FakeClock, answer
from tests.carbon.cases import BEARER, HOUR_S, PASSWORD, TOKEN, USERNAME, credentials, iso, subject

HOUR = int(START_S // HOUR_S) * HOUR_S


@pytest.fixture(autouse=True)
def in_environment():
    with credentials():
        yield


def serve(provider, name, change=lambda request, document: document, **told):
    """Let the provider answer as a healthy one of this name, but for what `change` makes of its documents."""
    about = subject(name)

    def respond(request):
        if request.path == "/login":
            return answer({"token": BEARER})
        changed = change(request, about.document(request, replace(about.told(START_S), **told)))
        return changed if isinstance(changed, bytes) else answer(changed)

    provider.respond_to = respond
    return about.make(provider.url, 30.0)


async def fetched(source, now_s=START_S):
    try:
        return await source.fetch(now_s=now_s)
    finally:
        await source.aclose()


def value_at(series, time_s, column="forecast"):
    return float(getattr(series, f"{column}_g_per_kwh")[series.index_at(time_s)])


# Electricity Maps


async def test_electricity_maps_is_asked_for_one_zone_with_a_token_and_for_no_other_place(provider):
    series = await fetched(serve(provider, "electricity-maps"))
    assert [request.path.rpartition("/")[2] for request in provider.requests] == ["forecast", "history"]
    for request in provider.requests:
        assert request.headers["auth-token"] == TOKEN
        assert request.query == {
            "zone": "DE",
            "emissionFactorType": "lifecycle",
            "shouldUseFallbackCallerLookup": "false",
        }
    assert series.issued_at_s == START_S - 60
    assert series.notes == ("24 x estimated by the provider (TIME_SLICER)",)


async def test_direct_factors_are_another_basis(provider):
    serve(provider, "electricity-maps", unit="direct")
    source = ElectricityMapsSource(
        zone="DE", token=SecretVariable("CASES_TOKEN"), basis="direct", base_url=provider.url
    )
    assert (await fetched(source)).basis == "direct"
    assert {request.query["emissionFactorType"] for request in provider.requests} == {"direct"}


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_without_a_forecast_the_last_day_and_the_running_hour_are_known(provider, status):
    def change(request, document):
        if request.path.endswith("/forecast"):
            return answer(status=status)
        return {**document, "carbonIntensity": 77, "datetime": iso(HOUR)} if "latest" in request.path else document

    series = await fetched(serve(provider, "electricity-maps", change))
    assert value_at(series, START_S) == 77.0
    assert np.isfinite(series.forecast_g_per_kwh).sum() == 1
    assert np.isfinite(series.actual_g_per_kwh).sum() == 24
    assert any(f"HTTP {status}" in note and "once a day" in note for note in series.notes)


async def test_where_history_knows_the_running_hour_the_latest_is_not_asked_for(provider):
    def change(request, document):
        return answer(status=403) if request.path.endswith("/forecast") else document

    about = subject("electricity-maps")
    known = [*about.told(START_S).actual, (HOUR, 42)]
    series = await fetched(serve(provider, "electricity-maps", change, actual=known))
    assert [request.path.rpartition("/")[2] for request in provider.requests] == ["forecast", "history"]
    assert value_at(series, START_S) == 42.0
    assert np.isnan(value_at(series, START_S, "actual"))


async def test_a_wrong_token_does_not_cost_the_forecast_of_a_day(provider, monkeypatch):
    good = {"token": "other"}

    def change(request, document):
        return document if request.headers["auth-token"] == good["token"] else answer(status=401)

    source = serve(provider, "electricity-maps", change)
    with pytest.raises(PermanentSourceError, match="HTTP 401"):
        await source.fetch(now_s=START_S)
    monkeypatch.setenv("CASES_TOKEN", "other")
    assert np.isfinite((await fetched(source)).forecast_g_per_kwh).sum() == 48


@pytest.mark.parametrize(
    ("field", "value"), [("zone", "FR"), ("emissionFactorType", "direct"), ("temporalGranularity", "15_minutes")]
)
async def test_one_row_of_other_numbers_is_not_mixed_in(provider, field, value):
    def change(request, document):
        for row in document.get("history", []):
            row[field] = value
        return document

    with pytest.raises(PermanentSourceError, match=f"the answer is for {value}"):
        await fetched(serve(provider, "electricity-maps", change))


async def test_an_answer_without_a_zone_is_refused(provider):
    def change(request, document):
        return {key: value for key, value in document.items() if key != "zone"}

    with pytest.raises(PermanentSourceError, match="asked for zone DE, the answer is for None"):
        await fetched(serve(provider, "electricity-maps", change))


async def test_a_history_that_fails_is_a_note(provider):
    def change(request, document):
        return answer(status=500) if request.path.endswith("/history") else document

    series = await fetched(serve(provider, "electricity-maps", change))
    assert np.isfinite(series.forecast_g_per_kwh).sum() == 48
    assert any("past actual values are missing" in note for note in series.notes)


async def test_a_new_basis_begins_a_fresh_series(provider):
    """The same holds for every source: what is remembered is of one meaning."""

    def change(request, document):
        document["meta"]["data_point_period_seconds"] = period[0]
        document["data"] = [row for row in document["data"] if row["point_time"].endswith(("00:00Z", "30:00Z"))]
        return document

    source = serve(provider, "watttime", lambda request, document: document)
    await source.fetch(now_s=START_S)
    period = [1800]
    provider.respond_to = lambda request, before=provider.respond_to: before(request)
    changed = serve(provider, "watttime", change)
    await changed.aclose()
    series = await fetched(source)
    assert any("began afresh: before, these were marginal, direct, slots of 300 s" in note for note in series.notes)


# WattTime


async def test_watttime_logs_in_and_asks_for_the_marginal_signal(provider):
    series = await fetched(serve(provider, "watttime"))
    login, forecast, historical = provider.requests
    assert login.headers["authorization"] == "Basic YWRhOnB3LTc3YzE="
    assert forecast.headers["authorization"] == historical.headers["authorization"] == f"Bearer {BEARER}"
    assert forecast.query == {"region": "CAISO_NORTH", "signal_type": "co2_moer", "horizon_hours": "72"}
    assert historical.query["start"] == iso(START_S - 86_400).replace(":00Z", "Z")
    assert series.issued_at_s == START_S
    assert "averaged from 300 s to 1800 s" in series.notes


async def test_watttime_pounds_are_grams_and_five_minutes_are_averaged(provider):
    def change(request, document):
        for row in document["data"]:
            row["value"] = 1000 if row["point_time"].endswith("00:00Z") else 400
        return document

    series = await fetched(serve(provider, "watttime", change))
    assert value_at(series, HOUR - HOUR_S, "actual") == pytest.approx((1000 + 5 * 400) / 6 * G_PER_KWH)
    assert value_at(series, HOUR + HOUR_S) == pytest.approx((1000 + 5 * 400) / 6 * 0.45359237)
    assert value_at(series, HOUR + 1800) == pytest.approx(400 * 0.45359237)


async def test_a_slot_is_observed_only_where_all_of_it_was(provider):
    missing = iso(HOUR - HOUR_S + 300)

    def change(request, document):
        document["data"] = [row for row in document["data"] if row["point_time"] != missing]
        return document

    series = await fetched(serve(provider, "watttime", change))
    assert np.isnan(value_at(series, HOUR - HOUR_S, "actual"))
    assert np.isfinite(value_at(series, HOUR - 1800, "actual"))


async def test_watttime_keeps_its_own_slots_where_that_is_asked_for(provider):
    serve(provider, "watttime")
    source = WattTimeSource(
        region="CAISO_NORTH",
        username=SecretVariable("CASES_USERNAME"),
        password=SecretVariable("CASES_PASSWORD"),
        slot_s=300,
        base_url=provider.url,
    )
    series = await fetched(source)
    assert (series.slot_s, source.poll_s, series.forecast_g_per_kwh.size) == (300.0, 300.0, 288 + 864)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("units", "percentile"),
        ("units", "kg_co2_per_mwh"),
        ("units", None),
        ("signal_type", "co2_aoer"),
        ("region", "ERCOT"),
        ("data_point_period_seconds", 7),
        ("data_point_period_seconds", "300"),
        ("data_point_period_seconds", None),
    ],
)
@pytest.mark.parametrize("what", ["forecast", "historical"])
async def test_watttime_numbers_of_another_meaning_are_refused(provider, field, value, what):
    def change(request, document):
        if request.path.endswith(what):
            document["meta"][field] = value
        return document

    source = serve(provider, "watttime", change)
    if field.startswith("data_point") and what == "historical":
        assert any("past actual values are missing" in note for note in (await fetched(source)).notes)
        return
    with pytest.raises(PermanentSourceError, match=r"the answer is for|not understood"):
        await fetched(source)


async def test_an_expired_token_costs_one_login_and_no_loop(provider):
    refused = {"bearer": 0}
    about = subject("watttime")

    def respond(request):
        if request.path == "/login":
            return answer({"token": f"t{len(provider.requests)}"})
        if refused["bearer"] > 0:
            refused["bearer"] -= 1
            return answer(status=401)
        return answer(about.document(request, about.told(START_S)))

    provider.respond_to = respond
    source = about.make(provider.url, 30.0)
    await source.fetch(now_s=START_S)
    before = len(provider.requests)
    refused["bearer"] = 1
    await source.fetch(now_s=START_S + 60)
    assert [request.path for request in provider.requests[before:]] == [
        "/v3/forecast",
        "/login",
        "/v3/forecast",
        "/v3/historical",
    ]
    before, refused["bearer"] = len(provider.requests), 9
    with pytest.raises(PermanentSourceError, match="HTTP 401"):
        await fetched(source, START_S + 120)
    assert [request.path for request in provider.requests[before:]] == ["/v3/forecast", "/login", "/v3/forecast"]


async def test_a_new_token_that_is_refused_is_not_followed_by_another_login(provider):
    source = serve(provider, "watttime", lambda request, document: answer(status=401))
    with pytest.raises(PermanentSourceError, match="HTTP 401"):
        await fetched(source)
    assert [request.path for request in provider.requests] == ["/login", "/v3/forecast"]


async def test_the_password_is_read_again_at_every_login(provider, tmp_path):
    serve(provider, "watttime")
    for name, text in (("user", f" {USERNAME}\n"), ("password", PASSWORD)):
        (tmp_path / name).write_text(text)
    source = WattTimeSource(
        region="CAISO_NORTH",
        username=SecretFile(tmp_path / "user"),
        password=SecretFile(tmp_path / "password"),
        base_url=provider.url,
    )
    await source.fetch(now_s=START_S)
    (tmp_path / "password").write_text("changed")
    await fetched(source, START_S + 1800)
    logins = [request.headers["authorization"] for request in provider.requests if request.path == "/login"]
    assert logins == ["Basic YWRhOnB3LTc3YzE=", "Basic YWRhOmNoYW5nZWQ="]


@pytest.mark.parametrize("document", [{}, {"token": None}, {"token": ""}, {"token": "a\r\nX: y"}, [], {"token": 3}])
async def test_a_login_without_a_token_is_an_error(provider, document):
    provider.respond_to = lambda request: answer(document)
    with pytest.raises(PermanentSourceError, match="the login gave no token"):
        await fetched(subject("watttime").make(provider.url, 30.0))


async def test_watttime_warnings_and_imputed_values_are_notes(provider):
    def change(request, document):
        document["meta"]["warnings"] = [{"type": "X", "message": "old\nmodel"}]
        for row in document["data"][:5]:
            row["imputed_data_used"] = True
        return document

    notes = (await fetched(serve(provider, "watttime", change))).notes
    assert "the provider warns: old\\nmodel" in notes
    assert "5 x estimated by the provider (imputed data)" in notes


# Carbon Aware SDK


async def test_the_sdk_is_asked_for_one_location_and_no_window(provider):
    series = await fetched(serve(provider, "carbon-aware-sdk"))
    forecast, past = provider.requests
    assert (forecast.path, forecast.query) == ("/emissions/forecasts/current", {"location": "northeurope"})
    assert (past.path, past.query["location"]) == ("/emissions/bylocation", "northeurope")
    assert unquote(past.query["time"]) == "2023-01-09T12:10Z"
    assert series.issued_at_s == START_S
    assert (series.kind, series.basis) == ("marginal", "direct")


async def test_without_a_forecast_the_sdk_still_tells_the_past(provider):
    def change(request, document):
        return answer(status=501) if "forecasts" in request.path else document

    series = await fetched(serve(provider, "carbon-aware-sdk", change))
    assert np.isnan(series.forecast_g_per_kwh).all()
    assert np.isfinite(series.actual_g_per_kwh).sum() == 47  # the day before begins within a slot
    assert any("HTTP 501" in note for note in series.notes)


async def test_overlapping_windows_are_not_averaged_again(provider):
    """With a window size set in front of the SDK a point begins every five minutes and lasts for half an hour."""

    def change(request, document):
        if "forecasts" in request.path:
            for point in document[0]["forecastData"]:
                point["duration"] = 30
        return answer(status=204) if "bylocation" in request.path else document

    forecast = [(HOUR + 300 * index, 100 + index) for index in range(48)]
    series = await fetched(serve(provider, "carbon-aware-sdk", change, forecast=forecast))
    assert series.slot_s == 1800.0
    assert series.forecast_g_per_kwh.tolist() == [100.0, 106.0, 112.0, 118.0, 124.0, 130.0, 136.0, 142.0]
    assert any("begins no slot of 1800 s" in note for note in series.notes)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"location": "westeurope"}, PermanentSourceError, "asked for location northeurope"),
        ({"forecastData": None}, PermanentSourceError, "no list of rows"),
        ({"forecastData": []}, TemporarySourceError, "no forecast"),
        ({"forecastData": [{"duration": 5}, {"duration": 10}]}, PermanentSourceError, "different lengths"),
        ({"forecastData": [{"duration": 7}]}, PermanentSourceError, "not understood"),
    ],
)
async def test_sdk_forecasts_that_are_not_understood(provider, changes, error, words):
    def change(request, document):
        return [{**document[0], **changes}] if "forecasts" in request.path else document

    with pytest.raises(error, match=words):
        await fetched(serve(provider, "carbon-aware-sdk", change))


async def test_two_forecasts_are_not_mixed(provider):
    def change(request, document):
        return document * 2 if "forecasts" in request.path else document

    with pytest.raises(PermanentSourceError, match="2 forecasts"):
        await fetched(serve(provider, "carbon-aware-sdk", change))


async def test_sdk_rows_that_name_no_duration_keep_their_distance(provider):
    def change(request, document):
        for row in document[0]["forecastData"] if "forecasts" in request.path else document:
            del row["duration"]
        return document

    series = await fetched(serve(provider, "carbon-aware-sdk", change))
    assert series.slot_s == 1800.0
    assert np.isfinite(series.actual_g_per_kwh).sum() == 47  # the day before begins within a slot


async def test_past_slots_of_another_length_are_left_out(provider):
    def change(request, document):
        if "bylocation" in request.path:
            return [{**row, "duration": "01:00:00"} for row in document if row["time"].endswith("00:00Z")]
        return document

    series = await fetched(serve(provider, "carbon-aware-sdk", change))
    assert np.isnan(series.actual_g_per_kwh).all()
    assert "past actual values are missing: their slots are 3600 s" in series.notes


# Energy-Charts


async def test_energy_charts_is_asked_once_for_a_country(provider):
    series = await fetched(serve(provider, "energy-charts"))
    assert [(request.path, request.query) for request in provider.requests] == [("/co2eq", {"country": "de"})]
    assert series.slot_s == 900.0
    assert series.notes == ()


async def test_a_country_of_hours_has_hours(provider):
    def change(request, document):
        keep = [index for index, at_s in enumerate(document["unix_seconds"]) if at_s % 3600 == 0]
        return {name: [document[name][index] for index in keep] for name in ("unix_seconds", "co2eq", "co2eq_forecast")}

    series = await fetched(serve(provider, "energy-charts", change), now_s=HOUR + 60)
    assert series.slot_s == 3600.0
    assert series.notes == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"co2eq": [1, 2]}, "2 values of co2eq for"),
        ({"co2eq_forecast": None}, "no list of rows"),
        ({"unix_seconds": {"a": 1}}, "no list of rows"),
        ({"unix_seconds": [1] * 10_001}, "more than 10000 rows"),
    ],
)
async def test_energy_charts_shapes_that_are_not_understood(provider, changes, words):
    with pytest.raises(PermanentSourceError, match=words):
        await fetched(serve(provider, "energy-charts", lambda request, document: {**document, **changes}))


@pytest.mark.parametrize("time", [None, True, "1673352000", -1, float("nan"), 1e300, 10**400])
async def test_energy_charts_times_of_every_kind(provider, time):
    def change(request, document):
        document["unix_seconds"][3] = time
        return document

    series = await fetched(serve(provider, "energy-charts", change))
    assert any("row has no readable time" in note for note in series.notes)
    assert np.isnan(series.actual_g_per_kwh[3])


async def test_a_deprecated_address_is_a_note(provider):
    series = await fetched(serve(provider, "energy-charts", lambda _, document: {**document, "deprecated": True}))
    assert series.notes == ("the provider calls this address deprecated",)


# All of them


async def test_what_was_foreseen_of_past_slots_stays_beside_what_came(provider):
    source = serve(provider, "energy-charts")
    clock = FakeClock()
    feed = CarbonFeed(source, clock=clock)
    about = subject("energy-charts")
    provider.respond_to = lambda request: answer(about.document(request, about.told(clock.now_s())))
    for _ in range(9):
        await feed.refresh()
        clock.time_s += 900.0
    await feed.aclose()
    before = feed.series.index_at(clock.now_s() - 1800)
    assert np.isfinite(feed.series.forecast_g_per_kwh[before])
    assert np.isfinite(feed.series.actual_g_per_kwh[before])


async def test_an_issue_ahead_of_our_clock_is_now(provider):
    def change(request, document):
        document["updatedAt"] = iso(START_S + 7200)
        return document

    assert (await fetched(serve(provider, "electricity-maps", change))).issued_at_s == START_S


def test_sources_refuse_to_send_credentials_in_the_clear():
    with pytest.raises(ValueError, match="https"):
        ElectricityMapsSource(zone="DE", token=SecretVariable("X"), base_url="http://example.org")
    CarbonAwareSdkSource(location="x", kind="average", basis="direct", base_url="http://sdk.example.org")
    with pytest.raises(ValueError, match="URL"):
        EnergyChartsSource(country="de", base_url="nonsense")
