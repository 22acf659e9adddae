"""The promise: for any demand within the band the window never ends over."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import BudgetWindow, Controller, ControllerSettings, replay, settings_for
from scheduler.guard import Exposure, error_ceiling, noise_ceiling

from .support import FLAVOURS, SLOT_S, START_S, books_of, day, outlook, paper_flavours, serve

SLOTS = 12
WINDOW = {"window": BudgetWindow(length_s=SLOTS * SLOT_S, offset_s=START_S % (SLOTS * SLOT_S))}


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    guard=st.sampled_from([0.02, 0.1, 0.3, 1.0]),
    max_error=st.sampled_from([0.0, 0.01, 0.04, 0.08, 0.12]),
    edge=st.booleans(),
)
def test_no_demand_within_the_band_ends_the_window_over(seed, guard, max_error, edge):
    rng = np.random.default_rng(seed)
    foreseen = rng.integers(0, 300, SLOTS).astype(float)
    swing = rng.choice([-1.0, 1.0], SLOTS) if edge else rng.uniform(-1.0, 1.0, SLOTS)
    controller = Controller(FLAVOURS, ControllerSettings(max_error=max_error, guard=guard, **WINDOW))
    view = outlook(carbon=rng.uniform(0.0, 400.0, SLOTS), requests=foreseen)
    for slot in range(SLOTS):
        serve(controller, view, slot=slot, requests=float(foreseen[slot] * (1.0 + guard * swing[slot])))
    books = books_of(controller)
    assert books.error_requests <= max_error * books.requests * (1 + 1e-9) + 1e-9


@pytest.mark.parametrize("name", ["camel_m03", "stable_m06"])
@pytest.mark.parametrize("noise", [0.01, 0.05, 0.2])
def test_the_learned_guard_keeps_the_promise_on_noisy_days(name, noise):
    trace = day(name)
    rng = np.random.default_rng(5)
    for level in (0.6, 1.0, 1.4):
        demand = trace.requests_forecast * level * np.clip(1 + noise * rng.standard_normal(48), 0, None)
        noisy = type(trace)(
            **{field: getattr(trace, field) for field in trace.__slots__ if field != "requests_actual"},
            requests_actual=demand,
        )
        [result] = replay(noisy, paper_flavours(), settings=settings_for(noisy, max_error=0.02))
        assert not result.over_budget


@pytest.mark.parametrize("guard", [None, 0.0, 0.1])
@pytest.mark.parametrize("demand", [[500] + [0] * 11, [500, 300, 100, 10, 0, 0, 1, 90, 10, 3, 1, 0]])
def test_unforeseen_demand_that_fades_or_stops_keeps_the_running_mean_within_the_budget(demand, guard):
    controller = Controller(FLAVOURS, ControllerSettings(max_error=0.03, guard=guard, **WINDOW))
    view = outlook(carbon=np.linspace(400.0, 50.0, SLOTS))
    for slot, requests in enumerate(demand):
        serve(controller, view, slot=slot, requests=float(requests))
        books = books_of(controller)
        assert books.error_requests <= 0.03 * books.requests * (1 + 1e-9)


def exposure(**change):
    values = {"credit": 0.0, "in_flight": 0.0, "step": (90.0, 110.0), "later": 0.0}
    return Exposure(max_error=0.02, least_error=0.0, **{**values, **change})


def test_both_ends_of_the_step_count():
    assert error_ceiling(exposure(credit=1.0)) == pytest.approx(0.02 + 1.0 / 110.0)
    assert error_ceiling(exposure(credit=-1.0)) == pytest.approx(0.02 - 1.0 / 90.0)


def test_an_empty_step_is_not_trusted_to_stay_empty():
    assert error_ceiling(exposure(credit=1.0, step=(0.0, 0.0))) == 0.02
    assert error_ceiling(exposure(credit=-1.0, step=(0.0, 0.0))) < 0.0


def test_what_is_in_flight_has_spent_its_error_already():
    flying = exposure(in_flight=60 * (0.02 - 0.12), later=1000.0)
    assert error_ceiling(flying) == pytest.approx((1000 * 0.02 - 60 * 0.10) / 110 + 0.02)


@given(
    credit=st.floats(-5.0, 20.0),
    planned=st.floats(0.0, 0.134),
    sigmas=st.floats(0.1, 6.0),
    step=st.floats(1.0, 1e5),
)
def test_sampling_noise_fits_into_what_is_left(credit, planned, sigmas, step):
    corners = np.array([0.0, 0.045, 0.134])
    state = exposure(credit=credit, step=(step, step))
    planned = min(planned, error_ceiling(state))
    ceiling = noise_ceiling(state, planned=planned, corners=corners, sigmas=sigmas)
    assert ceiling <= planned
    if ceiling > 1e-9:
        edge = min(int(np.searchsorted(corners, ceiling)), 2)
        low, high = corners[edge - 1], corners[edge]
        noise = sigmas * np.sqrt(step * max(0.0, (ceiling - low) * (high - ceiling)))
        assert step * ceiling + noise <= state.allowance(step) + 1e-6 * step
