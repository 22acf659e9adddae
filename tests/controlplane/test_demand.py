"""A recorded pattern of requests, laid over other days and other slots."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.demand import DAY_S, DemandForecast
from tests.controlplane.fakes import steady

HOUR_S = 3600.0
PATTERN = DemandForecast(0.0, HOUR_S, tuple(float(hour) for hour in range(24)))


@steady
@given(day=st.integers(-400, 400_000), hour=st.integers(0, 23))
def test_a_time_of_day_meets_the_same_time_of_day(day, hour):
    assert PATTERN.expected(start_s=day * DAY_S + hour * HOUR_S, slot_s=HOUR_S, count=1)[0] == hour


def test_finer_slots_share_the_requests_of_a_coarser_one():
    expected = PATTERN.expected(start_s=5 * HOUR_S, slot_s=HOUR_S / 2, count=4)
    assert expected.tolist() == [2.5, 2.5, 3.0, 3.0]


def test_the_level_of_a_whole_day_does_not_depend_on_the_slots():
    for slot_s in (900.0, 1800.0, HOUR_S):
        expected = PATTERN.expected(start_s=17 * DAY_S, slot_s=slot_s, count=round(DAY_S / slot_s))
        assert expected.sum() == pytest.approx(sum(range(24)))


def test_a_pattern_of_two_days_is_repeated_by_two_days():
    pattern = DemandForecast(0.0, HOUR_S, tuple(float(hour) for hour in range(48)))
    assert pattern.expected(start_s=3 * DAY_S, slot_s=HOUR_S, count=2).tolist() == [24.0, 25.0]


@pytest.mark.parametrize("missing", [-1, 1], ids=["shorter", "longer"])
def test_an_hour_more_or_less_than_a_day_does_not_shift_the_days(missing):
    pattern = DemandForecast(0.0, HOUR_S, tuple(float(hour) for hour in range(24 + missing)))
    assert pattern.expected(start_s=10 * DAY_S + 5 * HOUR_S, slot_s=HOUR_S, count=1)[0] == 5.0


@steady
@given(count=st.integers(1, 60), start_s=st.floats(-1e9, 1e10), slots=st.integers(1, 30))
def test_expectations_are_finite_and_come_from_the_pattern(count, start_s, slots):
    pattern = DemandForecast(0.0, HOUR_S, tuple(range(slots)))
    expected = pattern.expected(start_s=start_s, slot_s=HOUR_S, count=count)
    assert expected.shape == (count,)
    assert np.isfinite(expected).all()
    assert expected.min() >= 0
    assert expected.max() <= slots


def test_a_coarser_slot_holds_all_the_requests_of_the_finer_ones():
    pattern = DemandForecast(0.0, HOUR_S / 2, (0.0, 100.0) * 24)
    assert pattern.expected(start_s=0.0, slot_s=HOUR_S, count=3).tolist() == [100.0, 100.0, 100.0]


def test_scaling_changes_the_level_alone():
    assert PATTERN.scaled(2.0).requests == tuple(2.0 * hour for hour in range(24))
    assert PATTERN.scaled(2.0).start_s == PATTERN.start_s


@pytest.mark.parametrize("factor", [-1.0, math.nan, math.inf])
def test_an_impossible_level_is_refused(factor):
    with pytest.raises(ValueError, match="scaled"):
        PATTERN.scaled(factor)
