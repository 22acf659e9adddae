"""What has been entered of each sender: once, and for no more senders than can be remembered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.receipts import MOST_SENDERS, Receipts
from tests.controlplane.fakes import steady

sent = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)))


@steady
@given(sent=sent)
def test_a_number_is_new_once_and_only_above_those_before(sent):
    receipts, highest = Receipts(), {}
    for sender, number in sent:
        assert receipts.is_new(sender, number) == (number > highest.get(sender, -1))
        if receipts.is_new(sender, number):
            receipts.enter(sender, number)
            highest[sender] = number
        assert Receipts.from_state(receipts.to_state()) == receipts


def test_the_sender_that_was_silent_for_longest_is_forgotten_first():
    receipts = Receipts()
    for number in range(MOST_SENDERS):
        receipts.enter(f"sender-{number}", 5)
    receipts.enter("sender-0", 6)
    receipts.enter("another", 1)
    assert len(receipts.highest) == MOST_SENDERS
    assert receipts.is_new("sender-1", 5)
    assert not receipts.is_new("sender-0", 6)
    assert Receipts.from_state(receipts.to_state()).highest == receipts.highest
    assert list(Receipts.from_state(receipts.to_state()).highest) == list(receipts.highest)


@pytest.mark.parametrize(
    "data",
    [[], 7, {"a": -1}, {"a": 1.5}, {"a": True}, {"a": "1"}, {"a": None}, {f"{n}": 1 for n in range(MOST_SENDERS + 1)}],
    ids=["list", "number", "negative", "fraction", "truth", "text", "nothing", "too many"],
)
def test_what_are_no_receipts_is_refused(data):
    with pytest.raises(ValueError, match="receipts"):
        Receipts.from_state(data)


def test_books_of_before_there_were_receipts_have_none():
    assert Receipts.from_state(None) == Receipts()
