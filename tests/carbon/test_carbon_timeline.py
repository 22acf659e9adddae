"""Answers laid over each other: on one grid, of one meaning, whatever they hold."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.carbon.grid import MAX_G_PER_KWH, Remarks, Row, readings
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


def test_what_was_foreseen_is_remembered_for_slots_that_have_passed_and_for_no_others():
    timeline = Timeline()
    laid(timeline, forecast(*range(10)))
    later = laid(timeline, forecast(50.0, start_s=PRESENT_S + 3 * PERIOD_S), now_s=START_S + 3 * PERIOD_S)
    assert later.forecast_g_per_kwh.tolist() == [0.0, 1.0, 2.0, 50.0]


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
        assert not [at for at in rows if PRESENT_S - PAST_S <= at < PRESENT_S + FUTURE_S]
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


@pytest.mark.parametrize("issued_at_s", [None, START_S - 600, START_S + 600])
def test_an_issue_is_never_ahead_of_now(issued_at_s):
    expected = START_S - 600 if issued_at_s == START_S - 600 else START_S
    assert laid(Timeline(), forecast(1.0), issued_at_s=issued_at_s).issued_at_s == expected
