"""Smoothing learns from roughness, errors are carried forward, the end of the outlook is continued."""

import numpy as np
import pytest

from scheduler.forecast import CarbonHistory, bandwidth, carbon_ahead, correct, extend, smooth

from .support import SLOT_S, START_S, outlook

HOURS = np.arange(96) / 2.0
TRUE = 200.0 - 60.0 * np.cos(HOURS / 24.0 * 2 * np.pi)
UNSEEN = np.full(96, np.nan)


def test_a_smooth_forecast_is_left_alone_and_a_noisy_one_comes_closer_to_the_truth():
    noisy = TRUE + 15.0 * np.random.default_rng(2).standard_normal(96)
    assert bandwidth(TRUE, actual=UNSEEN) == 0.0
    assert np.array_equal(correct(TRUE, actual=UNSEEN, ar=0.8), TRUE)
    smoothed = correct(noisy, actual=UNSEEN, ar=0.8)
    assert np.std(smoothed - TRUE) < 0.6 * np.std(noisy - TRUE)


def test_a_grid_that_is_rough_itself_is_smoothed_less():
    rough = TRUE + 15.0 * np.random.default_rng(2).standard_normal(96)
    assert bandwidth(rough, actual=rough) < 0.8 * bandwidth(rough, actual=UNSEEN)


def test_smoothing_keeps_a_slope_and_a_level():
    slope = 3.0 * np.arange(40.0) + 7.0
    assert smooth(slope, bandwidth=2.0) == pytest.approx(slope)


def test_the_last_error_fades_over_the_slots_to_come():
    actual = UNSEEN.copy()
    actual[10] = TRUE[10] + 20.0
    ahead = correct(TRUE, actual=actual, ar=0.5) - TRUE
    assert ahead[11:14] == pytest.approx([10.0, 5.0, 2.5])
    assert ahead[:11] == pytest.approx(np.zeros(11))


def test_beyond_the_outlook_the_day_repeats_and_the_level_decays():
    values = np.concatenate((TRUE, np.zeros(48)))
    continued = extend(values, known=96, slot_s=SLOT_S)
    assert continued[96:] == pytest.approx(TRUE[:48], rel=1e-9)
    raised = values.copy()
    raised[48:96] += 40.0
    tail = extend(raised, known=96, slot_s=SLOT_S)[96:] - TRUE[:48]
    assert 20.0 < tail[-1] < tail[0] < 40.0


def test_history_is_idempotent_ordered_and_bounded():
    history = CarbonHistory(keep=3)
    for slot in (2, 0, 1, 1, 3):
        history = history.observe(START_S + slot * SLOT_S, actual=100.0 + slot, forecast=None)
    assert [slot[1] for slot in history.slots] == [101.0, 102.0, 103.0]
    with pytest.raises(ValueError, match="carbon"):
        history.observe(START_S, actual=float("nan"), forecast=None)


def test_forecasts_of_past_slots_are_remembered_when_the_outlook_begins_now():
    history = CarbonHistory()
    for slot in range(20):
        at = START_S + slot * SLOT_S
        history = history.observe(at, actual=TRUE[slot] + 10.0, forecast=TRUE[slot])
    view = outlook(carbon=TRUE[20:], start_s=START_S + 20 * SLOT_S)
    path, basis = carbon_ahead(history, view, first=0, count=10, ar=0.8)
    assert basis == "provider"
    assert path[0] - TRUE[20] == pytest.approx(8.0, rel=0.05)


def test_what_is_heard_of_the_running_slot_is_not_used_before_it_is_over():
    view = outlook(carbon=TRUE)
    heard = CarbonHistory().observe(START_S + 10 * SLOT_S, actual=500.0, forecast=None)
    paths = [carbon_ahead(history, view, first=10, count=5, ar=0.8)[0] for history in (CarbonHistory(), heard)]
    assert np.array_equal(*paths)


def test_negative_carbon_is_planned_as_none():
    path, _ = carbon_ahead(CarbonHistory(), outlook(carbon=[-5.0, 10.0]), first=0, count=2, ar=0.8)
    assert path.min() >= 0.0
