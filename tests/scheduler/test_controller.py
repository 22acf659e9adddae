"""The rolling controller: restarts, partial slots, gaps in what it is told, and why it decided."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import TOTAL_WEIGHT, BudgetWindow, Controller, ControllerSettings, ControllerState, Flavour

from .support import FLAVOURS, SLOT_S, START_S, books_of, day, outlook, paper_flavours, serve

SETTINGS = ControllerSettings(max_error=0.02)
HOURS = np.arange(48) / 2.0
CARBON = 200.0 - 80.0 * np.cos(HOURS / 24.0 * 2 * np.pi)
REQUESTS = 1000.0 + 500.0 * np.sin(HOURS / 24.0 * 2 * np.pi)


def test_a_restart_at_any_slot_changes_no_decision():
    trace, flavours = day("camel_m03"), paper_flavours()
    view = outlook(carbon=trace.carbon_forecast, requests=trace.requests_forecast, start_s=trace.start_s)
    through, restarted = Controller(flavours, SETTINGS), Controller(flavours, SETTINGS)
    for slot in range(48):
        kept = json.loads(json.dumps(restarted.state.to_dict()))
        restarted = Controller(flavours, SETTINGS, ControllerState.from_dict(kept), carbon=restarted.carbon)
        served = [serve(c, view, slot=slot, requests=trace.requests_actual[slot]) for c in (through, restarted)]
        assert served[0] == served[1]
        for controller in (through, restarted):
            controller.observe_carbon(
                view.start_of(slot),
                actual_g_per_kwh=trace.carbon_actual[slot],
                forecast_g_per_kwh=trace.carbon_forecast[slot],
            )
    assert through.state == restarted.state


def test_a_restart_inside_a_slot_remembers_what_is_in_flight():
    view = outlook(carbon=np.roll(CARBON, 24), requests=REQUESTS)
    controller = Controller(FLAVOURS, SETTINGS)
    assert controller.decide(view, now_s=START_S).expected_error > 0.0
    restarted = Controller(FLAVOURS, SETTINGS, ControllerState.from_dict(controller.state.to_dict()))
    after = [c.decide(view, now_s=START_S + 900).to_dict() for c in (controller, restarted)]
    assert after[0] == after[1]


def test_deciding_again_or_hearing_carbon_again_changes_nothing():
    controller = Controller(FLAVOURS, SETTINGS)
    view = outlook(carbon=CARBON, requests=REQUESTS)
    first = controller.decide(view, now_s=START_S)
    controller.observe_carbon(START_S - SLOT_S, actual_g_per_kwh=100.0, forecast_g_per_kwh=130.0)
    state = controller.state
    controller.observe_carbon(START_S - SLOT_S, actual_g_per_kwh=100.0, forecast_g_per_kwh=130.0)
    assert controller.state == state
    controller = Controller(FLAVOURS, SETTINGS)
    assert controller.decide(view, now_s=START_S).to_dict() == first.to_dict()
    assert controller.decide(view, now_s=START_S).to_dict() == first.to_dict()


def test_decisions_inside_a_slot_use_the_same_budget_as_one_for_the_whole():
    view = outlook(carbon=CARBON, requests=REQUESTS)
    controller = Controller(FLAVOURS, SETTINGS)
    for second in range(0, 86400, 300):
        now_s = START_S + second
        decision = controller.decide(view, now_s=now_s, feedback_s=now_s + 600)
        assert decision.slot_start_s <= now_s < decision.valid_until_s <= decision.slot_end_s
        requests = REQUESTS[second // 1800] / 6
        counts = {name: weight / TOTAL_WEIGHT * requests for name, weight in decision.weights.items()}
        controller.observe_requests(counts, until_s=now_s + 300)
    books = books_of(controller)
    assert books.requests == pytest.approx(REQUESTS.sum())
    assert 0.0199 < books.mean_error <= 0.02


def test_requests_not_counted_yet_are_taken_to_have_the_error_they_were_sent_with():
    view = outlook(carbon=np.roll(CARBON, 24), requests=REQUESTS)
    controller = Controller(FLAVOURS, SETTINGS)
    controller.decide(view, now_s=START_S)
    left = controller.decide(view, now_s=START_S + 900).reasons.budget_left_error_requests
    whole = SETTINGS.max_error * REQUESTS.sum()
    spent = controller.state.commands.errors[-1][1] * REQUESTS[0] / 2
    assert left == pytest.approx(whole - spent, rel=1e-6)


def test_sampling_noise_is_reserved_when_asked():
    view = outlook(carbon=np.r_[CARBON[:1], CARBON[:1]], requests=[100.0, 100.0])
    window = {"window": BudgetWindow(length_s=2 * SLOT_S, offset_s=START_S % (2 * SLOT_S))}
    exact, careful = (
        Controller(FLAVOURS, ControllerSettings(max_error=0.02, guard=0.0, sampling_sigmas=z, **window))
        for z in (0.0, 3.0)
    )
    for controller in (exact, careful):
        controller.observe_requests({"high": 70.0, "low": 15.0, "medium": 15.0}, until_s=START_S + SLOT_S)
    errors = [c.decide(view, now_s=START_S + SLOT_S).expected_error for c in (exact, careful)]
    assert errors[1] < errors[0]


def test_with_nothing_known_the_mix_is_constant_and_within_budget():
    controller = Controller(FLAVOURS, SETTINGS)
    decision = controller.decide(outlook(), now_s=START_S)
    assert decision.reasons.forecast == "none"
    assert decision.reasons.carbon_now_g_per_kwh is None
    assert decision.expected_error == pytest.approx(0.02, abs=1e-4)
    assert np.ptp(decision.planned_weights[1:], axis=0).max() < 1e-12
    json.dumps(decision.to_dict(), allow_nan=False)


def test_without_a_forecast_a_day_of_actuals_shapes_the_plan():
    controller = Controller(FLAVOURS, SETTINGS)
    for slot in range(48):
        controller.observe_carbon(START_S + slot * SLOT_S, actual_g_per_kwh=CARBON[slot], forecast_g_per_kwh=None)
    decision = controller.decide(outlook(requests=REQUESTS, start_s=START_S + 86400), now_s=START_S + 86400)
    assert decision.reasons.forecast == "past-actuals"
    error = decision.planned_weights @ [flavour.error for flavour in FLAVOURS]
    assert error[24] > 0.03  # noon is this grid's worst hour
    assert error[2] == 0.0


def test_an_outlook_that_ends_early_or_has_holes_is_continued():
    holes = CARBON.copy()
    holes[3:9] = np.nan
    for carbon in (CARBON[:5], holes):
        decision = Controller(FLAVOURS, SETTINGS).decide(outlook(carbon=carbon, requests=REQUESTS[:7]), now_s=START_S)
        assert decision.planned_weights.shape == (48, 3)
        assert np.isfinite(decision.planned_weights).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=60), st.floats(-90000.0, 90000.0))
def test_any_carbon_and_any_moment_give_valid_weights(carbon, shift):
    decision = Controller(FLAVOURS, SETTINGS).decide(outlook(carbon=carbon, requests=REQUESTS), now_s=START_S + shift)
    assert sum(decision.weights.values()) == TOTAL_WEIGHT
    assert min(decision.weights.values()) >= 0
    json.dumps(decision.to_dict(), allow_nan=False)


def test_no_carbon_at_all_is_no_reason_to_lower_quality():
    decision = Controller(FLAVOURS, SETTINGS).decide(outlook(carbon=np.zeros(48), requests=REQUESTS), now_s=START_S)
    assert decision.weights == {"high": TOTAL_WEIGHT, "medium": 0, "low": 0}


@pytest.mark.parametrize("carbon", [np.zeros(48), np.r_[0.0, CARBON[1:]]], ids=["none", "none now"])
def test_of_flavours_that_err_and_emit_alike_the_one_of_less_energy_serves(carbon):
    flavours = (
        Flavour(name="wasteful", error=0.0, energy_j=9.0),
        Flavour(name="thrifty", error=0.0, energy_j=5.0),
        Flavour(name="low", error=0.1, energy_j=1.0),
    )
    decision = Controller(flavours, SETTINGS).decide(outlook(carbon=carbon, requests=REQUESTS), now_s=START_S)
    assert decision.weights == {"wasteful": 0, "thrifty": TOTAL_WEIGHT, "low": 0}


def test_a_promise_that_cannot_be_kept_gives_the_least_error_and_says_so():
    flavours = (Flavour(name="a", error=0.05, energy_j=2.0), Flavour(name="b", error=0.2, energy_j=1.0))
    decision = Controller(flavours, SETTINGS).decide(outlook(carbon=CARBON, requests=REQUESTS), now_s=START_S)
    assert decision.weights == {"a": TOTAL_WEIGHT, "b": 0}
    assert decision.reasons.binding == "infeasible"


def test_what_the_guard_forbids_is_no_unmet_budget():
    trace, unmet = day("camel_m03"), set()
    rng = np.random.default_rng(4)
    for _ in range(10):
        controller = Controller(paper_flavours(), SETTINGS)
        view = outlook(carbon=trace.carbon_forecast, requests=trace.requests_forecast, start_s=trace.start_s)
        for slot in range(48):
            decision = controller.decide(view, now_s=view.start_of(slot))
            unmet |= set(decision.reasons.conditions)
            requests = trace.requests_actual[slot] * rng.uniform(0.7, 1.3)
            counts = {name: weight / TOTAL_WEIGHT * requests for name, weight in decision.weights.items()}
            controller.observe_requests(counts, until_s=view.start_of(slot + 1))
    assert unmet == set()


def test_the_range_of_carbon_lies_around_the_estimate_that_was_decided_on():
    noisy = CARBON + 20.0 * np.random.default_rng(3).standard_normal(48)
    view = outlook(carbon=np.tile(noisy, 3), requests=REQUESTS)
    controller = Controller(FLAVOURS, SETTINGS)
    assert controller.carbon_range(view, now_s=START_S) is None
    for slot in range(60):
        start_s = view.start_of(slot)
        controller.observe_carbon(start_s, actual_g_per_kwh=CARBON[slot % 48], forecast_g_per_kwh=noisy[slot % 48])
    inside = 0
    for slot in range(60, 80):
        low, high = controller.carbon_range(view, now_s=view.start_of(slot))
        estimate = controller.decide(view, now_s=view.start_of(slot)).reasons.carbon_now_g_per_kwh
        inside += low <= estimate <= high
    assert inside >= 18


def test_steady_excess_raises_the_expected_volume_and_noise_does_not():
    view = outlook(carbon=CARBON, requests=np.full(48, 1000.0))
    rng = np.random.default_rng(1)
    ratios = {}
    for name, level in (("excess", np.full(24, 1.4)), ("noise", 1 + 0.03 * rng.standard_normal(24))):
        controller = Controller(FLAVOURS, SETTINGS)
        for slot in range(24):
            serve(controller, view, slot=slot, requests=1000.0 * level[slot])
        ratios[name] = controller.state.volume.ratio(requests_per_slot=1000.0, prior_slots=8.0)
    assert ratios["excess"] > 1.25
    assert abs(ratios["noise"] - 1.0) < 0.01


def test_a_new_day_starts_with_a_whole_budget():
    controller = Controller(FLAVOURS, SETTINGS)
    view = outlook(carbon=np.tile(CARBON, 2), requests=np.tile(REQUESTS, 2))
    for slot in range(48):
        serve(controller, view, slot=slot, requests=REQUESTS[slot])
    decision = controller.decide(view, now_s=START_S + 86400)
    assert controller.state.ledger.before(BudgetWindow(), START_S + 86400).requests == pytest.approx(REQUESTS.sum())
    assert decision.reasons.budget_left_error_requests == pytest.approx(0.02 * REQUESTS.sum(), rel=1e-3)


def test_a_state_of_the_version_that_kept_carbon_with_each_service_is_read():
    controller = Controller(FLAVOURS, SETTINGS)
    controller.observe_requests({"high": 70, "low": 30}, until_s=START_S + 60)
    older = {**controller.state.to_dict(), "version": 2, "carbon": [[START_S, 100.0, None]]}
    assert ControllerState.from_dict(older) == controller.state


def test_imposed_weights_are_handed_out_and_known_to_be_in_flight():
    view = outlook(carbon=CARBON, requests=REQUESTS)
    imposed = {"high": 2000, "medium": 0, "low": 8000}
    controller = Controller(FLAVOURS, SETTINGS)
    free = controller.decide(view, now_s=START_S)
    decision = controller.decide(view, now_s=START_S, imposed=imposed)
    assert dict(decision.weights) == imposed
    assert decision.reasons.binding == "imposed"
    assert decision.expected_error > free.expected_error
    # An hour of answers that nobody has counted yet, at the imposed mix: less is left than with the plan's own.
    later = [
        c.decide(view, now_s=START_S + 3600) for c in (controller, Controller(FLAVOURS, SETTINGS, controller.state))
    ]
    assert later[0].to_dict() == later[1].to_dict()
    untouched = Controller(FLAVOURS, SETTINGS)
    untouched.decide(view, now_s=START_S)
    fresh = untouched.decide(view, now_s=START_S + 3600)
    assert later[0].reasons.budget_left_error_requests < fresh.reasons.budget_left_error_requests


@pytest.mark.parametrize(
    "change",
    [
        {"version": 4},
        {"commands": {}},
        {"version": 2, "carbon": [], "y": 0},
        {"volume": {}},
        {"accounted_until_s": "x"},
        {"x": 1},
    ],
)
def test_a_state_that_was_tampered_with_is_refused(change):
    with pytest.raises(ValueError, match=r"\w"):
        ControllerState.from_dict({**ControllerState().to_dict(), **change})


@pytest.mark.parametrize(
    "field",
    [{"max_error": 1.5}, {"max_error": float("nan")}, {"guard": -0.1}, {"seed": -1}, {"sampling_sigmas": -1.0}],
)
def test_settings_out_of_range_are_refused(field):
    with pytest.raises(ValueError, match=next(iter(field)).removesuffix("_s")):
        ControllerSettings(**{"max_error": 0.02, **field})
