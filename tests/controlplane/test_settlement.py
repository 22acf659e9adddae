"""Totals that never go down: every request is settled once, with one intensity, over restarts and changed clocks."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane import config
from controlplane.accounting import (
    SCENARIOS,
    SETTLE_AFTER_S,
    Account,
    FlavourLoad,
    Settled,
    Terms,
    back_to_back,
    scenarios,
)
from controlplane.clock import SystemClock
from controlplane.feeds import Feeds
from controlplane.planned import planned_service
from controlplane.session import ServiceSession
from scheduler import BudgetWindow, Flavour, counterfactuals, served_grams
from tests.controlplane.fakes import steady

SLOT_S = 1800.0
HOUR = BudgetWindow(length_s=3600.0)
KWH_J = 3.6e6
DEAR = Flavour(name="dear", error=0.0, energy_j=1 * KWH_J)
CHEAP = Flavour(name="cheap", error=0.2, energy_j=0.25 * KWH_J)
TERMS = Terms(flavours=(DEAR, CHEAP), max_error=0.05, embodied_g={"dear": 3.0, "cheap": 1.0})


def serve(account: Account, slot: float, *, dear: float = 0, cheap: float = 0, terms: Terms = TERMS) -> None:
    """Answers in one slot."""
    loads = {"dear": FlavourLoad(served=dear), "cheap": FlavourLoad(served=cheap)}
    known = {name: load for name, load in loads.items() if load.served}
    account.add(known, since_s=slot * SLOT_S, until_s=(slot + 1) * SLOT_S, terms=terms)


def note(account: Account, slot: int, *, forecast: float | None = None, actual: float | None = None) -> None:
    """What the source says of one slot."""
    values = [np.array([math.nan if value is None else value]) for value in (forecast, actual)]
    account.note_carbon(start_s=slot * SLOT_S, slot_s=SLOT_S, forecast=values[0], actual=values[1])


def settle(account: Account, now_s: float, *, kept_since_s: float = 0.0) -> Settled:
    account.settle(now_s=now_s, kept_since_s=kept_since_s)
    return account.settled


def close(account: Account, now_s: float, *, window: BudgetWindow = HOUR, terms: Terms = TERMS) -> int:
    return account.close_windows(window, terms, now_s=now_s, carried=lambda _: 0.0)


def restarted(account: Account) -> Account:
    return Account.model_validate(
        json.loads(json.dumps(account.model_dump(mode="json", exclude_defaults=True), allow_nan=False))
    )


def counted(settled: Settled) -> float:
    return math.fsum(count for by_flavour in settled.requests.values() for count in by_flavour.values())


def figures(settled: Settled) -> list[float]:
    """Every total there is, in an order of its own that does not change."""
    windows = settled.windows
    by_basis = [
        totals.get(basis, {}).get(name, 0.0)
        for totals, basis, name in itertools.product(
            (settled.requests, settled.grams), ("actual", "forecast"), ("dear", "cheap")
        )
    ]
    by_flavour = [
        totals.get(name, 0.0) for totals in (settled.energy_j, settled.embodied_g) for name in ("dear", "cheap")
    ]
    best = [settled.best_grams.get("actual", 0.0), settled.best_grams.get("forecast", 0.0)]
    closed = [
        totals.get(scenario, 0.0)
        for totals in (windows.energy_j, windows.grams, windows.embodied_g)
        for scenario in SCENARIOS
    ]
    singles = [settled.best_energy_j, settled.best_embodied_g, settled.requests_without_carbon, windows.requests]
    return [*by_basis, *by_flavour, *best, *closed, *singles, float(windows.windows)]


def test_a_slot_is_settled_by_hand_when_its_actual_intensity_is_known():
    account = Account(slot_s=SLOT_S)
    serve(account, 0, dear=3, cheap=4)
    note(account, 0, forecast=100.0)
    assert counted(settle(account, SLOT_S)) == 0
    note(account, 0, actual=200.0)
    settled = settle(account, SLOT_S)
    assert settled.requests == {"actual": {"dear": 3, "cheap": 4}}
    assert settled.grams == {"actual": {"dear": 3 * 200.0, "cheap": 4 * 50.0}}
    assert settled.energy_j == {"dear": 3 * KWH_J, "cheap": 1 * KWH_J}
    assert settled.embodied_g == {"dear": 9, "cheap": 4}
    assert settled.best_grams == {"actual": 7 * 200.0}
    assert (settled.best_energy_j, settled.best_embodied_g) == (7 * KWH_J, 21)
    assert account.pending == {}


def test_a_slot_that_has_not_ended_is_not_settled():
    account = Account(slot_s=SLOT_S)
    serve(account, 0, dear=1)
    note(account, 0, actual=200.0)
    assert counted(settle(account, SLOT_S - 1.0)) == 0
    assert counted(settle(account, SLOT_S)) == 1


def test_the_forecast_does_when_the_actual_intensity_does_not_come():
    account = Account(slot_s=SLOT_S)
    serve(account, 0, dear=2)
    note(account, 0, forecast=100.0)
    assert counted(settle(account, SLOT_S + SETTLE_AFTER_S - 1.0)) == 0
    settled = settle(account, SLOT_S + SETTLE_AFTER_S)
    assert (settled.requests, settled.grams) == ({"forecast": {"dear": 2}}, {"forecast": {"dear": 200.0}})


def test_the_forecast_does_for_a_slot_that_is_about_to_be_forgotten():
    account = Account(slot_s=SLOT_S)
    serve(account, 0, dear=2)
    note(account, 0, forecast=100.0)
    assert settle(account, 2 * SLOT_S, kept_since_s=SLOT_S).grams == {"forecast": {"dear": 200.0}}


def test_requests_without_any_figure_are_counted_apart():
    account = Account(slot_s=SLOT_S)
    serve(account, 0, dear=2, cheap=1)
    settled = settle(account, SLOT_S + SETTLE_AFTER_S)
    assert settled == Settled(requests_without_carbon=3)


def test_a_negative_intensity_counts_as_none_emitted():
    account = Account(slot_s=SLOT_S)
    serve(account, 0, dear=2)
    note(account, 0, actual=-5.0)
    assert settle(account, SLOT_S).grams == {"actual": {}}


@pytest.mark.parametrize(
    ("actual", "later", "grams"),
    [(200.0, 900.0, {"actual": {"dear": 3 * 200.0}}), (None, 900.0, {"forecast": {"dear": 3 * 100.0}})],
    ids=["actual", "forecast"],
)
def test_late_counts_enter_with_the_intensity_the_slot_was_settled_with(actual, later, grams):
    account = Account(slot_s=SLOT_S)
    serve(account, 0, dear=1)
    note(account, 0, forecast=100.0, actual=actual)
    settle(account, SLOT_S + SETTLE_AFTER_S)
    note(account, 0, actual=later)
    serve(account, 0, dear=2)
    assert settle(account, SLOT_S + SETTLE_AFTER_S).grams == grams


def test_late_counts_of_a_slot_without_figure_stay_apart():
    account = Account(slot_s=SLOT_S)
    serve(account, 0, dear=1)
    settle(account, SLOT_S + SETTLE_AFTER_S)
    note(account, 0, actual=100.0)
    serve(account, 0, dear=2)
    assert settle(account, SLOT_S + SETTLE_AFTER_S) == Settled(requests_without_carbon=3)


def test_energy_is_that_of_the_time_of_counting():
    account = Account(slot_s=SLOT_S)
    serve(account, 0, dear=1)
    saver = Terms(flavours=(Flavour(name="dear", error=0.0, energy_j=0.5 * KWH_J), CHEAP), max_error=0.05)
    serve(account, 0, dear=1, terms=saver)
    note(account, 0, actual=100.0)
    settled = settle(account, SLOT_S)
    assert settled.grams == {"actual": {"dear": pytest.approx(150.0)}}
    assert settled.best_grams == {"actual": pytest.approx(150.0)}


def test_the_totals_of_a_removed_flavour_stay_until_it_has_nothing_pending():
    account = Account(slot_s=SLOT_S)
    serve(account, 0, dear=1, cheap=1)
    serve(account, 1, cheap=1)
    note(account, 0, actual=100.0)
    settle(account, SLOT_S)
    account.keep_only({"dear"})
    assert account.settled.grams == {"actual": {"dear": 100.0, "cheap": 25.0}}
    note(account, 1, actual=100.0)
    settle(account, 2 * SLOT_S)
    account.keep_only({"dear"})
    assert account.settled.grams == {"actual": {"dear": 100.0}}
    assert account.settled.embodied_g == {"dear": 3.0}


def test_slots_of_another_length_take_the_totals_over_and_leave_nothing_pending():
    account = Account(slot_s=SLOT_S)
    serve(account, 0, dear=1)
    serve(account, 1, dear=1)
    note(account, 0, actual=100.0)
    settle(account, SLOT_S)
    account = account.regridded(900.0)
    assert (account.slot_s, account.slots, account.pending) == (900.0, {}, {})
    assert account.settled.grams == {"actual": {"dear": 100.0}}
    assert account.settled.requests_without_carbon == 1


def test_a_state_from_before_there_were_totals_is_read():
    slots = {"0": {"served": {"dear": 5.0}, "carbon_forecast": 100.0}, "1": {"served": {"cheap": 2.0}}}
    account = Account.model_validate({"slot_s": SLOT_S, "slots": slots})
    assert (account.settled, account.pending) == (Settled(), {})
    serve(account, 0, dear=1)
    settled = settle(account, SLOT_S + SETTLE_AFTER_S)
    assert settled.grams == {"forecast": {"dear": 100.0}}, "what no counter knew of before is not entered now"


steps = st.lists(
    st.one_of(
        st.tuples(st.just("serve"), st.integers(0, 11), st.integers(0, 9), st.integers(0, 9)),
        st.tuples(
            st.just("note"), st.integers(0, 11), st.none() | st.integers(0, 500), st.none() | st.integers(0, 500)
        ),
        st.tuples(st.just("time"), st.integers(-6, 30)),
    ),
    max_size=40,
)


def play(account: Account, journal: list[tuple[object, ...]], *, restart: bool) -> list[list[float]]:
    """Every figure after every step; time goes by half hours, and may go back."""
    now_s, told = 0.0, []
    for step in journal:
        match step:
            case ("serve", int(slot), int(dear), int(cheap)):
                serve(account, slot, dear=dear, cheap=cheap)
            case ("note", int(slot), forecast, actual):
                note(account, slot, forecast=forecast, actual=actual)
            case ("time", int(slots)):
                now_s += slots * SLOT_S
        kept_since_s = HOUR.before(now_s)[0]
        settle(account, now_s, kept_since_s=kept_since_s)
        close(account, now_s)
        account.forget_before(kept_since_s)
        told.append(figures(account.settled))
        if restart:
            account = restarted(account)
    return told


@steady
@given(journal=steps)
def test_no_total_ever_goes_down_and_no_request_is_lost_or_doubled(journal):
    account = Account(slot_s=SLOT_S)
    told = play(account, journal, restart=False)
    for before, after in itertools.pairwise(told):
        assert all(low <= high for low, high in zip(before, after, strict=True))
    served = sum(step[2] + step[3] for step in journal if step[0] == "serve")
    pending = math.fsum(count for each in account.pending.values() for count in each.requests.values())
    assert counted(account.settled) + account.settled.requests_without_carbon + pending == pytest.approx(served)
    assert account.settled.windows.requests <= counted(account.settled) + 1e-9, "no window counts a request twice"


@steady
@given(journal=steps)
def test_restarts_change_no_total(journal):
    assert play(Account(slot_s=SLOT_S), journal, restart=True) == play(Account(slot_s=SLOT_S), journal, restart=False)


def test_a_window_is_closed_once_when_its_last_slot_is_settled():
    account = Account(slot_s=SLOT_S)
    serve(account, 0, dear=40, cheap=60)
    serve(account, 1, dear=280, cheap=20)
    note(account, 0, actual=200.0)
    settle(account, 3600.0)
    assert close(account, 3600.0) == 0
    note(account, 1, actual=100.0)
    settle(account, 3700.0)
    assert [close(account, 3700.0), close(account, 3800.0)] == [1, 0]
    windows = account.settled.windows
    assert (windows.windows, windows.requests) == (1, 400)
    # The same day as in the summaries' tests, judged by hand there.
    assert windows.grams == pytest.approx(
        {"served": 39_500, "always_best": 50_000, "carbon_blind_mix": 42_500, "clairvoyant": 35_000}
    )
    assert windows.energy_j == pytest.approx(
        {
            "served": 340 * KWH_J,
            "always_best": 400 * KWH_J,
            "carbon_blind_mix": 340 * KWH_J,
            "clairvoyant": (300 + 25) * KWH_J,
        }
    )
    assert windows.embodied_g == pytest.approx(
        {"served": 1040, "always_best": 1200, "carbon_blind_mix": 1040, "clairvoyant": 1000}
    )


def test_what_is_counted_late_for_a_closed_window_stays_out_of_it():
    account = Account(slot_s=SLOT_S)
    serve(account, 0, dear=1)
    note(account, 0, actual=200.0)
    settle(account, 3600.0)
    close(account, 3600.0)
    serve(account, 0, dear=1)
    settle(account, 3600.0)
    close(account, 7200.0)
    assert counted(account.settled) == 2
    assert (account.settled.windows.windows, account.settled.windows.requests) == (1, 1)


def test_an_open_window_is_not_closed_and_one_in_which_nothing_was_served_neither():
    account = Account(slot_s=SLOT_S)
    note(account, 0, actual=200.0)
    serve(account, 2, dear=1)
    note(account, 2, actual=200.0)
    settle(account, 7100.0)
    assert close(account, 7100.0) == 0
    assert close(account, 7200.0) == 1


def test_requests_without_a_figure_are_in_no_window():
    account = Account(slot_s=SLOT_S)
    serve(account, 0, dear=5)
    serve(account, 1, dear=1)
    note(account, 1, actual=100.0)
    settle(account, 3600.0 + SETTLE_AFTER_S)
    assert close(account, 3600.0 + SETTLE_AFTER_S) == 1
    assert account.settled.windows.requests == 1
    assert account.settled.windows.grams["served"] == 100.0


def half_hours(account: Account, first: int, last: int) -> None:
    """Served, known and settled slot by slot."""
    for number in range(first, last):
        serve(account, number, dear=1)
        note(account, number, actual=100.0)
        settle(account, (number + 1) * SLOT_S)
        close(account, (number + 1) * SLOT_S)


@pytest.mark.parametrize("back_s", [1800.0, 3600.0, 7200.0])
def test_a_clock_that_is_set_back_doubles_no_window(back_s):
    account = Account(slot_s=SLOT_S)
    half_hours(account, 0, 4)
    assert account.settled.windows.windows == 2
    close(account, 7200.0 - back_s)
    half_hours(account, 4, 8)
    assert (account.settled.windows.windows, account.settled.windows.requests) == (4, 8)


def test_windows_go_on_after_a_clock_that_was_days_ahead():
    account = Account(slot_s=SLOT_S)
    half_hours(account, 0, 2)
    half_hours(account, 480, 484)
    assert account.settled.windows.windows == 3
    half_hours(account, 2, 6)
    assert (account.settled.windows.windows, account.settled.windows.requests) == (5, 10)


def test_a_rolling_promise_is_judged_in_stretches_that_count_nothing_twice():
    rolling = BudgetWindow(length_s=86_400.0, kind="rolling")
    account = Account(slot_s=SLOT_S)
    for number in range(3 * 48):
        serve(account, number, dear=1)
        note(account, number, actual=100.0)
        now_s = (number + 1) * SLOT_S
        settle(account, now_s)
        close(account, now_s, window=back_to_back(rolling))
    assert (account.settled.windows.windows, account.settled.windows.requests) == (3, 144)


@pytest.mark.parametrize("window", [HOUR, BudgetWindow(kind="month", offset_s=3600.0, carry_over=0.5)])
def test_other_promises_are_judged_in_their_own_windows(window):
    assert back_to_back(window) is window


counts = st.floats(0, 1e5)


@steady
@given(
    slots=st.lists(st.tuples(counts, counts, counts, st.floats(0, 1000)), min_size=1, max_size=6),
    errors=st.lists(st.floats(0, 0.5), min_size=3, max_size=3),
    energies=st.lists(st.floats(0, 10 * KWH_J), min_size=3, max_size=3),
    max_error=st.floats(0, 0.3),
    carried=st.floats(0, 1e4),
)
def test_the_scenarios_grams_are_the_schedulers(slots, errors, energies, max_error, carried):
    flavours = tuple(
        Flavour(name=name, error=error, energy_j=energy)
        for name, error, energy in zip("abc", errors, energies, strict=True)
    )
    served, carbon = np.array([slot[:3] for slot in slots]), np.array([slot[3] for slot in slots])
    spent = scenarios(Terms(flavours=flavours, max_error=max_error), served=served, carbon_g_per_kwh=carbon)
    with_credit = scenarios(
        Terms(flavours=flavours, max_error=max_error), served=served, carbon_g_per_kwh=carbon, carried=carried
    )
    expected = counterfactuals(
        flavours, requests=served.sum(axis=1), served=served, carbon_g_per_kwh=carbon, max_error=max_error
    )
    close_to = {
        "served": served_grams(flavours, served=served, carbon_g_per_kwh=carbon),
        "always_best": expected.always_best_g,
        "carbon_blind_mix": expected.carbon_blind_mix_g,
        "clairvoyant": expected.clairvoyant_g,
    }
    assert {name: each.grams for name, each in spent.items()} == pytest.approx(close_to, rel=1e-6, abs=1e-6)
    assert with_credit["clairvoyant"].grams <= spent["clairvoyant"].grams * (1 + 1e-9) + 1e-9


def test_embodied_grams_come_from_the_configuration():
    flavours = [
        {"name": "best", "precision_pct": 100, "energy_j": 10, "endpoints": ["127.0.0.1:9001"], "embodied_g": 0.25},
        {"name": "fast", "precision_pct": 90, "energy_j": 1, "endpoints": ["127.0.0.1:9002"]},
    ]
    service = config.Service.model_validate(
        {"name": "shop", "budget": {"max_error_pct": 4}, "carbon": {"source": "gb"}, "flavours": flavours}
    )
    planned = planned_service(service, config.Gateway(), Feeds(SystemClock()), clock=SystemClock())
    session = ServiceSession.begin(planned.spec, planned.feed)
    assert [session.terms.embodied_of(name) for name in ("best", "fast")] == [0.25, 0.0]
    with pytest.raises(ValueError, match="embodied_g"):
        config.Flavour.model_validate(flavours[0] | {"embodied_g": -1})
