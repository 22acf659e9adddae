"""Beyond the last forecast: the usual day, a level that returns to the usual one, and no wild guesses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.climatology import (
    KEPT_LEAST,
    KEPT_MOST,
    KEPT_PER_DAY,
    climatology,
    kept_per_day,
    usual_level,
    usual_shape,
)

DAY = 48
WAVE = 50.0 * np.sin(np.arange(DAY) / DAY * 2 * np.pi)


def days(levels: object) -> np.ndarray:
    return np.repeat(np.asarray(levels, dtype=float), DAY) + np.tile(WAVE, np.size(levels))


def test_equal_days_go_on_as_they_were():
    learned = climatology(days([200.0] * 5), day=DAY)
    assert learned.expect(np.arange(1.0, 2 * DAY + 1)) == pytest.approx(200.0 + np.tile(WAVE, 2), abs=1e-9)


def test_the_usual_day_begins_with_the_slot_after_the_last_one_known():
    cut = days([200.0] * 5)[:-7]
    expected = climatology(cut, day=DAY).expect(np.arange(1.0, 8.0))
    assert expected == pytest.approx(200.0 + WAVE[-7:], abs=3.0)


def test_a_raised_last_day_returns_to_the_usual_level():
    learned = climatology(days([100.0, 100.0, 100.0, 100.0, 180.0]), day=DAY)
    assert learned.level == pytest.approx(180.0)
    assert 100.0 < learned.usual < 180.0
    ahead = learned.expect(np.arange(1.0, 20 * DAY + 1)).reshape(20, DAY).mean(axis=1)
    assert (np.diff(ahead) < 0.0).all()
    assert ahead[-1] == pytest.approx(learned.usual, rel=0.01)


def test_less_than_a_day_is_a_level_and_no_shape():
    learned = climatology(np.array([100.0, 140.0]), day=DAY)
    assert learned.expect(np.arange(1.0, 100.0)) == pytest.approx(np.full(99, 120.0))


@pytest.mark.parametrize("day", [1, 2, 3, 24, 47, 48])
def test_any_number_of_slots_makes_a_day(day):
    shape = usual_shape(np.random.default_rng(1).uniform(50.0, 300.0, 3 * day + day // 2), day=day)
    assert shape.shape == (day,)
    assert shape.sum() == pytest.approx(0.0, abs=1e-9)


def test_days_in_a_row_count_less_than_days_apart():
    # The last day is a new regime; of five alike before it each adds little.
    levels = np.array([100.0] * 5 + [200.0])
    assert usual_level(levels, kept=0.0) == pytest.approx(levels.mean())
    assert usual_level(levels, kept=0.9) > usual_level(levels, kept=0.3) > levels.mean()


def test_the_return_is_learned_from_long_histories_and_a_prior_on_short_ones():
    rng = np.random.default_rng(4)
    slow = np.cumsum(rng.standard_normal(35))
    quick = rng.standard_normal(35)
    assert kept_per_day(quick) < KEPT_PER_DAY < kept_per_day(slow)
    assert kept_per_day(slow[:2]) == kept_per_day(np.full(9, 80.0)) == KEPT_PER_DAY


@given(
    st.lists(st.floats(-50.0, 1000.0), min_size=1, max_size=200),
    st.integers(1, 60),
)
def test_what_is_expected_stays_within_what_was_seen(values, day):
    seen = np.array(values)
    learned = climatology(seen, day=day)
    ahead = learned.expect(np.arange(0.0, 300.0))
    spread = np.ptp(seen)
    assert KEPT_LEAST <= learned.kept <= KEPT_MOST
    assert seen.min() - 1.0 - 2.0 * spread <= ahead.min() <= ahead.max() <= seen.max() + 1.0 + 2.0 * spread
