"""The promise through the controller: every kind of window, whatever the demand in the band, and under constraints."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import (
    TOTAL_WEIGHT,
    BudgetWindow,
    Controller,
    ControllerSettings,
    ControllerState,
    Flavour,
    Outlook,
    nested,
)
from scheduler.constraints import (
    GREATEST_SHARE_UNMET,
    LEAST_SHARE_UNMET,
    PRECISION_FLOOR_UNMET,
    STEP_LIMIT_UNMET,
    Constraints,
    DailyBlackout,
)
from scheduler.planner import fill

from .support import FLAVOURS, SLOT_S, START_S, outlook, serve

HOUR = 3600.0
DAY = 86400.0
MONTH_S = datetime(2023, 11, 1, tzinfo=UTC).timestamp()

OTHERS = (  # none without error, two alike, one that is never worth it
    Flavour(name="fine", error=0.01, energy_j=4.0),
    Flavour(name="twin", error=0.01, energy_j=4.0),
    Flavour(name="waste", error=0.06, energy_j=6.0),
    Flavour(name="coarse", error=0.3, energy_j=1.0),
)

ERRORS = {flavour.name: flavour.error for flavour in (*FLAVOURS, *OTHERS)}

CALENDAR = {  # window, seconds of a slot, start, seconds to drive
    "hours": (BudgetWindow(length_s=6 * HOUR), 1800.0, START_S, 18 * HOUR),
    "hours across slots": (BudgetWindow(length_s=5 * HOUR, offset_s=700.0), 1800.0, START_S, 20 * HOUR),
    "days": (BudgetWindow(), 3600.0, START_S, 2 * DAY),
    "weeks": (BudgetWindow(length_s=7 * DAY, offset_s=DAY), 3 * HOUR, START_S - 4 * DAY, 6 * DAY),
    "months": (BudgetWindow(kind="month", offset_s=5 * HOUR), 30 * HOUR, MONTH_S, 31 * DAY),
    "half carried over": (BudgetWindow(length_s=4 * HOUR, carry_over=0.5), 1800.0, START_S, 20 * HOUR),
    "all carried over": (BudgetWindow(length_s=4 * HOUR, carry_over=1.0), 1800.0, START_S, 20 * HOUR),
}
ROLLING = {
    "one hour": (BudgetWindow(kind="rolling", length_s=HOUR), 600.0, START_S, 6 * HOUR),
    "one day": (BudgetWindow(kind="rolling"), 1800.0, START_S, 1.5 * DAY),
}
EVERY = {**CALENDAR, **{f"rolling {name}": case for name, case in ROLLING.items()}}


def scene(case, *, seed, guard, edge=False):
    """An outlook that reaches a window beyond the end, and a demand for each slot within the band around it."""
    window, slot_s, start_s, lasts_s = case
    rng = np.random.default_rng(seed)
    slots = int((lasts_s + min(window.length_s, lasts_s)) / slot_s) + 1
    foreseen = rng.integers(0, 300, slots).astype(float) * (rng.random(slots) < 0.8)
    swing = rng.choice([-1.0, 1.0], slots) if edge else rng.uniform(-1.0, 1.0, slots)
    carbon = rng.uniform(0.0, 400.0, slots)
    view = Outlook(start_s=start_s, slot_s=slot_s, carbon_g_per_kwh=carbon, requests=foreseen)
    return view, foreseen * (1.0 + guard * swing)


def drive(controller, view, demand, *, since_s, until_s, lag=0, against=0.0):
    """Serve by weight, report every step `lag` steps late: (start, end, requests, error-requests, granted, error).

    Demand is by the part `against` higher whenever more error is served than granted, else lower.
    """
    steps, uncounted, now_s = [], [], since_s
    while now_s < until_s:
        decision = controller.decide(view, now_s=now_s)
        end_s = decision.valid_until_s
        requests = float(demand[view.slot_of(now_s)]) * (end_s - now_s) / view.slot_s
        requests *= 1.0 + against if decision.expected_error > controller.settings.max_error else 1.0 - against
        counts = {name: weight / TOTAL_WEIGHT * requests for name, weight in decision.weights.items()}
        uncounted.append((now_s, end_s, counts))
        if len(uncounted) > lag:
            reported_s, reported_until_s, reported = uncounted.pop(0)
            controller.observe_requests(reported, since_s=reported_s, until_s=reported_until_s)
        erring = sum(count * ERRORS[name] for name, count in counts.items())
        granted = requests * controller.settings.max_error
        steps.append((now_s, end_s, requests, erring, granted, decision.expected_error))
        now_s = end_s
    return steps


def endings(window, steps):
    """The windows that have ended, added up anew from the steps: (end, excess, granted, carried)."""
    ends = [step[1] for step in steps]
    opens = sorted({window.of(step[0]) for step in steps if window.of(step[0])[1] <= ends[-1]})
    spans = [(end_s - window.length_s, end_s) for end_s in ends] if window.kind == "rolling" else opens
    found, carried = [], 0.0
    for since_s, until_s in spans:
        span = [step for step in steps if since_s <= step[0] and step[1] <= until_s]
        erring, granted = sum(step[3] for step in span), sum(step[4] for step in span)
        found.append((until_s, erring - granted - carried, granted, carried))
        carried = max(0.0, min(window.carry_over * granted, granted + carried - erring))
    return found


def over(window, steps):
    """When windows ended over their budget."""
    return [end_s for end_s, excess, granted, _ in endings(window, steps) if excess > 1e-9 * (1.0 + granted)]


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=5, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    guard=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    max_error=st.sampled_from([0.0, 0.01, 0.04, 0.12]),
    edge=st.booleans(),
    flavours=st.sampled_from([FLAVOURS, OTHERS]),
)
def test_no_window_ends_over_for_any_demand_within_the_band(name, seed, guard, max_error, edge, flavours):
    window, _, start_s, lasts_s = EVERY[name]
    max_error = max(max_error, min(flavour.error for flavour in flavours))
    controller = Controller(flavours, ControllerSettings(max_error=max_error, guard=guard, window=window))
    view, demand = scene(EVERY[name], seed=seed, guard=guard, edge=edge)
    steps = drive(controller, view, demand, since_s=start_s, until_s=start_s + lasts_s)
    assert len(endings(window, steps)) > 0
    assert over(window, steps) == []


@pytest.mark.parametrize("name", ["half carried over", "all carried over"])
def test_the_credit_taken_over_is_what_was_left_up_to_the_cap(name):
    window, _, start_s, lasts_s = CALENDAR[name]
    controller = Controller(FLAVOURS, ControllerSettings(max_error=0.03, guard=0.1, window=window))
    view, demand = scene(CALENDAR[name], seed=3, guard=0.1)
    steps, carried = [], []
    for number in range(int(lasts_s / window.length_s)):
        since_s, until_s = (start_s + window.length_s * later for later in (number, number + 1))
        if number % 2:
            steps += drive(controller, view, demand, since_s=since_s, until_s=until_s)
        else:  # somebody served full quality, and it was a busy time
            controller.observe_requests({"high": 1000.0}, since_s=since_s, until_s=until_s)
            steps.append((since_s, until_s, 1000.0, 0.0, 30.0, 0.0))
        carried.append(controller.state.ledger.open(window, since_s).carried)
    expected = endings(window, steps)
    assert carried == pytest.approx([entry[3] for entry in expected])
    assert carried[1] == pytest.approx(30.0 * window.carry_over)
    assert max(step[5] for step in steps[1:9]) > 0.03
    assert over(window, steps) == []


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=3, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    promises=st.sampled_from([(0.02, 0.08), (0.08, 0.02), (0.12, 0.01), (0.05, 0.05)]),
    flavours=st.sampled_from([(FLAVOURS, FLAVOURS), (FLAVOURS, OTHERS), (OTHERS, FLAVOURS)]),
    at=st.floats(0.1, 0.9),
)
def test_a_new_promise_or_new_flavours_mid_window_keep_it_or_serve_the_least_error(name, seed, promises, flavours, at):
    window, slot_s, start_s, lasts_s = EVERY[name]
    change_s = start_s + slot_s * round(at * lasts_s / slot_s)
    view, demand = scene(EVERY[name], seed=seed, guard=0.2)
    first = Controller(flavours[0], ControllerSettings(max_error=promises[0], guard=0.2, window=window))
    steps = drive(first, view, demand, since_s=start_s, until_s=change_s)
    change_s = steps[-1][1]
    restarted = ControllerState.from_dict(json.loads(json.dumps(first.state.to_dict())))
    second = Controller(flavours[1], ControllerSettings(max_error=promises[1], guard=0.2, window=window), restarted)
    steps += drive(second, view, demand, since_s=change_s, until_s=start_s + lasts_s)
    least = [min(flavour.error for flavour in some) for some in flavours]
    ended = over(window, steps)
    # What was spent before may be more than is granted now; then nothing else may be spent.
    assert all(s[5] == least[1] for s in steps if ended and change_s <= s[0] < max(ended) and s[2])
    if promises[1] >= promises[0] and least[0] >= least[1]:
        assert ended == []


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("reports", [False, True], ids=["unreported", "reported"])
def test_a_clock_that_jumps_400_days_ahead_and_back_keeps_the_promise(name, reports):
    window, slot_s, start_s, lasts_s = EVERY[name]
    for seed in range(2):
        view, demand = scene(EVERY[name], seed=seed, guard=0.1)
        controller = Controller(FLAVOURS, ControllerSettings(max_error=0.03, guard=0.1, window=window))
        jump_s = start_s + slot_s * round(0.4 * lasts_s / slot_s)
        steps = drive(controller, view, demand, since_s=start_s, until_s=jump_s)
        controller.decide(view, now_s=jump_s + 400 * DAY)
        if reports:
            controller.observe_requests({"low": 1.0}, until_s=jump_s + 400 * DAY + 60.0)
            controller.decide(view, now_s=jump_s + 400 * DAY + 60.0)
        steps += drive(controller, view, demand, since_s=steps[-1][1], until_s=start_s + lasts_s)
        assert over(window, steps) == []


def test_a_rolling_window_is_kept_when_counts_come_a_slot_late():
    window, _, start_s, lasts_s = EVERY["rolling one hour"]
    controller = Controller(OTHERS, ControllerSettings(max_error=0.04, guard=0.0, window=window))
    view, demand = scene(EVERY["rolling one hour"], seed=1, guard=0.0)
    steps = drive(controller, view, demand, since_s=start_s, until_s=start_s + lasts_s, lag=1)
    assert over(window, steps) == []


@pytest.mark.parametrize("lag", [2, 12])
def test_demand_within_the_band_keeps_the_promise_when_counts_come_hours_late(lag):
    window, slot_s, start_s, _ = CALENDAR["hours"]
    controller = Controller(FLAVOURS, ControllerSettings(max_error=0.04, guard=0.3, window=window))
    rng = np.random.default_rng(2)
    carbon, foreseen = rng.uniform(0.0, 400.0, 24), rng.uniform(10.0, 300.0, 24)
    view = Outlook(start_s=start_s, slot_s=slot_s, carbon_g_per_kwh=carbon, requests=foreseen)
    until_s = start_s + window.length_s
    steps = drive(controller, view, foreseen, since_s=start_s, until_s=until_s, lag=lag, against=0.3)
    assert over(window, steps) == []


@pytest.mark.parametrize(
    ("name", "lag", "seed"),
    [("hours", 30, 13), ("half carried over", 10, 1), ("days", 30, 11), ("rolling one hour", 6, 3)],
)
def test_of_a_command_that_began_before_the_window_only_what_it_served_within_counts(name, lag, seed):
    window, _, start_s, lasts_s = EVERY[name]
    view, demand = scene(EVERY[name], seed=seed, guard=0.0)
    controller = Controller(OTHERS, ControllerSettings(max_error=0.04, guard=0.0, window=window))
    steps = drive(controller, view, demand, since_s=start_s, until_s=start_s + lasts_s, lag=lag)
    assert over(window, steps) == []


def test_credit_that_uncounted_requests_have_spent_is_not_taken_over():
    window, slot_s, start_s, _ = CALENDAR["all carried over"]
    carbon, demand = np.repeat([10.0, 400.0, 400.0, 10.0], 4), np.full(16, 100.0)
    view = Outlook(start_s=start_s, slot_s=slot_s, carbon_g_per_kwh=carbon, requests=demand)
    controller = Controller(FLAVOURS, ControllerSettings(max_error=0.04, guard=0.0, window=window))
    steps = drive(controller, view, demand, since_s=start_s, until_s=start_s + 2 * window.length_s, lag=4)
    assert over(window, steps) == []


def test_a_rolling_window_in_debt_serves_the_least_error_even_when_nobody_is_expected():
    window = BudgetWindow(kind="rolling", length_s=6 * SLOT_S)
    controller = Controller(FLAVOURS, ControllerSettings(max_error=0.02, guard=0.1, window=window))
    controller.observe_requests({"low": 20.0}, since_s=START_S - SLOT_S, until_s=START_S)
    view = outlook(carbon=[400.0, 390.0, 380.0, 5.0, 5.0, 5.0], requests=[0.0, 300.0, 300.0, 50.0, 0.0, 100.0])
    assert controller.decide(view, now_s=START_S).expected_error == 0.0


def test_a_rolling_window_spends_the_credit_that_would_expire():
    window = BudgetWindow(kind="rolling")
    settings_ = ControllerSettings(max_error=0.02, guard=0.1, window=window)
    controller, demand = Controller(FLAVOURS, settings_), np.full(144, 100.0)
    view = outlook(carbon=np.repeat([0.0, 400.0, 5.0], [48, 24, 72]), requests=demand)
    clean = drive(controller, view, demand, since_s=START_S, until_s=START_S + DAY)
    dirty = drive(controller, view, demand, since_s=START_S + DAY, until_s=START_S + 1.5 * DAY)
    fresh = drive(Controller(FLAVOURS, settings_), view, demand, since_s=START_S + DAY, until_s=START_S + 1.5 * DAY)
    spent = [sum(step[3] for step in steps) / sum(step[4] for step in steps) for steps in (clean, dirty, fresh)]
    assert spent[0] < 0.2
    assert spent[1] > 1.6
    assert spent[2] <= 1.0
    assert over(window, clean + dirty) == []


def test_the_work_of_one_decision_is_bounded_by_the_slots_of_its_window(monkeypatch):
    calls = []
    monkeypatch.setattr(nested, "fill", lambda *args: calls.append(0) or fill(*args))
    view, _ = scene((BudgetWindow(length_s=7 * DAY), SLOT_S, START_S, 7 * DAY), seed=1, guard=0.1)
    for kind, most in (("calendar", 2), ("rolling", 2 * 2 * 7 * 48)):
        window = BudgetWindow(length_s=7 * DAY, kind=kind, offset_s=START_S % (7 * DAY))
        decision = Controller(FLAVOURS, ControllerSettings(max_error=0.02, window=window)).decide(view, now_s=START_S)
        assert decision.planned_weights.shape == (7 * 48, 3)
        assert 0 < len(calls) <= most
        calls.clear()


CONSTRAINTS = {
    "least share": Constraints(least_share={"low": 0.05, "medium": 0.1}),
    "greatest share": Constraints(greatest_share={"high": 0.9, "low": 0.2}),
    "step limit": Constraints(max_change=0.1),
    "blackout": Constraints(blackouts=(DailyBlackout(start_s=22.5 * HOUR, end_s=1.25 * HOUR),)),
    "precision floor": Constraints(min_precision=0.95),
    "all": Constraints(
        least_share={"medium": 0.05},
        greatest_share={"low": 0.3},
        max_change=0.2,
        blackouts=(DailyBlackout(start_s=8 * HOUR, end_s=9 * HOUR, weekdays=(2,)),),
        min_precision=0.93,
    ),
}
ROUNDING = len(FLAVOURS) * 1e-4  # all that is rounded off goes to one flavour


def decisions_under(constraints, *, seed, guard=0.1, max_error=0.03, days=1, window=None):
    """Serve days under constraints: the decisions and the steps."""
    window = window or BudgetWindow()
    controller = Controller(
        FLAVOURS, ControllerSettings(max_error=max_error, guard=guard, window=window, constraints=constraints)
    )
    case = (window, SLOT_S, START_S, days * DAY)
    view, demand = scene(case, seed=seed, guard=guard)
    decisions, decide = [], controller.decide
    controller.decide = lambda *args, **more: decisions.append(decide(*args, **more)) or decisions[-1]
    return decisions, drive(controller, view, demand, since_s=START_S, until_s=START_S + days * DAY)


def unmet(decision):
    return {condition.partition(":")[0] for condition in decision.reasons.conditions}


@pytest.mark.parametrize("name", CONSTRAINTS)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_weights_meet_what_is_demanded_of_them(name, seed):
    constraints = CONSTRAINTS[name]
    decisions, steps = decisions_under(constraints, seed=seed, days=1.5)
    before, met = None, 0
    for decision in decisions:
        shares = {flavour: weight / TOTAL_WEIGHT for flavour, weight in decision.weights.items()}
        dark = constraints.blacked_out(np.array([decision.slot_start_s]), slot_s=SLOT_S)[0]
        assert not dark or decision.weights == {"high": TOTAL_WEIGHT, "medium": 0, "low": 0}
        assert decision.expected_error <= 1.0 - (constraints.min_precision or 0.0) + 1e-9
        for flavour, share in shares.items() if not dark else ():
            least, most = constraints.least_share.get(flavour, 0.0), constraints.greatest_share.get(flavour, 1.0)
            assert share >= least - ROUNDING or f"{LEAST_SHARE_UNMET}:{flavour}" in decision.reasons.conditions
            assert share <= most + ROUNDING or f"{GREATEST_SHARE_UNMET}:{flavour}" in decision.reasons.conditions
        if before is not None and not dark and STEP_LIMIT_UNMET not in unmet(decision):
            change = max(abs(shares[flavour] - before[flavour]) for flavour in shares)
            assert change <= (constraints.max_change or 1.0) + ROUNDING
        before = shares
        met += not decision.reasons.conditions
    assert met > len(decisions) / 2
    assert over(BudgetWindow(), steps) == []


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    name=st.sampled_from(sorted(CONSTRAINTS)),
    max_error=st.sampled_from([0.0, 0.005, 0.03]),
    window=st.sampled_from([CALENDAR["hours"][0], CALENDAR["half carried over"][0], BudgetWindow(kind="rolling")]),
)
def test_guard_and_constraints_together_keep_the_budget(seed, name, max_error, window):
    _, steps = decisions_under(CONSTRAINTS[name], seed=seed, guard=0.3, max_error=max_error, window=window)
    assert [end for end, excess, granted, _ in endings(window, steps) if excess > 1e-6 * (1.0 + granted)] == []


def test_the_step_limit_counts_from_the_slot_before_however_often_a_slot_is_decided():
    constraints = Constraints(max_change=0.1)
    controller = Controller(FLAVOURS, ControllerSettings(max_error=0.05, guard=0.0, constraints=constraints))
    requests = np.full(48, 100.0)
    clean, dirty = (outlook(carbon=np.full(48, level), requests=requests) for level in (0.0, 400.0))
    first = controller.decide(clean, now_s=START_S).weights
    assert first == {"high": TOTAL_WEIGHT, "medium": 0, "low": 0}
    again = controller.decide(outlook(carbon=np.r_[400.0, np.zeros(47)], requests=requests), now_s=START_S + 60.0)
    assert again.weights["high"] < 0.5 * TOTAL_WEIGHT  # no limit: nothing was served in a slot before
    before = again.weights
    for minute in range(30):
        weights = controller.decide(dirty if minute % 2 else clean, now_s=START_S + SLOT_S + 60.0 * minute).weights
        assert max(abs(weights[name] - before[name]) for name in weights) <= 0.1 * TOTAL_WEIGHT + 3
    assert controller.state.commands.previous(START_S + SLOT_S) == before


@pytest.mark.parametrize(
    ("constraints", "condition"),
    [
        (Constraints(least_share={"low": 0.5}), f"{LEAST_SHARE_UNMET}:low"),
        (Constraints(greatest_share={"high": 0.2}), f"{GREATEST_SHARE_UNMET}:high"),
        (Constraints(least_share={"gone": 0.2}), f"{LEAST_SHARE_UNMET}:gone"),
    ],
)
def test_a_demand_against_the_budget_is_named_in_the_reasons(constraints, condition):
    decisions, steps = decisions_under(constraints, seed=1)
    assert any(condition in decision.reasons.conditions for decision in decisions)
    assert over(BudgetWindow(), steps) == []


def test_a_floor_that_no_flavour_reaches_is_named_in_the_reasons():
    settings_ = ControllerSettings(max_error=0.05, constraints=Constraints(min_precision=1.0))
    decision = Controller(OTHERS, settings_).decide(
        outlook(carbon=np.full(48, 100.0), requests=np.ones(48)), now_s=START_S
    )
    assert PRECISION_FLOOR_UNMET in decision.reasons.conditions
    assert decision.expected_error == pytest.approx(0.01)


def test_a_step_that_the_budget_forces_is_named_in_the_reasons():
    constraints = Constraints(max_change=0.05)
    controller = Controller(FLAVOURS, ControllerSettings(max_error=0.02, guard=0.0, constraints=constraints))
    view = outlook(carbon=np.linspace(400.0, 100.0, 48), requests=np.full(48, 100.0))
    serve(controller, view, slot=0, requests=100.0)
    controller.observe_requests({"low": 2000.0}, until_s=START_S + SLOT_S)  # far more than anyone foresaw
    decision = controller.decide(view, now_s=START_S + SLOT_S)
    assert decision.weights["high"] == TOTAL_WEIGHT
    assert STEP_LIMIT_UNMET in decision.reasons.conditions
