"""What people impose: what of it holds when, and what it comes to for the flavours there are."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.steering import LONGEST_REASON, Override, Pause, Steering
from scheduler import TOTAL_WEIGHT
from tests.controlplane.fakes import steady

FLAVOURS = {"best": 1.0, "good": 0.95, "fast": 0.9}
HALVES = {"best": 5000, "fast": 5000}


def override(until_s: float = 100.0, **weights: int) -> Override:
    return Override(weights=weights or HALVES, until_s=until_s)


def test_nothing_is_imposed_unless_somebody_does():
    assert Steering().imposed(FLAVOURS) is None
    assert Steering().until_s() is None


def test_an_override_names_every_flavour_in_the_end():
    assert Steering(override=override()).imposed(FLAVOURS) == {"best": 5000, "good": 0, "fast": 5000}


def test_a_pause_is_the_best_flavour_whatever_the_order():
    turned = dict(reversed(FLAVOURS.items()))
    for steering in (Steering(pause=Pause()), Steering(pause=Pause(), override=override())):
        assert steering.imposed(turned) == {"best": TOTAL_WEIGHT, "good": 0, "fast": 0}


@pytest.mark.parametrize(
    ("weights", "imposed"),
    [
        ({"best": 5000, "gone": 5000}, None),
        ({"gone": 10_000}, None),
        ({"best": 10_000, "gone": 0}, {"best": 10_000, "good": 0, "fast": 0}),
    ],
    ids=["half", "all", "none"],
)
def test_weight_for_a_flavour_that_is_gone_imposes_nothing(weights, imposed):
    assert Steering(override=override(**weights)).imposed(FLAVOURS) == imposed


@given(until_s=st.floats(0, 200), pause_s=st.none() | st.floats(0, 200), now_s=st.floats(0, 200))
@steady
def test_each_holds_until_its_own_end_and_not_at_it(until_s, pause_s, now_s):
    steering = Steering(override=override(until_s), pause=Pause(until_s=pause_s))
    left = steering.at(now_s)
    assert (left.override is None) == (until_s <= now_s)
    assert (left.pause is None) == (pause_s is not None and pause_s <= now_s)
    assert left.at(now_s) is left
    ends_s = left.until_s()
    assert ends_s is None or ends_s > now_s


@given(
    steering=st.builds(
        Steering,
        override=st.none() | st.builds(override, st.floats(-1e12, 1e12)),
        pause=st.none() | st.builds(Pause, until_s=st.none() | st.floats(-1e12, 1e12), reason=st.text(max_size=50)),
    )
)
@steady
def test_it_is_read_again_as_it_was_written(steering):
    assert Steering.from_state(steering.to_state()) == steering


@pytest.mark.parametrize(
    "data",
    [
        7,
        [],
        {"override": 7},
        {"pause": {"until_s": math.nan}},
        {"override": {"weights": {"a": 1}, "until_s": 1}},
        {"x": 1},
    ],
    ids=str,
)
def test_what_is_no_steering_is_refused(data):
    with pytest.raises(ValueError, match="steering"):
        Steering.from_state(data)


def test_books_of_before_there_was_steering_have_none():
    assert Steering.from_state(None) == Steering()


@pytest.mark.parametrize(
    "weights", [{}, {"a": 9999}, {"a": 5000, "b": 5001}, {"a": -1, "b": 10_001}, {"a": 0.5, "b": 9999.5}], ids=str
)
def test_weights_are_integers_of_ten_thousand(weights):
    with pytest.raises(ValidationError):
        Override(weights=weights, until_s=1.0)


def test_a_reason_is_a_sentence_and_no_book():
    with pytest.raises(ValidationError):
        Pause(reason="x" * (LONGEST_REASON + 1))
