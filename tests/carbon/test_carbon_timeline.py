"""Answers laid over each other: on one grid, of one meaning, whatever they hold."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.carbon.grid import MAX_G_PER_KWH, Remarks, Row, epoch_s, issued_s, readings
from controlplane.carbon.timeline import FUTURE_S, PAST_S, Meaning, Timeline
from tests.carbon.carbon_fakes import START_S

PERIOD_S = 300
PRESENT_S = int(START_S // PERIOD_S) * PERIOD_S
MEANING = Meaning(source="x", zone="z", kind="marginal", basis="direct", licence="", period_s=PERIOD_S)


def laid(timeline, rows, *, meaning=MEANING, now_s=START_S, **given):
    return timeline.series(rows, meaning=meaning, now_s=now_s, remarks=Remarks(), **given)


def forecast(*values, start_s=PRESENT_S):
    return {start_s + index * PERIOD_S: Row(forecast_g_per_kwh=value) for index, value in enumerate(values)}


def test_without_a_row_there_is_no_series():
    assert laid(Timeline(), {}) is None
    assert laid(Timeline(), forecast(1.0, start_s=PRESENT_S + FUTURE_S)) is None


def test_what_was_foreseen_is_remembered_for_slots_of_which_an_answer_tells_nothing():
    timeline = Timeline()
    laid(timeline, forecast(*range(10)))
    later = laid(timeline, forecast(50.0, start_s=PRESENT_S + 3 * PERIOD_S), now_s=START_S + 3 * PERIOD_S)
    assert later.forecast_g_per_kwh.tolist() == [0.0, 1.0, 2.0, 50.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    assert later.foreseen_earlier.tolist() == [True] * 3 + [False] + [True] * 6
    assert later.notes == ("6 x slot to come is as foreseen by an earlier answer",)
    assert later.renews(START_S + 3 * PERIOD_S)
    assert not later.renews(START_S + 4 * PERIOD_S)


def test_what_was_foreseen_is_not_kept_for_longer_than_a_day_however_many_answers_come():
    timeline = Timeline()
    laid(timeline, forecast(*[7.0] * (FUTURE_S // PERIOD_S)))
    for hour in range(26):
        now_s = START_S + 3600 * hour
        series = laid(timeline, forecast(1.0, start_s=int(now_s // PERIOD_S) * PERIOD_S), now_s=now_s)
        assert np.isfinite(series.forecast_g_per_kwh[series.index_at(now_s) + 1 :]).any() == (hour <= 24)


def test_what_is_kept_counts_from_its_issue_and_not_when_a_clock_was_days_ahead():
    timeline = Timeline()
    laid(timeline, forecast(1.0, 2.0), issued_at_s=START_S - 86_400)
    assert laid(timeline, forecast(3.0), now_s=START_S + 60).forecast_g_per_kwh.tolist() == [3.0]
    ahead = Timeline()
    laid(ahead, forecast(1.0, 2.0, start_s=PRESENT_S + 172_800), now_s=START_S + 172_800)
    assert laid(ahead, forecast(3.0)).forecast_g_per_kwh.tolist() == [3.0]


def test_an_answer_that_tells_nothing_is_none_and_takes_nothing_away():
    timeline = Timeline(slot_s=1800)
    laid(timeline, forecast(*range(12)))
    assert laid(timeline, forecast(np.nan)) is None
    assert laid(timeline, {}) is None
    partial = laid(timeline, forecast(8.0, start_s=PRESENT_S + 3600))
    assert not partial.renews(START_S)
    assert partial.renews(START_S + 3600)
    assert np.isfinite(partial.newly_foreseen()).sum() == 1


def test_an_estimate_of_the_running_slot_is_newer_than_what_was_foreseen_of_it():
    timeline = Timeline()
    laid(timeline, forecast(1.0, 2.0))
    series = laid(timeline, {PRESENT_S: Row(actual_g_per_kwh=9.0)})
    assert series.forecast_g_per_kwh.tolist() == [9.0, 2.0]
    assert series.renews(START_S)


def test_an_estimate_of_the_running_slot_never_becomes_an_actual_value():
    timeline = Timeline()
    running = laid(timeline, {PRESENT_S: Row(actual_g_per_kwh=7.0)})
    assert running.forecast_g_per_kwh.tolist() == [7.0]
    assert np.isnan(running.actual_g_per_kwh).all()
    assert timeline.actual_until_s() is None
    later = laid(timeline, forecast(1.0, start_s=PRESENT_S + PERIOD_S), now_s=START_S + PERIOD_S)
    assert later.forecast_g_per_kwh.tolist() == [1.0]


@pytest.mark.parametrize("change", [{"kind": "average"}, {"basis": "life-cycle"}, {"period_s": 600}])
def test_another_meaning_begins_afresh(change):
    timeline = Timeline()
    laid(timeline, forecast(1.0, start_s=PRESENT_S - 1200))
    series = laid(timeline, forecast(2.0, start_s=PRESENT_S - 600), meaning=replace(MEANING, **change))
    assert series.forecast_g_per_kwh.tolist() == [2.0]
    assert "began afresh" in series.notes[0]


@pytest.mark.parametrize(("slot_s", "kept_s"), [(None, 300), (300, 300), (60, 300), (450, 300), (1800, 1800)])
def test_slots_are_averaged_where_theirs_fill_ours(slot_s, kept_s):
    assert laid(Timeline(slot_s=slot_s), forecast(*range(12))).slot_s == kept_s


@given(
    values=st.dictionaries(
        st.integers(-400, 1400), st.floats(0, MAX_G_PER_KWH) | st.just(float("nan")), min_size=1, max_size=40
    ),
    slot_s=st.sampled_from([300, 900, 1800, 3600]),
)
def test_any_rows_make_a_bounded_grid_of_means(values, slot_s):
    rows = {PRESENT_S + index * PERIOD_S: Row(forecast_g_per_kwh=value) for index, value in values.items()}
    series = laid(Timeline(slot_s=slot_s), rows)
    if series is None:
        about = [row for at, row in rows.items() if PRESENT_S - PAST_S <= at < PRESENT_S + FUTURE_S]
        assert np.isnan([row.forecast_g_per_kwh for row in about]).all()
        return
    assert series.start_s % slot_s == 0
    assert series.end_s - series.start_s <= PAST_S + FUTURE_S + 2 * slot_s
    known = [row.forecast_g_per_kwh for row in rows.values() if np.isfinite(row.forecast_g_per_kwh)]
    for value in series.forecast_g_per_kwh[np.isfinite(series.forecast_g_per_kwh)]:
        assert min(known) - 1e-6 <= value <= max(known) + 1e-6


@given(
    st.lists(st.tuples(st.none() | st.integers(-5, 5).map(lambda n: n * 150.0), st.none() | st.floats() | st.text()))
)
def test_readings_hold_only_plausible_values_on_the_grid(pairs):
    rows = readings(pairs, column="actual", period_s=300, remarks=Remarks(), factor=0.5)
    assert all(at_s % 300 == 0 for at_s in rows)
    assert all(0 <= row.actual_g_per_kwh <= MAX_G_PER_KWH for row in rows.values())


@pytest.mark.parametrize(
    ("start_s", "taken", "noted"),
    [
        (600, False, True),
        (900, False, False),
        (1200, True, False),
        (3600, True, False),
        (3900, False, True),
    ],
)
def test_readings_are_within_what_was_asked_for(start_s, taken, noted):
    remarks = Remarks()
    rows = readings([(start_s, 1)], column="actual", period_s=300, remarks=remarks, asked=(1200, 3600))
    assert bool(rows) == taken
    assert bool(remarks.notes()) == noted


def test_the_running_part_of_a_slot_is_asked_for():
    rows = readings([(900.0, 1)], column="actual", period_s=300, remarks=Remarks(), asked=(1000, 1100))
    assert set(rows) == {900}


DAY_S = 86_400


@pytest.mark.parametrize(
    ("issued_at_s", "expected_s", "noted"),
    [
        (None, START_S, False),
        (START_S - 600, START_S - 600, False),
        (START_S + 60, START_S, False),
        (START_S + 600, START_S, True),
        (START_S - 6 * DAY_S, START_S - 6 * DAY_S, False),
        (START_S - 8 * DAY_S, START_S, True),
        (0.0, START_S, True),
        (-62_135_647_200.0, START_S, True),
        (253_402_300_799.0, START_S, True),
    ],
)
def test_an_issue_is_within_the_week_before_now(issued_at_s, expected_s, noted):
    series = laid(Timeline(), forecast(1.0), issued_at_s=issued_at_s)
    assert series.issued_at_s == expected_s
    assert series.notes == (("1 x time of issue is not within the week before now",) if noted else ())


@pytest.mark.parametrize(
    ("text", "time_s"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2023-01-10T12:10:00Z", START_S),
        ("2023-01-10T14:10:00+02:00", START_S),
        ("1969-12-31T23:59:59Z", None),
        ("1970-01-01T00:00:00+14:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("0001-01-01T00:00:00Z", None),
        ("2200-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("2023-01-10T12:10:00", None),
        ("now", None),
        (START_S, None),
        (None, None),
    ],
)
def test_times_are_of_our_age_or_none(text, time_s):
    assert epoch_s(text) == time_s
    remarks = Remarks()
    assert issued_s(text, remarks=remarks) == time_s
    assert bool(remarks.notes()) == (text is not None and time_s is None)
