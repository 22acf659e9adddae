"""Integer weights: whole, summing to the total, and never on the side of error."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import TOTAL_WEIGHT, Flavour, check_flavours, integer_weights

shares = st.lists(st.floats(0.0, 1e300), min_size=1, max_size=12).filter(lambda v: max(v) > 0.0)


@given(shares, st.randoms(use_true_random=False))
def test_weights_are_whole_and_sum_to_the_total(values, random):
    errors = [random.random() for _ in values]
    weights = integer_weights(values, errors=errors)
    assert sum(weights) == TOTAL_WEIGHT
    assert all(isinstance(weight, int) and weight >= 0 for weight in weights)


@given(shares, st.randoms(use_true_random=False))
def test_rounding_never_raises_the_mean_error(values, random):
    errors = [random.random() for _ in values]
    weights = integer_weights(values, errors=errors)
    largest = max(values)
    wanted = math.fsum(v / largest * e for v, e in zip(values, errors, strict=True))
    wanted /= math.fsum(v / largest for v in values)
    assert math.fsum(w * e for w, e in zip(weights, errors, strict=True)) / TOTAL_WEIGHT <= wanted + 1e-12


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [-0.1, 1.1], [math.nan, 1.0], [math.inf, 1.0]])
def test_shares_that_mean_nothing_are_refused(values):
    with pytest.raises(ValueError, match="share"):
        integer_weights(values, errors=[0.1] * len(values))


@pytest.mark.parametrize(
    "field", [{"error": -0.1}, {"error": 1.1}, {"error": math.nan}, {"energy_j": -1.0}, {"energy_j": math.inf}]
)
def test_a_flavour_out_of_range_is_refused(field):
    with pytest.raises(ValueError, match="flavour 'x'"):
        Flavour(**{"name": "x", "error": 0.1, "energy_j": 1.0, **field})


def test_two_flavours_of_one_name_are_refused():
    flavour = Flavour(name="x", error=0.1, energy_j=1.0)
    with pytest.raises(ValueError, match="'x'"):
        check_flavours([flavour, flavour])
