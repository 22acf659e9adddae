"""Verdicts on closed windows: each counted once, late counts included, over restarts and changes of the promise."""

from __future__ import annotations

import json

import pytest

from controlplane.verdicts import Verdicts
from scheduler import BudgetWindow, Ledger

HOUR = BudgetWindow(length_s=3600.0)
ERRORS = {"best": 0.0, "fast": 0.1}
START_S = 36_000.0


def add(ledger: Ledger, counts: dict[str, float], *, until_s: float) -> Ledger:
    return ledger.add(counts, errors=ERRORS, max_error=0.04, since_s=until_s - 60.0, until_s=until_s, window=HOUR)


def test_a_window_is_judged_when_it_has_closed_and_once():
    verdicts, ledger = Verdicts(), add(Ledger(), {"fast": 100.0}, until_s=START_S + 600)
    assert verdicts.judge(HOUR, ledger, now_s=START_S + 1200) == []
    [over] = verdicts.judge(HOUR, ledger, now_s=START_S + 3600)
    assert over.start_s == START_S
    assert verdicts.judge(HOUR, ledger, now_s=START_S + 3610) == []
    assert (verdicts.closed, verdicts.exceeded) == (1, 1)


def test_late_counts_that_tip_a_window_count_as_broken_and_what_was_broken_stays_so():
    verdicts, ledger = Verdicts(), add(Ledger(), {"best": 100.0}, until_s=START_S + 600)
    assert verdicts.judge(HOUR, ledger, now_s=START_S + 3600) == []
    late_s = START_S + 3500
    ledger = add(ledger, {"fast": 200.0}, until_s=late_s)
    verdicts.counted(late_s - 60.0)
    assert [books.start_s for books in verdicts.judge(HOUR, ledger, now_s=START_S + 3620)] == [START_S]
    ledger = add(ledger, {"best": 10_000.0}, until_s=late_s)
    verdicts.counted(late_s - 60.0)
    assert verdicts.judge(HOUR, ledger, now_s=START_S + 3630) == []
    assert (verdicts.closed, verdicts.exceeded) == (1, 1)


def test_a_restart_judges_what_closed_meanwhile_and_nothing_twice():
    verdicts, ledger = Verdicts(), add(Ledger(), {"fast": 100.0}, until_s=START_S + 600)
    verdicts.judge(HOUR, ledger, now_s=START_S + 3600)
    ledger = add(ledger, {"fast": 100.0}, until_s=START_S + 4200)
    again = Verdicts.from_state(json.loads(json.dumps(verdicts.to_state())), window=HOUR, ledger=ledger)
    assert [books.start_s for books in again.judge(HOUR, ledger, now_s=START_S + 7200)] == [START_S + 3600]
    assert (again.closed, again.exceeded) == (2, 2)


def test_another_window_begins_with_its_own_verdicts_and_keeps_the_counts():
    verdicts, ledger = Verdicts(), add(Ledger(), {"fast": 100.0}, until_s=START_S + 600)
    verdicts.judge(HOUR, ledger, now_s=START_S + 3600)
    changed = verdicts.under(BudgetWindow(length_s=1800.0), ledger)
    assert changed.judge(BudgetWindow(length_s=1800.0), ledger, now_s=START_S + 3700) == []
    assert (changed.closed, changed.exceeded) == (1, 1)


def test_older_books_without_verdicts_are_not_judged_but_for_the_last():
    ledger = add(add(Ledger(), {"fast": 100.0}, until_s=START_S + 600), {"fast": 100.0}, until_s=START_S + 4200)
    verdicts = Verdicts.from_state(None, window=HOUR, ledger=ledger)
    assert [books.start_s for books in verdicts.judge(HOUR, ledger, now_s=START_S + 7200)] == [START_S + 3600]


def test_a_rolling_promise_is_judged_though_nothing_is_served_any_more():
    rolling = BudgetWindow(length_s=3600.0, kind="rolling")
    part_s = 75.0
    verdicts, ledger = Verdicts(), Ledger()
    for counts, until_s in (({"best": 1000.0}, START_S + 60), ({"fast": 600.0}, START_S + 1860)):
        ledger = ledger.add(
            counts, errors=ERRORS, max_error=0.04, since_s=until_s - 30.0, until_s=until_s, window=rolling
        )
        verdicts.counted(until_s - 30.0)
        assert verdicts.judge(rolling, ledger, now_s=until_s + part_s) == []
    # The good hour leaves the window while nothing comes in its place.
    over = []
    for now_s in range(int(START_S + 2000), int(START_S + 9000), 75):
        over += verdicts.judge(rolling, ledger, now_s=float(now_s))
    assert len(over) > 10
    assert verdicts.exceeded == len(over)


@pytest.mark.parametrize(
    "data",
    [[], {"closed": 1}, {"closed": 1, "exceeded": 0, "held": [[1.0, 2]]}, {"closed": "1", "exceeded": 0, "held": []}],
)
def test_what_are_no_verdicts_is_refused(data):
    with pytest.raises(ValueError, match="verdicts"):
        Verdicts.from_state(data, window=HOUR, ledger=Ledger())
