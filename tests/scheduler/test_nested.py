"""The planner under prefix budgets: against a general LP solver, with ties, empty slots and budgets that cannot be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from scheduler import plan
from scheduler.nested import plan_nested


def solve(error, grams, requests, until, budgets):
    slots, options = error.shape
    within = np.arange(slots) < np.asarray(until)[:, None]
    result = linprog(
        (requests[:, None] * grams).ravel(),
        A_ub=(within[:, :, None] * requests[:, None] * error).reshape(len(until), -1),
        b_ub=budgets,
        A_eq=np.kron(np.eye(slots), np.ones(options)),
        b_eq=np.ones(slots),
        method="highs",
    )
    return result.fun if result.status == 0 else None


def spent(result, error, requests, until):
    return np.cumsum(requests * (result.weights * error).sum(axis=1))[until - 1]


@st.composite
def instances(draw):
    slots, options = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    coarse = draw(st.sampled_from([4, 21]))  # few values: many ties
    error = rng.integers(0, coarse, (slots, options)) / 100.0
    grams = rng.integers(0, coarse * 10, (slots, options)) / 10.0
    requests = rng.integers(0, draw(st.sampled_from([2, 100])), slots).astype(float)
    inner = draw(st.sets(st.integers(1, slots)))
    until = np.array(sorted(inner | {slots}))
    tightness = np.array(draw(st.lists(st.floats(0.0, 1.2), min_size=until.size, max_size=until.size)))
    return error, grams, requests, until, tightness * coarse / 100.0 * np.cumsum(requests)[until - 1]


@settings(max_examples=400, deadline=None)
@given(instances())
def test_it_costs_what_the_lp_optimum_costs(instance):
    error, grams, requests, until, budgets = instance
    result = plan_nested(error=error, grams=grams, requests=requests, until=until, budgets=budgets)
    least = np.cumsum(requests * error.min(axis=1))[until - 1]
    assert result.feasible == bool((budgets >= least - 1e-12 * np.maximum(least, budgets)).all())
    kept = np.maximum(budgets, least)
    assert (spent(result, error, requests, until) <= kept * (1 + 1e-9) + 1e-9).all()
    assert result.grams == pytest.approx(solve(error, grams, requests, until, kept + 1e-12), rel=1e-6, abs=1e-6)
    assert (result.weights >= -1e-15).all()
    assert np.allclose(result.weights.sum(axis=1), 1.0)


@settings(max_examples=100, deadline=None)
@given(instances())
def test_one_budget_gives_the_plan_of_the_simple_planner(instance):
    error, grams, requests, _, budgets = instance
    table = {"error": error, "grams": grams, "requests": requests}
    nested = plan_nested(**table, until=np.array([requests.size]), budgets=budgets[-1:])
    simple = plan(**table, budget_error_requests=float(budgets[-1]))
    assert np.array_equal(nested.weights, simple.weights)
    assert (nested.shadow_price, nested.feasible) == (simple.shadow_price, simple.feasible)


@settings(max_examples=100, deadline=None)
@given(instances())
def test_the_price_is_the_slope_of_the_grams(instance):
    error, grams, requests, until, budgets = instance
    budgets = np.maximum(budgets, np.cumsum(requests * error.min(axis=1))[until - 1]) + 0.01
    table = {"error": error, "grams": grams, "requests": requests, "until": until}
    now, less, more = (plan_nested(**table, budgets=budgets + by) for by in (0.0, -1e-4, 1e-4))
    if requests[: until[0]].sum() == 0.0:
        return  # every price is right where nothing is served
    low, high = (now.grams - more.grams) / 1e-4, (less.grams - now.grams) / 1e-4
    assert low - 1e-6 <= now.shadow_price <= high + 1e-6


def test_an_early_budget_that_cannot_be_kept_leaves_the_later_ones_kept():
    error, grams = np.array([[0.1, 0.2]] * 4), np.array([[2.0, 1.0]] * 4)
    until, budgets = np.array([2, 4]), np.array([0.1, 0.5])
    result = plan_nested(error=error, grams=grams, requests=np.ones(4), until=until, budgets=budgets)
    assert not result.feasible
    assert result.weights[:2].tolist() == [[1.0, 0.0]] * 2
    assert spent(result, error, np.ones(4), until).tolist() == pytest.approx([0.2, 0.5])


def test_the_price_shown_is_that_of_the_first_segment():
    error, grams = np.array([[0.0, 0.1]] * 2), np.array([[3.0, 1.0], [9.0, 1.0]])
    table = {"error": error, "grams": grams, "requests": np.ones(2), "until": np.array([1, 2])}
    free = plan_nested(**table, budgets=np.array([0.05, np.inf]))
    assert (free.shadow_price, free.binding) == (20.0, True)
    assert free.weights[:, 1].tolist() == [0.5, 1.0]
    spare = plan_nested(**table, budgets=np.array([np.inf, np.inf]))
    assert (spare.shadow_price, spare.binding) == (0.0, False)


@pytest.mark.parametrize(
    ("until", "budgets"), [([1], [1.0]), ([2, 2], [1.0, 1.0]), ([0, 2], [1.0, 1.0]), ([2], [np.nan]), ([], [])]
)
def test_bad_budgets_are_refused(until, budgets):
    table = {"error": np.zeros((2, 1)), "grams": np.ones((2, 1)), "requests": np.ones(2)}
    with pytest.raises(ValueError, match=r"until|budgets"):
        plan_nested(**table, until=np.array(until, dtype=int), budgets=np.array(budgets))
