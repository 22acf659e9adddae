"""What was commanded while nobody counts: every moment is accounted for, and the day still ends within budget."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import TOTAL_WEIGHT, Controller, ControllerSettings, ControllerState, Outlook, over_budget
from scheduler.commands import Commands

from .support import FLAVOURS, SLOT_S, START_S, books_of

ERRORS = {flavour.name: flavour.error for flavour in FLAVOURS}
MOST = 64

decisions = st.lists(st.tuples(st.integers(1, 3600), st.integers(0, 1000)), min_size=1, max_size=200)


def decided(steps, *, counted_s=START_S):
    """The commands after decisions, each (seconds since the one before, error in thousandths), and the last time."""
    commands, now_s = Commands(), START_S
    for number, (later_s, error) in enumerate(steps):
        now_s += later_s if number else 0.0
        commands = commands.decided(
            {"high": TOTAL_WEIGHT}, mean_error=error / 1000.0, now_s=now_s, slot_s=START_S, counted_s=counted_s
        )
    return commands, now_s


def spent(spans):
    return math.fsum((until_s - since_s) * error for since_s, until_s, error in spans)


@settings(max_examples=100, deadline=None)
@given(decisions, st.integers(0, 3600))
def test_all_that_was_commanded_is_accounted_for_moment_by_moment(steps, after_s):
    commands, last_s = decided(steps)
    until_s = last_s + after_s
    spans = commands.spans(START_S, until_s)
    assert len(commands.errors) <= MOST
    assert math.fsum(end_s - begin_s for begin_s, end_s, _ in spans) == pytest.approx(until_s - START_S)
    assert all(end_s == begin_s for (_, end_s, _), (begin_s, _, _) in pairwise(spans))
    seconds = [later_s for later_s, _ in steps[1:]] + [after_s]
    exact = math.fsum(length_s * error / 1000.0 for length_s, (_, error) in zip(seconds, steps, strict=True))
    assert spent(spans) == pytest.approx(exact, abs=1e-3)


@settings(max_examples=100, deadline=None)
@given(decisions, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_two_parts_of_a_time_are_the_whole(steps, first, second):
    commands, last_s = decided(steps)
    begin_s, end_s = sorted(START_S + share * (last_s - START_S) for share in (first, second))
    parts = (*commands.spans(START_S, begin_s), *commands.spans(begin_s, end_s), *commands.spans(end_s, last_s))
    assert spent(parts) == pytest.approx(spent(commands.spans(START_S, last_s)), abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(decisions)
def test_commands_survive_a_restart(steps):
    commands, _ = decided(steps)
    assert Commands.from_dict(json.loads(json.dumps(commands.to_dict(), allow_nan=False))) == commands


def test_what_is_counted_is_forgotten_but_for_the_command_in_force():
    commands, last_s = decided([(60, 10), (60, 20), (60, 30)])
    assert commands.spans(START_S + 90.0, last_s) == ((START_S + 90.0, START_S + 120.0, 0.02),)
    later = commands.decided({}, mean_error=0.04, now_s=last_s + 60.0, slot_s=START_S, counted_s=last_s + 30.0)
    assert later.errors == ((last_s, 0.03), (last_s + 60.0, 0.04))


def test_a_command_that_is_repeated_is_one_and_one_of_the_same_moment_is_replaced():
    commands, _ = decided([(60, 10), (60, 10), (60, 20), (0, 30)])
    assert commands.errors == ((START_S, 0.01), (START_S + 120.0, 0.03))


def test_a_clock_set_back_takes_back_the_commands_of_the_time_to_come():
    commands, _ = decided([(60, 10), (60, 20), (60, 30)])
    back = commands.decided({}, mean_error=0.04, now_s=START_S + 30.0, slot_s=START_S, counted_s=START_S)
    assert back.errors == ((START_S, 0.01), (START_S + 30.0, 0.04))


def test_nothing_was_commanded_before_the_first_decision():
    assert Commands().spans(START_S, START_S + 60.0) == ()
    assert decided([(0, 10)])[0].spans(START_S + 60.0, START_S) == ()


def test_the_slot_before_is_that_of_the_last_decision_in_it():
    commands = Commands()
    for slot, high in ((0, 1), (0, 2), (1, 3), (1, 4)):
        slot_s = START_S + slot * SLOT_S
        commands = commands.decided({"high": high}, mean_error=0.0, now_s=slot_s, slot_s=slot_s, counted_s=START_S)
    assert commands.previous(START_S + SLOT_S) == {"high": 2}
    assert commands.previous(START_S + 2 * SLOT_S) == {"high": 4}


@pytest.mark.parametrize(
    "change",
    [
        {"errors": None},
        {"errors": [[START_S]]},
        {"errors": [[START_S, 0.1, 0.2]]},
        {"errors": [[START_S, 1.1]]},
        {"errors": [[START_S, -0.1]]},
        {"errors": [[START_S, float("nan")]]},
        {"errors": [[START_S, True]]},
        {"errors": [[START_S, 0.1], [START_S, 0.2]]},
        {"slot_s": "x"},
        {"slot_s": float("inf")},
        {"weights": []},
        {"weights": {"high": -1.0}},
        {"before": {"high": "1"}},
        {"extra": 1},
    ],
)
def test_bad_data_is_refused(change):
    with pytest.raises(ValueError, match="commands"):
        Commands.from_dict({**Commands().to_dict(), **change})
    with pytest.raises(ValueError, match="commands"):
        Commands.from_dict({key: value for key, value in Commands().to_dict().items() if key not in change} | {"y": 0})


def uncounted_day(*, slot_s, carbon, requests, available=None, restart=False):
    """Decide a day slot by slot that nobody counts: the controller, the budgets left, the errors and the counts."""
    settings_ = ControllerSettings(max_error=0.03)
    controller, counts, left, errors = Controller(FLAVOURS, settings_), dict.fromkeys(ERRORS, 0.0), [], []
    view = Outlook(start_s=START_S, slot_s=slot_s, carbon_g_per_kwh=carbon, requests=requests)
    for slot in range(requests.size):
        if restart:
            kept = json.loads(json.dumps(controller.state.to_dict()))
            controller = Controller(FLAVOURS, settings_, ControllerState.from_dict(kept))
        decision = controller.decide(
            view, now_s=view.start_of(slot), available=None if available is None else available[slot]
        )
        left.append(decision.reasons.budget_left_error_requests)
        errors.append(decision.expected_error)
        for name, weight in decision.weights.items():
            counts[name] += weight / TOTAL_WEIGHT * requests[slot]
    return controller, left, errors, counts


@pytest.mark.parametrize("restart", [False, True])
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_day_nobody_counts_is_accounted_for_slot_by_slot_and_ends_within_budget(restart, seed):
    rng = np.random.default_rng(seed)
    carbon, requests = rng.uniform(0.0, 400.0, 48), rng.integers(0, 300, 48).astype(float)
    controller, left, errors, counts = uncounted_day(slot_s=SLOT_S, carbon=carbon, requests=requests, restart=restart)
    assert len(set(errors)) > 2
    spent_before = np.concatenate(([0.0], np.cumsum(np.array(errors) * requests)[:-1]))
    assert left == pytest.approx(0.03 * requests.sum() - spent_before)
    controller.observe_requests(counts, until_s=START_S + 86400.0)
    books = books_of(controller)
    assert books.requests == pytest.approx(requests.sum())
    assert not over_budget(books.error_requests, 0.03 * books.requests)
    assert books.error_requests > 0.9 * books.granted


@pytest.mark.parametrize("seed", [5, 11])
def test_a_day_of_more_commands_than_are_kept_ends_within_budget_too(seed):
    rng, turn = np.random.default_rng(seed), np.arange(144) / 144.0 * 2.0 * np.pi
    carbon = 200.0 + 150.0 * np.cos(turn * rng.integers(1, 5) + rng.uniform(0.0, 6.0))
    requests = 200.0 + 190.0 * np.sin(turn * rng.integers(1, 12) + rng.uniform(0.0, 6.0))
    there = [("high", "medium"), ("high", "low")] * 72
    controller, _, errors, counts = uncounted_day(slot_s=600.0, carbon=carbon, requests=requests, available=there)
    assert sum(one != other for one, other in pairwise(errors)) > MOST
    controller.observe_requests(counts, until_s=START_S + 86400.0)
    books = books_of(controller)
    assert not over_budget(books.error_requests, 0.03 * books.requests)


def stored(**change):
    return {"errors": [], "slot_s": 0.0, "weights": {"high": 10_000.0}, "before": {}} | change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"weights": {"high": TOTAL_WEIGHT + 1.0}}, r"commands\.weights: a weight is 10000 at most"),
        ({"before": {"high": 1e300}}, r"commands\.before: a weight is 10000 at most"),
        ({"weights": {"high": 10**400}}, r"commands\.weights\.high: a number of that many digits"),
        ({"slot_s": -(10**400)}, r"commands\.slot_s: a number of that many digits"),
    ],
)
def test_stored_commands_that_cannot_be_are_refused(change, complaint):
    assert Commands.from_dict(stored()).weights == {"high": TOTAL_WEIGHT}
    with pytest.raises(ValueError, match=complaint):
        Commands.from_dict(stored(**change))
