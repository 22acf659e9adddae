"""What was served, slot by slot: counts are conserved, and every printed gram can be recomputed by hand."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.accounting import Account, FlavourLoad
from scheduler import Flavour
from tests.controlplane.fakes import steady

SLOT_S = 100.0
KWH_J = 3.6e6
DEAR = Flavour(name="dear", error=0.0, energy_j=1 * KWH_J)
CHEAP = Flavour(name="cheap", error=0.2, energy_j=0.25 * KWH_J)
PAIR = (DEAR, CHEAP)

times = st.floats(-1e6, 2e9, allow_nan=False)
loads = st.builds(
    FlavourLoad,
    served=st.integers(0, 10**6),
    failed=st.integers(0, 10**6),
    metered_requests=st.integers(0, 10**6),
    metered_j=st.floats(0, 1e9),
)


def served(account: Account, name: str = "a", field: str = "served") -> float:
    return math.fsum(getattr(record, field).get(name, 0.0) for record in account.slots.values())


def account_of(*slots: tuple[float, float, float | None, float | None], slot_s: float = SLOT_S) -> Account:
    """One tuple a slot: requests of the dear flavour, of the cheap one, forecast and actual carbon."""
    account = Account(slot_s=slot_s)
    for number, (dear, cheap, forecast, actual) in enumerate(slots):
        loads = {"dear": FlavourLoad(served=dear), "cheap": FlavourLoad(served=cheap)}
        account.add(loads, since_s=number * slot_s, until_s=(number + 1) * slot_s)
        noted(account, number * slot_s, forecast, actual, slot_s=slot_s)
    return account


def noted(account, start_s, forecast, actual, *, slot_s=SLOT_S):
    """Tell the account of one slot of a source's series."""
    values = [np.array([math.nan if value is None else value], dtype=float) for value in (forecast, actual)]
    account.note_carbon(start_s=start_s, slot_s=slot_s, forecast=values[0], actual=values[1])


@pytest.mark.parametrize(
    ("slot_s", "actual", "expected"),
    [
        (3600.0, [100.0, 300.0], [100.0, 100.0, 300.0, 300.0]),
        (900.0, [100.0, 200.0] * 4, [150.0] * 4),
        (
            2400.0,
            [100.0, 200.0, 300.0],
            [100.0, (100 * 600 + 200 * 1200) / 1800, (200 * 1200 + 300 * 600) / 1800, 300.0],
        ),
    ],
    ids=["hours", "quarters", "forty minutes"],
)
def test_a_source_with_other_slots_is_averaged_over_ours(slot_s, actual, expected):
    account = Account(slot_s=1800.0)
    for number in range(4):
        account.slot(number * 1800.0)
    series = np.array(actual)
    account.note_carbon(start_s=0.0, slot_s=slot_s, forecast=series, actual=series)
    assert [account.slots[number].carbon_actual for number in range(4)] == pytest.approx(expected)


def test_an_actual_value_needs_the_whole_slot():
    account = Account(slot_s=1800.0)
    account.slot(0.0)
    account.note_carbon(start_s=0.0, slot_s=900.0, forecast=np.array([100.0, 200.0]), actual=np.array([80.0, math.nan]))
    assert (account.slots[0].carbon_forecast, account.slots[0].carbon_actual) == (150.0, None)


@steady
@given(reports=st.lists(st.tuples(times, st.floats(0, 5_000), loads), max_size=8))
def test_nothing_is_lost_or_doubled_whatever_slots_a_report_spans(reports):
    account = Account(slot_s=SLOT_S)
    for since_s, length_s, load in reports:
        account.add({"a": load}, since_s=since_s, until_s=since_s + length_s)
    for field in ("served", "failed", "metered_requests", "metered_j"):
        expected = math.fsum(getattr(load, field) for _, _, load in reports)
        assert served(account, field=field) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@steady
@given(since_s=times, back_s=st.floats(0, 1e6), load=loads)
def test_a_clock_that_was_set_back_loses_nothing(since_s, back_s, load):
    account = Account(slot_s=SLOT_S)
    account.add({"a": load}, since_s=since_s, until_s=since_s - back_s)
    assert served(account) == load.served


def test_a_report_is_shared_out_by_the_time_it_spends_in_each_slot():
    account = Account(slot_s=SLOT_S)
    account.add({"a": FlavourLoad(served=100)}, since_s=75.0, until_s=275.0)
    assert {number: record.served["a"] for number, record in account.slots.items()} == {0: 12.5, 1: 50.0, 2: 37.5}


def test_a_report_that_ends_with_a_slot_opens_no_new_one():
    account = Account(slot_s=SLOT_S)
    account.add({"a": FlavourLoad(served=1)}, since_s=0.0, until_s=SLOT_S)
    account.add({"a": FlavourLoad(served=1)}, since_s=SLOT_S, until_s=SLOT_S)
    assert list(account.slots) == [0]


def test_what_was_commanded_is_averaged_over_the_time_it_held():
    account = Account(slot_s=SLOT_S)
    account.command({"a": 10_000, "b": 0}, since_s=0.0, until_s=75.0)
    account.command({"a": 2_000, "b": 8_000}, since_s=75.0, until_s=SLOT_S)
    assert account.slots[0].command() == pytest.approx({"a": 0.8, "b": 0.2})


@steady
@given(
    cuts=st.lists(st.floats(1, 999), min_size=1, max_size=5, unique=True).map(sorted),
    weight=st.integers(1, 9_999),
)
def test_the_average_does_not_depend_on_how_often_the_same_command_was_renewed(cuts, weight):
    account = Account(slot_s=SLOT_S)
    for since_s, until_s in itertools.pairwise([0.0, *cuts, 1000.0]):
        account.command({"a": weight, "b": 10_000 - weight}, since_s=since_s, until_s=until_s)
    assert sorted(account.slots) == list(range(10))
    for record in account.slots.values():
        assert record.command() == pytest.approx({"a": weight / 10_000, "b": 1 - weight / 10_000})


def test_a_slot_in_which_nothing_happened_has_no_shares():
    record = Account(slot_s=SLOT_S).slot(0.0)
    assert record.split() == {}
    assert record.command() == {}


def test_shares_are_of_what_was_served():
    assert account_of((30, 10, None, None)).slots[0].split() == {"dear": 0.75, "cheap": 0.25}


def test_carbon_is_noted_for_slots_in_which_something_happened_and_none_forgets_nothing():
    account = Account(slot_s=SLOT_S)
    account.slot(0.0)
    noted(account, 0.0, 50.0, None)
    noted(account, SLOT_S, 60.0, None)
    assert (account.slots[0].carbon, list(account.slots)) == (50.0, [0])
    noted(account, 0.0, 55.0, 70.0)
    assert account.slots[0].carbon == 70.0
    noted(account, 0.0, None, None)
    assert (account.slots[0].carbon_forecast, account.slots[0].carbon_actual) == (55.0, 70.0)


def test_a_day_of_two_slots_judged_by_hand():
    # 100 requests at 200 g and 300 at 100 g; the dear flavour takes 1 kWh, the cheap one a quarter.
    account = account_of((40, 60, 210.0, 200.0), (280, 20, 110.0, 100.0))
    summary = account.summary(PAIR, max_error=0.05, start_s=0.0, end_s=2 * SLOT_S)
    assert summary.requests == 400
    assert summary.served == {"dear": 320, "cheap": 80}
    assert summary.mean_error == pytest.approx(0.2 * 80 / 400)
    assert summary.grams == pytest.approx(40 * 200 + 60 * 50 + 280 * 100 + 20 * 25)
    assert summary.always_best_g == pytest.approx(100 * 200 + 300 * 100)
    # The same error everywhere needs 20 % cheap answers.
    assert summary.carbon_blind_mix_g == pytest.approx(0.8 * 50_000 + 0.2 * 12_500)
    # 20 error-requests buy 100 cheap answers, and all of them are worth most at 200 g.
    assert summary.clairvoyant_g == pytest.approx(100 * 50 + 300 * 100)
    assert summary.saving_vs_always_best_pct == pytest.approx((1 - 39_500 / 50_000) * 100)
    assert summary.gain_vs_blind_mix_pct == pytest.approx((1 - 39_500 / 42_500) * 100)
    assert summary.gap_to_clairvoyant_pct == pytest.approx((39_500 / 35_000 - 1) * 100)
    assert summary.requests_without_carbon == summary.requests_on_forecast == 0


def brute_force(requests: list[float], carbon: list[float], *, max_error: float) -> float:
    """The least grams of two flavours in two slots: the optimum of a linear program is at a corner."""
    budget = max_error * sum(requests)

    def grams(shares: tuple[float, float]) -> float:
        return sum(
            count * intensity * (share * 0.25 + (1 - share))
            for count, intensity, share in zip(requests, carbon, shares, strict=True)
        )

    def affordable(slot: int, spent: float) -> float:
        return min(1.0, (budget - spent) / (requests[slot] * CHEAP.error)) if requests[slot] else 0.0

    corners = [(0.0, 0.0)]
    for first in (0.0, affordable(0, 0.0)):
        corners.append((first, max(0.0, affordable(1, first * requests[0] * CHEAP.error))))
    for second in (0.0, affordable(1, 0.0)):
        corners.append((max(0.0, affordable(0, second * requests[1] * CHEAP.error)), second))
    return min(map(grams, corners))


counts = st.integers(1, 10_000)
intensities = st.floats(0, 1000)


@steady
@given(slots=st.lists(st.tuples(counts, counts, intensities), min_size=2, max_size=2), max_error=st.floats(0.001, 0.3))
def test_counterfactuals_equal_an_independent_brute_force(slots, max_error):
    account = account_of(*((dear, cheap, None, carbon) for dear, cheap, carbon in slots))
    summary = account.summary(PAIR, max_error=max_error, start_s=0.0, end_s=2 * SLOT_S)
    requests = [float(dear + cheap) for dear, cheap, _ in slots]
    carbon = [intensity for _, _, intensity in slots]
    at_best = sum(count * intensity for count, intensity in zip(requests, carbon, strict=True))
    cheap = sum(cheap for _, cheap, _ in slots) / sum(requests)
    assert summary.always_best_g == pytest.approx(at_best, rel=1e-6, abs=1e-6)
    assert summary.carbon_blind_mix_g == pytest.approx(at_best * (1 - 0.75 * cheap), rel=1e-6, abs=1e-6)
    assert summary.clairvoyant_g == pytest.approx(
        brute_force(requests, carbon, max_error=max_error), rel=1e-6, abs=1e-6
    )
    assert summary.grams == pytest.approx(sum((d + 0.25 * c) * g for d, c, g in slots), rel=1e-6, abs=1e-6)


def test_requests_without_carbon_are_left_out_of_the_grams_and_said():
    account = account_of((10, 0, None, 100.0), (5, 5, None, None), (7, 0, 50.0, None))
    summary = account.summary(PAIR, max_error=0.05, start_s=0.0, end_s=3 * SLOT_S)
    assert summary.requests == 27
    assert summary.requests_without_carbon == 10
    assert summary.requests_on_forecast == 7
    assert summary.grams == pytest.approx(10 * 100 + 7 * 50)
    assert summary.always_best_g == pytest.approx(summary.grams)
    assert summary.mean_error == pytest.approx(0.2 * 5 / 27)


def test_nothing_served_is_judged_without_ratios():
    summary = Account(slot_s=SLOT_S).summary(PAIR, max_error=0.05, start_s=0.0, end_s=SLOT_S)
    assert (summary.requests, summary.grams, summary.mean_error) == (0, 0, None)
    assert summary.saving_vs_always_best_pct is None
    assert summary.gain_vs_blind_mix_pct is None
    assert summary.gap_to_clairvoyant_pct is None


def test_a_stretch_of_time_holds_the_slots_that_begin_in_it():
    account = account_of((1, 0, None, 1.0), (2, 0, None, 1.0), (4, 0, None, 1.0))
    assert account.summary(PAIR, max_error=0.1, start_s=SLOT_S, end_s=2 * SLOT_S).requests == 2
    assert [start for start, _ in account.between(SLOT_S, 3 * SLOT_S)] == [SLOT_S, 2 * SLOT_S]


def test_failed_attempts_are_no_answers():
    account = Account(slot_s=SLOT_S)
    account.add({"dear": FlavourLoad(served=3, failed=2)}, since_s=0.0, until_s=1.0)
    summary = account.summary(PAIR, max_error=0.1, start_s=0.0, end_s=SLOT_S)
    assert (summary.requests, summary.failed_attempts) == (3, 2)


def test_reported_joules_are_averaged_over_the_answers_that_reported_them():
    account = Account(slot_s=SLOT_S)
    account.add(
        {"dear": FlavourLoad(served=100, metered_requests=4, metered_j=10.0), "cheap": FlavourLoad(served=5)},
        since_s=0.0,
        until_s=1.0,
    )
    assert account.summary(PAIR, max_error=0.1, start_s=0, end_s=SLOT_S).metered_j_per_request == {"dear": 2.5}


def test_what_a_removed_flavour_served_is_kept_but_not_judged():
    account = account_of((10, 5, None, 100.0))
    summary = account.summary((DEAR,), max_error=0.1, start_s=0.0, end_s=SLOT_S)
    assert summary.requests == 10
    assert served(account, "cheap") == 5


@steady
@given(
    reports=st.lists(st.tuples(times, st.floats(0, 500), loads), max_size=5),
    carbon=st.none() | st.floats(0, 1000),
)
def test_an_account_is_the_same_after_a_trip_through_json(reports, carbon):
    account = Account(slot_s=SLOT_S)
    for since_s, length_s, load in reports:
        account.add({"a": load}, since_s=since_s, until_s=since_s + length_s)
        noted(account, since_s, carbon, None)
    text = json.dumps(account.model_dump(mode="json"), allow_nan=False)
    assert Account.model_validate(json.loads(text)) == account


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_saved_account_that_is_poisoned_is_refused(value):
    state = {"slot_s": SLOT_S, "slots": {"1": {"served": {"a": value}}}}
    with pytest.raises(ValueError, match="finite"):
        Account.model_validate(state)


def test_old_slots_are_forgotten_and_the_one_that_is_running_is_not():
    account = account_of((1, 0, None, None), (2, 0, None, None), (4, 0, None, None))
    account.forget_before(1.5 * SLOT_S)
    assert sorted(account.slots) == [1, 2]


def test_what_was_saved_where_nothing_is_known_of_carbon_may_be_spent_where_it_is():
    """Else less than the least possible would have been emitted: a promise counts all answers, grams only some."""
    account = account_of((0.0, 400.0, 100.0, 100.0), (600.0, 0.0, None, None))
    summary = account.summary(PAIR, max_error=0.08, start_s=0.0, end_s=2 * SLOT_S)
    assert summary.requests_without_carbon == 600
    assert summary.mean_error == pytest.approx(0.08)
    assert summary.gap_to_clairvoyant_pct == pytest.approx(0.0, abs=1e-6)


def test_answers_of_flavours_no_longer_listed_are_told_and_no_distance_to_the_bound_is():
    summary = account_of((500.0, 500.0, 100.0, 100.0)).summary((DEAR,), max_error=0.04, start_s=0.0, end_s=SLOT_S)
    assert (summary.requests, summary.requests_left_out) == (500, 500)
    assert summary.gap_to_clairvoyant_pct is None
