"""Senders of counts: what they send twice is entered once, and the books wait for the slowest that is still there."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.senders import FORGET_AFTER_S, MOST_SENDERS, Senders
from tests.controlplane.fakes import steady

NOW_S = 1_000_000.0


@steady
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9))))
def test_every_number_has_its_place_whatever_the_order_and_restarts(sent):
    senders, highest = Senders(), {}
    for sender, number in sent:
        expected = "next" if number > highest.get(sender, -1) else "repeated" if number == highest[sender] else "behind"
        assert senders.place(sender, number) == expected
        if expected == "next":
            senders.enter(sender, number, until_s=NOW_S, now_s=NOW_S)
            highest[sender] = number
        senders = Senders.from_state(json.loads(json.dumps(senders.to_state())))


def test_the_books_are_closed_up_to_the_slowest_that_is_still_heard_of():
    senders = Senders()
    silent = {"silent_s": 900.0}
    assert senders.counted_s("a", until_s=NOW_S, now_s=NOW_S, **silent) == NOW_S
    senders.enter("a", 0, until_s=NOW_S, now_s=NOW_S)
    assert senders.counted_s("b", until_s=NOW_S + 60, now_s=NOW_S + 60, **silent) == NOW_S
    senders.enter("b", 0, until_s=NOW_S + 60, now_s=NOW_S + 60)
    assert senders.counted_s("b", until_s=NOW_S - 600, now_s=NOW_S + 60, **silent) == NOW_S, (
        "late counts take back nothing"
    )
    assert senders.counted_s("b", until_s=NOW_S + 1000, now_s=NOW_S + 1000, **silent) == NOW_S + 1000, "a is gone"
    senders.enter("b", 1, until_s=NOW_S + 5000, now_s=NOW_S + 1000)
    assert senders.told_s("b") == NOW_S + 1000, "nobody can have counted what is to come"


def test_no_sender_is_forgotten_while_it_may_still_repeat_what_it_sent():
    senders = Senders()
    for number in range(MOST_SENDERS):
        senders.enter(f"sender-{number}", 5, until_s=NOW_S + number, now_s=NOW_S + number)
    later_s = NOW_S + MOST_SENDERS
    assert not senders.has_room("another", now_s=later_s)
    assert senders.has_room("sender-0", now_s=later_s)
    assert senders.has_room("another", now_s=NOW_S + FORGET_AFTER_S + 1)
    senders.enter("another", 1, until_s=NOW_S + FORGET_AFTER_S, now_s=NOW_S + FORGET_AFTER_S + 1)
    assert len(senders.known) == MOST_SENDERS
    assert "sender-0" not in senders.known


def test_a_sender_without_numbers_gets_the_next():
    senders = Senders()
    assert senders.next_number("a") == 0
    senders.enter("a", 7, until_s=NOW_S, now_s=NOW_S)
    assert senders.next_number("a") == 8


@pytest.mark.parametrize(
    "data",
    [[], "a", 7, {"a": 1}, {"a": [-1, 0.0]}, {"a": [1.5, 0.0]}, {"a": [1, "x"]}, {"a": [1, float("inf")]}],
    ids=str,
)
def test_what_are_no_senders_is_refused(data):
    with pytest.raises(ValueError, match="senders"):
        Senders.from_state(data)


def test_books_of_before_there_were_senders_have_none():
    assert Senders.from_state(None) == Senders()
