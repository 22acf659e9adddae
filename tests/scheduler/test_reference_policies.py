"""The reference system's policies and the plain ones: the figures its own code gave, and sound answers to anything."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import Flavour
from scheduler.policies.credit import CreditAccount, CreditGreedy
from scheduler.policies.foresight import ForecastAware, ForecastAwareGlobal
from scheduler.policies.plain import AlwaysBest, AlwaysCheapest, CarbonBlind, RandomShares, RoundRobin
from tests.scheduler.situations import REFERENCE_FLAVOURS, situation

RISING = (60, 70, 80, 90, 100, 120)
FALLING = (180, 140, 100, 80, 60, 50)
HIGH = (300, 290, 280, 270, 260, 250)

ALL = (
    AlwaysBest,
    AlwaysCheapest,
    CarbonBlind,
    RandomShares,
    RoundRobin,
    CreditGreedy,
    ForecastAware,
    ForecastAwareGlobal,
)
LEANING = (CreditGreedy, ForecastAware, ForecastAwareGlobal)


def shares(proposal):
    return proposal.shares[0].tolist()


def around(*values, to=5.1e-5):  # the figures have four digits
    return pytest.approx(list(values), abs=to)


@pytest.mark.parametrize(
    ("policy", "balance", "slots", "expected"),
    [
        (CreditGreedy, 0.0, RISING, (0.8500, 0.0667, 0.0833)),
        (CreditGreedy, 0.0, FALLING, (0.4250, 0.2556, 0.3194)),
        (CreditGreedy, 0.0, HIGH, (0.0500, 0.4222, 0.5278)),
        (CreditGreedy, 0.8, RISING, (0.7300, 0.1200, 0.1500)),
        (CreditGreedy, 0.8, FALLING, (0.0500, 0.4222, 0.5278)),
        (CreditGreedy, 0.8, HIGH, (0.0500, 0.4222, 0.5278)),
        (CreditGreedy, -0.6, RISING, (0.9580, 0.0187, 0.0233)),
        (CreditGreedy, -0.6, FALLING, (0.8390, 0.0716, 0.0894)),
        (CreditGreedy, -0.6, HIGH, (0.7200, 0.1244, 0.1556)),
        (ForecastAware, 0.0, RISING, (0.8500, 0.0667, 0.0833)),
        (ForecastAware, 0.0, FALLING, (0.3694, 0.2802, 0.3503)),
        (ForecastAware, 0.0, HIGH, (0.0500, 0.4222, 0.5278)),
        (ForecastAwareGlobal, 0.0, RISING, (0.9800, 0.0100, 0.0100)),
        (ForecastAwareGlobal, 0.0, FALLING, (0.1062, 0.3972, 0.4966)),
        (ForecastAwareGlobal, 0.0, HIGH, (0.0100, 0.4400, 0.5500)),
    ],
)
def test_shares_are_those_of_the_reference(policy, balance, slots, expected):
    proposal = policy().propose(situation(carbon=slots, memory={"balance": balance}))
    assert shares(proposal) == around(*expected)
    assert proposal.diagnostics["credit_balance"] == balance


@pytest.mark.parametrize(("slots", "total"), [(RISING, -0.987), (FALLING, 0.350), (HIGH, 0.794)])
def test_total_adjustment_is_that_of_the_reference(slots, total):
    proposal = ForecastAwareGlobal().propose(situation(carbon=slots))
    assert proposal.diagnostics["total_adjustment"] == pytest.approx(total, abs=5e-4)


def test_the_order_of_flavours_is_that_of_the_shares():
    for policy, order in itertools.product(LEANING, itertools.permutations(range(3))):
        flavours = [REFERENCE_FLAVOURS[index] for index in order]
        usual = shares(policy().propose(situation(carbon=FALLING)))
        assert shares(policy().propose(situation(carbon=FALLING, flavours=flavours))) == pytest.approx(
            [usual[index] for index in order]
        )


def test_carbon_is_taken_as_the_provider_states_it():
    for policy in LEANING:
        corrected = policy().propose(situation(carbon=RISING, provided=FALLING))
        assert shares(corrected) == shares(policy().propose(situation(carbon=FALLING)))


def test_without_a_carbon_signal_only_credit_speaks():
    for policy in LEANING:
        proposal = policy().propose(situation(carbon=HIGH, basis="none"))
        assert shares(proposal) == around(0.5, 0.2222, 0.2778)
        assert proposal.diagnostics["carbon_multiplier"] == 1.0
        assert "carbon_now" not in proposal.diagnostics


def test_credit_moves_by_the_error_predicted_and_by_the_error_realised():
    for policy in LEANING:
        proposal = policy().propose(situation(carbon=FALLING, memory={"balance": 0.2}))
        error = proposal.shares[0] @ [0.0, 0.5, 0.7]
        assert proposal.memory["balance"] == pytest.approx(0.2 + 0.33 * (0.15 - error))
        assert proposal.diagnostics["avg_precision"] == pytest.approx(1.0 - error)
        observed = policy().observe(proposal.memory, mean_error=0.05, max_error=0.15)
        assert observed == {**proposal.memory, "balance": pytest.approx(proposal.memory["balance"] + 0.033)}


def test_credit_stays_within_its_limits():
    policy = CreditGreedy(account=CreditAccount(lowest=-0.1, highest=0.2))
    assert policy.observe({"balance": 0.19}, mean_error=0.0, max_error=0.15) == {"balance": 0.2}
    assert policy.observe({}, mean_error=1.0, max_error=0.15) == {"balance": -0.1}
    assert policy.propose(situation(memory={"balance": 7.0})).diagnostics["normalised_credit"] == 1.0


@pytest.mark.parametrize("limits", [(0.0, 0.0), (0.1, 1.0), (-1.0, -0.5), (float("-inf"), 1.0), (-1.0, float("nan"))])
def test_limits_without_room_around_zero_are_refused(limits):
    with pytest.raises(ValueError, match="no room"):
        CreditAccount(lowest=limits[0], highest=limits[1])


@pytest.mark.parametrize("sensitivity", [-0.1, float("nan")])
def test_a_negative_sensitivity_is_refused(sensitivity):
    with pytest.raises(ValueError, match="sensitivity"):
        CreditAccount(sensitivity=sensitivity)


def test_forecast_aware_keeps_quality_now_when_carbon_rises():
    proposal = ForecastAware().propose(situation(carbon=(180, 260)))
    assert proposal.diagnostics["adjustment"] == pytest.approx(-0.25 * 80 / 180)
    assert shares(proposal)[0] == pytest.approx(0.425 + 0.25 * 80 / 180)
    assert shares(proposal)[1] / shares(proposal)[2] == pytest.approx(0.8)


def test_forecast_aware_moves_no_more_than_its_limit():
    assert ForecastAware().propose(situation(carbon=(100, 400))).diagnostics["adjustment"] == -0.15
    assert ForecastAware().propose(situation(carbon=(400, 10))).diagnostics["adjustment"] == 0.15
    assert ForecastAware().propose(situation(carbon=(0, 15))).diagnostics["adjustment"] == -0.15


@pytest.mark.parametrize(
    ("requests", "signal"),
    [((100, 160), -0.6), ((100, 130), -0.3), ((100, 100), 0), ((100, 79), 0.2), ((100, 59), 0.4), ((0, 9), 0), ((), 0)],
)
def test_demand_to_come_is_heeded(requests, signal):
    proposal = ForecastAwareGlobal().propose(situation(carbon=(150, 150), requests=requests))
    assert proposal.diagnostics["demand_adjustment"] == signal
    assert proposal.diagnostics["total_adjustment"] == pytest.approx(0.1 * signal)


@pytest.mark.parametrize(
    ("average", "evaluations", "now", "signal"),
    [
        (2.0, 9, 150, 0),
        (2.0, 10, 150, 0.5),
        (1.1, 10, 150, 0.2),
        (1.0, 10, 150, 0),
        (0.7, 10, 150, -0.3),
        (9, 10, 80, 0),
    ],
)
def test_past_emissions_are_held_against_the_present(average, evaluations, now, signal):
    memory = {"evaluations": float(evaluations), "emissions": average * now * evaluations}
    proposal = ForecastAwareGlobal().propose(situation(carbon=(now,), memory=memory))
    assert proposal.diagnostics["emissions_adjustment"] == signal
    assert proposal.diagnostics["evaluation_count"] == evaluations
    assert proposal.memory["evaluations"] == evaluations + 1
    factor = proposal.shares[0] @ [1.0, 0.6, 0.3]
    assert proposal.memory["emissions"] == pytest.approx(memory["emissions"] + factor * now)


@pytest.mark.parametrize(
    ("slots", "signal"),
    [
        ((80,), -0.6),
        ((220,), 0.6),
        ((150, 150, 80), -0.2),
        ((150, 230), 0.2),
        ((150, 80, 230), 0),
        ((150, 150, 150, 80), 0),
    ],
)
def test_zones_are_looked_for_in_three_slots(slots, signal):
    proposal = ForecastAwareGlobal().propose(situation(carbon=slots))
    assert proposal.diagnostics["zone_adjustment"] == signal


def test_plain_policies_answer_what_their_names_say():
    twin = Flavour(name="twin", error=0.0, energy_j=9.0)
    flavours = (*REFERENCE_FLAVOURS, twin, Flavour(name="better", error=0.6, energy_j=3.0))
    told = situation(flavours=flavours, max_error=0.3)
    assert shares(AlwaysBest().propose(told)) == [0, 0, 0, 1, 0]
    assert shares(AlwaysCheapest().propose(told)) == [0, 0, 0, 0, 1]
    assert shares(RoundRobin().propose(told)) == [0.2] * 5
    assert shares(CarbonBlind().propose(told)) == pytest.approx([0, 0, 0, 0.5, 0.5])


def test_the_carbon_blind_mix_says_what_held_it():
    dear = [Flavour(name="good", error=0.2, energy_j=9.0), Flavour(name="bad", error=0.4, energy_j=1.0)]
    cases = [(0.1, "infeasible", [1, 0]), (0.3, "budget", [0.5, 0.5]), (0.5, "none", [0, 1])]
    for max_error, binding, expected in cases:
        proposal = CarbonBlind().propose(situation(flavours=dear, max_error=max_error))
        assert (proposal.binding, shares(proposal)) == (binding, pytest.approx(expected))


def test_chance_is_repeatable_and_new_each_time():
    def draws(seed):
        memory = {}
        for _ in range(3):
            proposal = RandomShares().propose(situation(seed=seed, memory=memory))
            memory = proposal.memory
            yield tuple(shares(proposal))

    assert list(draws(7)) == list(draws(7))
    assert len({*draws(7), *draws(8), *draws(-1)}) == 9


def test_plain_policies_learn_nothing():
    for policy in (AlwaysBest, AlwaysCheapest, CarbonBlind, RandomShares, RoundRobin):
        memory = {"evaluations": 3.0}
        assert policy().observe(memory, mean_error=0.4, max_error=0.1) is memory


numbers = st.one_of(st.sampled_from([0.0, 80.0, 220.0]), st.floats(-1e3, 1e3), st.floats(-1e15, 1e15))
energies = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.0, 1e12))
errors = st.one_of(st.sampled_from([0.0, 0.1, 1.0]), st.floats(0.0, 1.0))


@st.composite
def situations(draw):
    pairs = draw(st.lists(st.tuples(errors, energies), min_size=1, max_size=6))
    flavours = [Flavour(name=f"f{at}", error=error, energy_j=energy) for at, (error, energy) in enumerate(pairs)]
    memory = {"balance": draw(st.floats(-1.0, 1.0)), "evaluations": float(draw(st.integers(0, 30)))}
    return situation(
        flavours=flavours,
        carbon=draw(st.lists(numbers, min_size=1, max_size=8)),
        basis=draw(st.sampled_from(["provider", "past-actuals", "none"])),
        requests=draw(st.lists(st.floats(0.0, 1e9), max_size=8)),
        max_error=draw(errors),
        memory={**memory, "emissions": draw(numbers)} if draw(st.booleans()) else {},
        seed=draw(st.integers(-(2**63), 2**63)),
    )


@pytest.mark.parametrize("policy", ALL)
@settings(max_examples=150, deadline=None)
@given(told=situations())
def test_every_answer_is_sound(policy, told):
    proposal = policy().propose(told)
    assert proposal.shares.shape == (1, len(told.flavours))
    assert np.isfinite(proposal.shares).all()
    assert (proposal.shares >= 0.0).all()
    assert proposal.shares.sum() == pytest.approx(1.0, abs=1e-12)
    memory = policy().observe(proposal.memory, mean_error=0.3, max_error=told.max_error)
    for figures in (proposal.diagnostics, proposal.memory, memory):
        assert all(type(value) is float for value in figures.values())
        json.dumps(dict(figures), allow_nan=False)
    again = policy().propose(told)
    assert (again.shares == proposal.shares).all()
    assert again.memory == proposal.memory


@pytest.mark.parametrize("evaluations", [-1.0, -1e300, 1e300, 2.0**53, float("inf"), float("nan"), 0.5])
def test_chance_goes_on_from_any_counter_that_a_state_may_hold(evaluations):
    memory, rows = {"evaluations": evaluations}, []
    for _ in range(3):
        proposal = RandomShares().propose(situation(memory=memory))
        rows.append(tuple(shares(proposal)))
        memory = proposal.memory
    assert len(set(rows)) == 3
    assert 0.0 <= memory["evaluations"] <= 2.0**53
