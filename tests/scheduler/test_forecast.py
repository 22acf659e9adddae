"""Smoothing learns from roughness, errors are carried forward, the end of the forecast is continued and said."""

import numpy as np
import pytest

from scheduler.forecast import CarbonHistory, bandwidth, carbon_ahead, correct, smooth

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


def history_of(values: np.ndarray, *, before: int = 0) -> CarbonHistory:
    """Every slot observed, the last one `before` slots before START_S."""
    history = CarbonHistory()
    for slot, value in enumerate(values):
        at = START_S + (slot - values.size - before) * SLOT_S
        history = history.observe(at, actual=float(value), forecast=float(value))
    return history


def test_a_window_longer_than_the_forecast_says_what_the_rest_rests_on():
    short = outlook(carbon=TRUE)

    def basis(history: CarbonHistory, view=short, **asked: int) -> str:
        return carbon_ahead(history, view, first=0, ar=0.8, **asked)[1]

    week, hours = history_of(np.tile(TRUE, 4)), history_of(TRUE[:10])
    assert basis(week, count=96) == "provider"
    assert basis(week, count=336) == "provider+climatology"
    assert basis(hours, count=336) == basis(CarbonHistory(), count=336) == "provider+level"
    assert basis(week, outlook(), count=336) == "past-actuals"
    assert basis(CarbonHistory(), outlook(), count=336) == "none"
    assert basis(week, count=102, needed=96) == "provider"


def test_beyond_the_forecast_the_usual_day_goes_on():
    path, _ = carbon_ahead(history_of(np.tile(TRUE, 4)), outlook(carbon=TRUE), first=0, count=336, ar=0.8)
    assert path == pytest.approx(np.tile(TRUE, 4)[:336], rel=1e-6)


def test_a_windy_forecast_is_not_taken_for_the_whole_week():
    windy = TRUE - 80.0
    path, _ = carbon_ahead(history_of(np.tile(TRUE, 7)), outlook(carbon=windy), first=0, count=336, ar=0.8)
    assert path[36:96] == pytest.approx(windy[36:], abs=3.0)  # once the last error has faded
    assert path[96:144].mean() < path[240:288].mean() < TRUE.mean()
    assert path[288:].mean() > TRUE.mean() - 30.0


def test_what_is_asked_for_beyond_does_not_change_what_is_estimated_before():
    noisy = TRUE + 15.0 * np.random.default_rng(2).standard_normal(96)
    paths = [carbon_ahead(CarbonHistory(), outlook(carbon=noisy), first=0, count=n, ar=0.8)[0] for n in (96, 300)]
    assert np.array_equal(paths[0], paths[1][:96])


def test_the_same_question_is_answered_from_memory_and_a_new_forecast_is_not():
    history = history_of(np.tile(TRUE, 2))
    ask = {"first": 0, "count": 336, "ar": 0.8}
    path, _ = carbon_ahead(history, outlook(carbon=TRUE), **ask)
    assert carbon_ahead(history, outlook(carbon=TRUE.copy()), **ask)[0] is path
    assert carbon_ahead(history, outlook(carbon=TRUE + 1.0), **ask)[0][0] > path[0]
    assert (
        carbon_ahead(history.observe(START_S - SLOT_S, actual=500.0, forecast=None), outlook(carbon=TRUE), **ask)[0][0]
        > path[0]
    )
    with pytest.raises(ValueError, match="read-only"):
        path[0] = 0.0


def test_memory_is_bounded_and_no_part_of_the_history():
    history = history_of(TRUE)
    for count in range(1, 50):
        carbon_ahead(history, outlook(carbon=TRUE), first=0, count=count, ar=0.8)
    assert len(history.memo) < 20
    assert history == history_of(TRUE)
    assert CarbonHistory.from_list(history.to_list()) == history


def test_a_history_that_grows_reads_the_same_as_one_read_anew():
    history = CarbonHistory(keep=60)
    for slot in range(200):
        history = history.observe(START_S + slot * SLOT_S, actual=float(slot), forecast=None if slot % 3 else 5.0)
        grown = history.on_grid(outlook(), first=0, count=200)
        anew = CarbonHistory(slots=history.slots, keep=60).on_grid(outlook(), first=0, count=200)
        assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(grown, anew, strict=True))


def test_a_months_window_is_remembered():
    history = history_of(np.tile(TRUE[:48], 40))
    assert len(history.slots) == 35 * 48


def test_what_a_long_outlook_says_elsewhere_neither_matters_nor_costs():
    history, ask = history_of(TRUE), {"first": 3000, "count": 48, "ar": 0.8}
    long = np.tile(TRUE[:48], 500)
    found, _ = carbon_ahead(history, outlook(carbon=long), **ask)
    elsewhere = long.copy()
    elsewhere[: 3000 - history.keep] = elsewhere[3048:] = 0.0
    assert carbon_ahead(history, outlook(carbon=elsewhere), **ask)[0] is found
    assert all(len(part) < 10 * (history.keep + 48) for key in history.memo for part in key if isinstance(part, bytes))
    near = long.copy()
    near[3047] += 100.0
    assert carbon_ahead(history, outlook(carbon=near), **ask)[0] is not found
