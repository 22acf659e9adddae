"""The ledger conserves: whatever the order of reports, restarts, pushes and window changes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import Controller, ControllerSettings, Flavour, Ledger

from .support import FLAVOURS, START_S

DAY = 86400.0
ERRORS = {"high": 0.0, "low": 0.1}

events = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 4 * 24), st.integers(0, 30), st.integers(0, 1000)),
        st.tuples(st.just("restart")),
        st.tuples(st.just("push")),
        st.tuples(st.just("roll"), st.integers(0, 4 * 24)),
    ),
    max_size=40,
)


def kept(ledger):
    return ledger.current.requests + (ledger.previous.requests if ledger.previous else 0.0) + ledger.late_requests


@settings(max_examples=200, deadline=None)
@given(events)
def test_every_report_is_kept_whole_whatever_the_order(sequence):
    ledger = Ledger.opening(at_s=START_S, window_s=DAY)
    for kind, *args in sequence:
        before = ledger
        if kind == "add":
            until, hours, count = args
            until_s = START_S + until * 3600.0
            rolled = ledger.at(until_s - 1e-3, window_s=DAY)
            ledger = ledger.add(
                {"high": count, "low": 2 * count},
                errors=ERRORS,
                since_s=until_s - hours * 3600.0,
                until_s=until_s,
                window_s=DAY,
            )
            assert kept(ledger) - kept(rolled) == pytest.approx(3 * count)
            for books in (ledger.current, ledger.previous):
                if books is not None:
                    assert sum(books.by_flavour.values()) == pytest.approx(books.requests)
                    assert books.error_requests == pytest.approx(0.1 * books.by_flavour.get("low", 0.0))
        elif kind == "restart":
            ledger = Ledger.from_dict(json.loads(json.dumps(ledger.to_dict())))
            assert ledger == before
        elif kind == "push":
            assert ledger.at(ledger.current.start_s + 1.0, window_s=DAY) is ledger
        else:
            ledger = ledger.at(START_S + args[0] * 3600.0, window_s=DAY)
            if ledger.current.start_s == before.current.start_s:
                assert ledger == before
            else:
                assert ledger.previous == before.current
                assert ledger.current.requests == 0.0


def add(ledger, *, since_s, until_s, low=100):
    return ledger.add({"low": low}, errors=ERRORS, since_s=since_s, until_s=until_s, window_s=DAY)


def test_a_report_across_midnight_is_shared_out_by_time():
    ledger = add(Ledger.opening(at_s=START_S, window_s=DAY), since_s=START_S + DAY - 30, until_s=START_S + DAY + 10)
    assert ledger.previous.requests == pytest.approx(75.0)
    assert ledger.current.requests == pytest.approx(25.0)
    assert ledger.current.start_s == START_S + DAY


def test_a_report_that_ends_with_the_window_belongs_to_it():
    ledger = add(Ledger.opening(at_s=START_S, window_s=DAY), since_s=START_S + DAY - 30, until_s=START_S + DAY)
    assert (ledger.current.start_s, ledger.current.requests) == (START_S, 100.0)


def test_a_late_report_corrects_yesterday_and_never_today():
    ledger = Ledger.opening(at_s=START_S, window_s=DAY).at(START_S + DAY, window_s=DAY)
    ledger = add(ledger, since_s=START_S + 10, until_s=START_S + 20)
    assert (ledger.current.requests, ledger.previous.requests, ledger.late_requests) == (0.0, 100.0, 0.0)
    ledger = add(ledger, since_s=START_S - 20, until_s=START_S - 10)
    assert (ledger.current.requests, ledger.previous.requests, ledger.late_requests) == (0.0, 100.0, 100.0)


def test_a_longer_window_takes_over_the_open_books():
    ledger = add(Ledger.opening(at_s=START_S, window_s=DAY), since_s=START_S, until_s=START_S + 60)
    ledger = ledger.at(START_S + 60, window_s=7 * DAY)
    assert ledger.current.requests == 100.0
    assert ledger.current.end_s - ledger.current.start_s == 7 * DAY


@pytest.mark.parametrize("counts", [{"gone": 1.0}, {"low": -1.0}, {"low": float("nan")}])
def test_counts_that_mean_nothing_are_refused_and_change_nothing(counts):
    controller = Controller(FLAVOURS, ControllerSettings(max_error=0.02))
    before = controller.state
    with pytest.raises(ValueError, match=next(iter(counts))):
        controller.observe_requests(counts, until_s=START_S)
    assert controller.state == before


def test_what_was_served_keeps_its_error_when_the_flavour_changes_or_goes():
    settings_ = ControllerSettings(max_error=0.02)
    first = Controller(FLAVOURS, settings_)
    first.observe_requests({"low": 100.0}, until_s=START_S + 60)
    changed = (FLAVOURS[0], Flavour(name="medium", error=0.3, energy_j=1.0))
    second = Controller(changed, settings_, first.state)
    second.observe_requests({"high": 100.0}, until_s=START_S + 120)
    books = second.state.ledger.current
    assert books.error_requests == pytest.approx(13.4)
    assert books.by_flavour == {"low": 100.0, "high": 100.0}


@pytest.mark.parametrize(
    "change",
    [
        {"late_requests": -1.0},
        {"late_requests": "1"},
        {"late_requests": float("nan")},
        {"current": None},
        {"extra": 1},
    ],
)
def test_bad_data_is_refused(change):
    data = Ledger.opening(at_s=START_S, window_s=DAY).to_dict()
    with pytest.raises(ValueError, match=r"ledger|books"):
        Ledger.from_dict({**data, **change})
