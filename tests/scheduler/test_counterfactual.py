"""The yardsticks are honest, in the edge cases too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import Flavour, counterfactuals, served_grams

from .support import FLAVOURS


def judge(requests, served, carbon, max_error, flavours=FLAVOURS):
    return counterfactuals(
        flavours,
        requests=np.array(requests, dtype=float),
        served=np.array(served, dtype=float),
        carbon_g_per_kwh=np.array(carbon, dtype=float),
        max_error=max_error,
    )


def test_grams_are_energy_times_intensity():
    assert served_grams(FLAVOURS, served=np.array([[720.0, 0, 0]]), carbon_g_per_kwh=np.array([100.0])) == 0.1


def test_no_requests_emit_nothing():
    result = judge([0, 0], np.zeros((2, 3)), [100, 200], 0.02)
    assert (result.always_best_g, result.carbon_blind_mix_g, result.clairvoyant_g) == (0.0, 0.0, 0.0)


def test_the_blind_mix_has_the_error_that_was_really_served():
    served = np.array([[50.0, 0, 50.0], [100.0, 0, 0]])
    result = judge([100, 100], served, [100, 100], 0.02)
    share = 0.134 * 50 / 200  # on the hull between high and medium
    energy = 5.0 - (5.0 - 3.3) * share / 0.045
    assert result.carbon_blind_mix_g == pytest.approx(200 * energy / 3.6e6 * 100)


def test_an_error_beyond_the_cheapest_flavour_buys_nothing_more():
    flavours = (*FLAVOURS, Flavour(name="bad", error=0.9, energy_j=4.0))
    served = np.array([[0, 0, 0, 100.0]])
    result = judge([100], served, [100], 0.02, flavours)
    assert result.carbon_blind_mix_g == pytest.approx(100 * 1.8 / 3.6e6 * 100)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_the_clairvoyant_is_never_above_what_was_served_within_budget(seed):
    rng = np.random.default_rng(seed)
    served = rng.integers(0, 100, (6, 3)).astype(float)
    requests, carbon = served.sum(axis=1), rng.uniform(0, 400, 6)
    mean = float((served @ [f.error for f in FLAVOURS]).sum() / max(1.0, requests.sum()))
    result = judge(requests, served, carbon, mean)
    actual = served_grams(FLAVOURS, served=served, carbon_g_per_kwh=carbon)
    assert result.clairvoyant_g <= actual * (1 + 1e-9)
    assert result.clairvoyant_g <= result.carbon_blind_mix_g * (1 + 1e-9) <= result.always_best_g * (1 + 2e-9)
