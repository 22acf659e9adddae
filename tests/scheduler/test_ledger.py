"""The ledger conserves: whatever the order of reports, restarts, clock jumps, changed promises and windows."""

import json
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scheduler import BudgetWindow, Controller, ControllerSettings, Flavour, Ledger, over_budget

from .support import FLAVOURS, START_S, books_of

DAY = 86400.0
DAILY = BudgetWindow()
ERRORS = {"high": 0.0, "low": 0.1}
WINDOWS = (
    DAILY,
    BudgetWindow(length_s=3600.0, offset_s=600.0),
    BudgetWindow(kind="month"),
    BudgetWindow(length_s=DAY, kind="rolling"),
    BudgetWindow(length_s=7 * DAY, carry_over=0.5),
)

events = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 4 * 24), st.integers(0, 60), st.integers(0, 1000)),
        st.tuples(st.just("jump"), st.sampled_from([-400, -1, 1, 400])),
        st.tuples(st.just("restart")),
        st.tuples(st.just("promise"), st.sampled_from([0.0, 0.02, 0.5])),
        st.tuples(st.just("window"), st.sampled_from(WINDOWS)),
    ),
    max_size=40,
)


def held(ledger):
    return math.fsum(books.requests for books in ledger.books) + ledger.forgotten_requests


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(WINDOWS), events)
def test_every_request_is_somewhere_whatever_happens(window, sequence):
    ledger, shift_s, promise, entered = Ledger(), 0.0, 0.02, 0.0
    for kind, *args in sequence:
        if kind == "add":
            until, hours, count = args
            until_s = START_S + shift_s + until * 3600.0
            ledger = ledger.add(
                {"high": count, "low": 2 * count},
                errors=ERRORS,
                max_error=promise,
                since_s=until_s - hours * 3600.0,
                until_s=until_s,
                window=window,
            )
            entered += 3 * count
        elif kind == "jump":
            shift_s += args[0] * DAY
        elif kind == "restart":
            again = Ledger.from_dict(json.loads(json.dumps(ledger.to_dict())))
            assert again == ledger
            ledger = again
        elif kind == "promise":
            promise = args[0]
        else:
            window = args[0]
        assert held(ledger) == pytest.approx(entered)
        assert len(ledger.books) <= 3 * 49
        for books in ledger.books:
            assert sum(books.by_flavour.values()) == pytest.approx(books.requests)
            assert books.error_requests == pytest.approx(0.1 * books.by_flavour.get("low", 0.0))


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(WINDOWS),
    st.lists(st.tuples(st.integers(0, 95), st.integers(0, 100)), min_size=1, max_size=8),
    st.randoms(),
)
def test_the_order_in_which_reports_arrive_does_not_matter(window, reports, shuffle):
    def entered(sequence):
        ledger = Ledger()
        for quarter, count in sequence:
            until_s = START_S + (quarter + 1) * 900.0
            ledger = add(ledger, since_s=until_s - 900.0, until_s=until_s, low=count, window=window)
        assume(not ledger.forgotten_requests)
        return ledger.open(window, START_S + DAY - 1.0)

    shuffled = list(reports)
    shuffle.shuffle(shuffled)
    one, other = entered(reports), entered(shuffled)
    assert one.error_requests == pytest.approx(other.error_requests)
    assert one.granted == pytest.approx(other.granted)


def add(ledger, *, since_s, until_s, low=100, window=DAILY, max_error=0.02):
    counts = {"low": low}
    return ledger.add(counts, errors=ERRORS, max_error=max_error, since_s=since_s, until_s=until_s, window=window)


def test_a_report_across_midnight_is_shared_out_by_time():
    ledger = add(Ledger(), since_s=START_S + DAY - 30, until_s=START_S + DAY + 10)
    assert ledger.before(DAILY, START_S + DAY).requests == pytest.approx(75.0)
    assert ledger.open(DAILY, START_S + DAY).requests == pytest.approx(25.0)


def test_a_report_that_ends_with_the_window_belongs_to_it():
    ledger = add(Ledger(), since_s=START_S + DAY - 30, until_s=START_S + DAY)
    assert ledger.open(DAILY, START_S).requests == 100.0
    assert ledger.open(DAILY, START_S + DAY).requests == 0.0


def test_a_late_report_corrects_its_own_window_and_never_today():
    ledger = add(Ledger(), since_s=START_S + DAY, until_s=START_S + DAY + 10, low=7)
    ledger = add(ledger, since_s=START_S + 10, until_s=START_S + 20)
    assert ledger.open(DAILY, START_S + DAY).requests == 7.0
    assert ledger.before(DAILY, START_S + DAY).requests == 100.0


def test_a_clock_that_jumps_ahead_and_back_finds_its_books_again():
    ledger = add(Ledger(), since_s=START_S, until_s=START_S + 60)
    ledger = add(ledger, since_s=START_S + 400 * DAY, until_s=START_S + 400 * DAY + 60, low=5)
    ledger = add(ledger, since_s=START_S + 60, until_s=START_S + 120)
    assert ledger.open(DAILY, START_S + 120).requests == 200.0


def test_a_longer_window_takes_over_the_open_books():
    week = BudgetWindow(length_s=7 * DAY)
    ledger = add(Ledger(), since_s=START_S, until_s=START_S + 60)
    ledger = add(ledger, since_s=START_S + 60, until_s=START_S + 120, window=week)
    assert ledger.open(week, START_S).requests == 200.0


def test_what_was_granted_stays_granted_when_the_promise_changes():
    ledger = add(Ledger(), since_s=START_S, until_s=START_S + 60, max_error=0.02)
    ledger = add(ledger, since_s=START_S + 60, until_s=START_S + 120, max_error=0.10)
    books = ledger.open(DAILY, START_S)
    assert books.granted == pytest.approx(12.0)
    assert books.credit == pytest.approx(12.0 - 20.0)
    assert not books.held


def test_unused_credit_is_carried_over_up_to_the_cap_and_debt_is_not():
    window = BudgetWindow(carry_over=0.25)
    next_day = {"since_s": START_S + DAY, "until_s": START_S + DAY + 60}
    saved = add(Ledger(), since_s=START_S, until_s=START_S + 60, low=0, window=window)
    assert saved.open(window, START_S + DAY).carried == 0.0
    thrifty = Ledger().add(
        {"high": 1000.0}, errors=ERRORS, max_error=0.02, since_s=START_S, until_s=START_S + 60, window=window
    )
    assert add(thrifty, low=10, window=window, **next_day).open(window, START_S + DAY).carried == pytest.approx(5.0)
    nearly = add(thrifty, since_s=START_S + 60, until_s=START_S + 90, low=200, window=window, max_error=0.02)
    assert nearly.open(window, START_S + DAY).carried == pytest.approx(min(0.25 * 24.0, 24.0 - 20.0))
    spent = add(nearly, since_s=START_S + 90, until_s=START_S + 99, low=900, window=window)
    assert spent.open(window, START_S + DAY).carried == 0.0


def test_a_report_that_comes_after_midnight_still_changes_what_is_carried_over():
    window = BudgetWindow(carry_over=1.0)
    ledger = Ledger().add(
        {"high": 1000.0}, errors=ERRORS, max_error=0.02, since_s=START_S, until_s=START_S + 60, window=window
    )
    ledger = add(ledger, since_s=START_S + DAY, until_s=START_S + DAY + 60, window=window)
    assert ledger.open(window, START_S + DAY).carried == pytest.approx(20.0)
    ledger = add(ledger, since_s=START_S + 60, until_s=START_S + 90, low=100, window=window)
    assert ledger.open(window, START_S + DAY).carried == pytest.approx(20.0 + 2.0 - 10.0)


def test_a_very_late_report_does_not_push_out_the_books_in_use():
    window = BudgetWindow(length_s=3600.0)
    ledger = Ledger()
    for hour in (20, 21, 22, 23, 1, 2, 23, 3, 23, 4):
        since_s = START_S + hour * 3600.0
        ledger = add(ledger, since_s=since_s, until_s=since_s + 60.0, window=window)
    assert ledger.open(window, START_S + 23 * 3600.0).requests == 300.0


def test_a_rolling_window_forgets_what_is_older_than_itself():
    window = BudgetWindow(kind="rolling")
    ledger = add(Ledger(), since_s=START_S, until_s=START_S + 1800, window=window)
    ledger = add(ledger, since_s=START_S + DAY / 2, until_s=START_S + DAY / 2 + 1800, low=7, window=window)
    assert ledger.open(window, START_S + DAY - 1).requests == pytest.approx(107.0)
    assert ledger.open(window, START_S + DAY).requests == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("offset_s", "start", "end"),
    [(0.0, "2023-11-01T00:00:00+00:00", "2023-12-01T00:00:00+00:00")],
)
def test_a_month_is_the_calendar_s(offset_s, start, end):
    from datetime import datetime  # noqa: PLC0415

    window = BudgetWindow(kind="month", offset_s=offset_s)
    assert window.of(START_S) == tuple(datetime.fromisoformat(text).timestamp() for text in (start, end))
    assert window.of(window.of(START_S)[1])[0] == window.of(START_S)[1]


@pytest.mark.parametrize("window", WINDOWS)
def test_the_last_moment_before_a_boundary_belongs_to_the_part_that_ends_there(window):
    start_s, end_s = window.part_of(START_S)
    assert window.part_of(math.nextafter(end_s, -math.inf)) == (start_s, end_s)
    assert window.part_of(end_s)[0] == end_s
    assert window.before(end_s) == window.of(start_s)
    ledger = add(Ledger(), since_s=end_s - 60, until_s=end_s, window=window)
    assert ledger.forgotten_requests == 0.0
    assert ledger.before(window, end_s).requests == 100.0


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
    books = books_of(second)
    assert books.error_requests == pytest.approx(13.4)
    assert books.by_flavour == {"low": 100.0, "high": 100.0}
    assert over_budget(books.mean_error, 0.02)


@pytest.mark.parametrize(
    "change",
    [
        {"forgotten_requests": -1.0},
        {"forgotten_requests": "1"},
        {"forgotten_requests": float("nan")},
        {"books": None},
        {"books": [{}]},
        {"extra": 1},
    ],
)
def test_bad_data_is_refused(change):
    with pytest.raises(ValueError, match=r"ledger|books"):
        Ledger.from_dict({**Ledger().to_dict(), **change})


@pytest.mark.parametrize("field", [{"length_s": 0.0}, {"length_s": math.inf}, {"kind": "yearly"}, {"carry_over": 1.5}])
def test_windows_that_mean_nothing_are_refused(field):
    with pytest.raises(ValueError, match=r"window|carry_over"):
        BudgetWindow(**field)
