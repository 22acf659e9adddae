"""Bands ahead: ordered, wider with the lead, honest about how often the truth lies inside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.forecast import CarbonHistory, carbon_ahead
from scheduler.quantiles import carbon_quantiles

from .support import SLOT_S, START_S, outlook

LEVELS = (0.05, 0.1, 0.5, 0.9, 0.95)


def grid(days: int, *, seed: int = 1, noise: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """Actual and forecast of days of changing level, the forecast's error an AR(1) and noise."""
    rng = np.random.default_rng(seed)
    count = days * 48
    shocks, level, error = rng.standard_normal((2, count)), np.zeros(count), np.zeros(count)
    for slot in range(1, count):
        level[slot] = 0.99 * level[slot - 1] + 0.14 * shocks[0, slot]
        error[slot] = 0.8 * error[slot - 1] + 0.6 * noise * shocks[1, slot]
    actual = 200.0 + 40.0 * level - 50.0 * np.cos(np.arange(count) / 48 * 2 * np.pi)
    return actual, actual + error + 0.5 * noise * rng.standard_normal(count)


def observed(actual: np.ndarray, forecast: np.ndarray | None) -> CarbonHistory:
    history = CarbonHistory()
    for slot, value in enumerate(actual):
        foreseen = None if forecast is None else float(forecast[slot])
        history = history.observe(START_S + slot * SLOT_S, actual=float(value), forecast=foreseen)
    return history


def bands(
    history: CarbonHistory, carbon: object, *, slot: int, count: int, levels: object = LEVELS
) -> np.ndarray | None:
    view = outlook(carbon=carbon, start_s=START_S + slot * SLOT_S)
    return carbon_quantiles(history, view, first=0, count=count, ar=0.8, levels=levels)


def test_rows_rise_with_their_level_and_lie_about_the_estimate():
    actual, forecast = grid(10)
    history = observed(actual[:384], forecast[:384])
    band = bands(history, forecast[384:480], slot=384, count=336)
    view = outlook(carbon=forecast[384:480], start_s=START_S + 384 * SLOT_S)
    estimate, _ = carbon_ahead(history, view, first=0, count=336, ar=0.8)
    assert band.shape == (5, 336)
    assert (np.diff(band, axis=0) >= 0.0).all()
    assert ((band[0] <= estimate) & (estimate <= band[-1])).all()


def test_the_band_widens_with_the_lead_and_again_beyond_the_forecast():
    actual, forecast = grid(10)
    band = bands(observed(actual[:384], forecast[:384]), forecast[384:480], slot=384, count=336)
    estimate = bands(observed(actual[:384], forecast[:384]), forecast[384:480], slot=384, count=336, levels=(0.5,))[0]
    width = (band[3] - band[1]) / estimate
    assert width[0] < width[12]
    assert width[95] < 0.7 * width[191] < 0.8 * width[335]


@pytest.mark.parametrize("lead", [1, 12, 48])
def test_four_in_five_lie_inside_the_middle_four_fifths(lead):
    actual, forecast = grid(30, seed=3)
    inside = []
    for slot in range(14 * 48, 28 * 48, 7):
        history = CarbonHistory(
            slots=tuple(
                (START_S + at * SLOT_S, float(actual[at]), float(forecast[at])) for at in range(slot - 480, slot)
            )
        )
        low, high = bands(history, forecast[slot : slot + 96], slot=slot, count=96, levels=(0.1, 0.9))
        inside.append(low[lead - 1] <= actual[slot + lead - 1] <= high[lead - 1])
    assert 0.7 < np.mean(inside) < 0.9


def test_a_better_forecast_has_a_narrower_band():
    widths = []
    for noise in (4.0, 20.0):
        actual, forecast = grid(8, noise=noise)
        band = bands(observed(actual[:336], forecast[:336]), forecast[336:], slot=336, count=48)
        widths.append(np.mean(band[3] - band[1]))
    assert widths[0] < 0.5 * widths[1]


def test_with_less_than_a_day_of_errors_nothing_is_claimed():
    actual, forecast = grid(3)
    assert bands(CarbonHistory(), forecast, slot=0, count=48) is None
    assert bands(observed(actual[:47], forecast[:47]), forecast[47:], slot=47, count=48) is None
    assert bands(observed(actual[:96], None), forecast[96:], slot=96, count=48) is None  # never a forecast to judge
    assert bands(observed(actual[:48], forecast[:48]), forecast[48:], slot=48, count=48) is not None


def test_without_a_forecast_the_days_themselves_are_the_errors():
    actual, _ = grid(10)
    band = bands(observed(actual[:432], None), None, slot=432, count=48)
    assert (np.diff(band, axis=0) >= 0.0).all()
    assert band[3, 0] - band[1, 0] < band[3, 40] - band[1, 40]


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, float("nan")])
def test_a_level_out_of_range_is_refused(level):
    with pytest.raises(ValueError, match="levels"):
        bands(CarbonHistory(), [1.0], slot=0, count=1, levels=(level,))


def test_a_band_is_shared_and_not_to_be_changed():
    actual, forecast = grid(4)
    history = observed(actual[:96], forecast[:96])
    band = bands(history, forecast[96:], slot=96, count=48)
    assert bands(history, forecast[96:], slot=96, count=48) is band
    with pytest.raises(ValueError, match="read-only"):
        band[0, 0] = 0.0


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    slots=st.integers(48, 200),
    missing=st.floats(0.0, 0.7),
    ahead=st.integers(0, 60),
    count=st.integers(1, 120),
    levels=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=6),
)
def test_whatever_is_missing_a_band_is_finite_and_ordered(seed, slots, missing, ahead, count, levels):
    rng = np.random.default_rng(seed)
    history = CarbonHistory()
    for slot in np.flatnonzero(rng.random(slots) >= missing):
        foreseen = None if rng.random() < missing else float(rng.uniform(0.0, 400.0))
        history = history.observe(START_S + slot * SLOT_S, actual=float(rng.uniform(-20.0, 400.0)), forecast=foreseen)
    carbon = np.where(rng.random(ahead) < missing, np.nan, rng.uniform(0.0, 400.0, ahead)) if ahead else None
    band = bands(history, carbon, slot=slots, count=count, levels=sorted(levels))
    if band is not None:
        assert band.shape == (len(levels), count)
        assert np.isfinite(band).all()
        assert (band >= 0.0).all()
        assert (np.diff(band, axis=0) >= -1e-9).all()
