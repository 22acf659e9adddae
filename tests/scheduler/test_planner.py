"""The planner against a general LP solver, and on the inputs where a greedy fill goes wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from scheduler import Flavour, plan
from scheduler.hull import hull_corners, off_hull


def solve(error, grams, requests, budget):
    slots, options = error.shape
    result = linprog(
        (requests[:, None] * grams).ravel(),
        A_ub=(requests[:, None] * error).ravel()[None, :],
        b_ub=[budget],
        A_eq=np.kron(np.eye(slots), np.ones(options)),
        b_eq=np.ones(slots),
        method="highs",
    )
    return result.fun if result.status == 0 else None


@st.composite
def instances(draw):
    slots, options = draw(st.integers(1, 8)), draw(st.integers(1, 6))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    error = rng.integers(0, 21, (slots, options)) / 100.0
    grams = rng.integers(0, 500, (slots, options)) / 10.0
    requests = rng.integers(0, 100, slots).astype(float)
    return error, grams, requests, draw(st.floats(0.0, 1.2)) * 0.2 * requests.sum()


@settings(max_examples=200, deadline=None)
@given(instances())
def test_plan_costs_what_the_lp_optimum_costs(instance):
    error, grams, requests, budget = instance
    result = plan(error=error, grams=grams, requests=requests, budget_error_requests=budget)
    best = solve(error, grams, requests, budget)
    if not result.feasible:
        assert budget < requests @ error.min(axis=1)
        assert result.error_requests == pytest.approx(requests @ error.min(axis=1))
        return
    assert result.grams == pytest.approx(best, rel=1e-6, abs=1e-6)
    assert result.error_requests <= budget * (1 + 1e-12) + 1e-12
    assert (result.weights >= -1e-15).all()
    assert np.allclose(result.weights.sum(axis=1), 1.0)
    assert (((result.weights > 1e-9) & (result.weights < 1 - 1e-9)).any(axis=1)).sum() <= 1


def test_an_infeasible_budget_gives_the_least_error():
    error, grams = np.array([[0.1, 0.2]] * 3), np.array([[2.0, 1.0]] * 3)
    result = plan(error=error, grams=grams, requests=np.ones(3), budget_error_requests=0.1)
    assert not result.feasible
    assert result.weights.tolist() == [[1.0, 0.0]] * 3


def test_an_empty_slot_gets_no_cheap_flavour_once_the_budget_is_spent():
    error, grams = np.array([[0.0, 0.1]] * 3), np.array([[3.0, 1.0], [2.0, 1.0], [9.0, 1.0]])
    result = plan(error=error, grams=grams, requests=np.array([10.0, 0.0, 0.0]), budget_error_requests=0.5)
    assert result.weights[0].tolist() == pytest.approx([0.5, 0.5])
    assert result.weights[1].tolist() == [1.0, 0.0]
    assert plan(error=error, grams=grams, requests=np.zeros(3), budget_error_requests=0.0).weights[:, 1].sum() == 0


def test_nothing_binds_when_every_flavour_fits():
    error, grams = np.array([[0.0, 0.1]] * 2), np.array([[3.0, 1.0]] * 2)
    result = plan(error=error, grams=grams, requests=np.ones(2), budget_error_requests=1.0)
    assert (result.binding, result.shadow_price) == (False, 0.0)
    assert result.weights[:, 1].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("requests", [[-1.0, 1.0], [np.nan, 1.0], [1.0]])
def test_bad_requests_are_refused(requests):
    with pytest.raises(ValueError, match="requests"):
        plan(error=np.zeros((2, 1)), grams=np.ones((2, 1)), requests=np.array(requests), budget_error_requests=1.0)


def test_a_flavour_above_the_hull_is_named_and_never_used():
    flavours = (
        Flavour(name="best", error=0.0, energy_j=10.0),
        Flavour(name="waste", error=0.05, energy_j=9.0),
        Flavour(name="cheap", error=0.1, energy_j=2.0),
        Flavour(name="worse", error=0.2, energy_j=2.0),
    )
    assert off_hull(flavours) == ("waste", "worse")
    assert hull_corners(flavours).tolist() == [0.0, 0.1]
    error = np.array([[f.error for f in flavours]])
    grams = np.array([[f.energy_j for f in flavours]])
    for budget in np.linspace(0.0, 0.2, 21):
        weights = plan(error=error, grams=grams, requests=np.ones(1), budget_error_requests=budget).weights[0]
        assert weights[1] == weights[3] == 0.0
