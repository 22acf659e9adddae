"""The contract between deciding and publishing: nothing that a data plane must not be told can be put into words."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.intent import TOTAL_WEIGHT, Endpoint, FlavourTarget, IntentError, RoutingIntent, Topology, best_only
from tests.controlplane.fakes import steady


def flavour(name: str, precision_pct: float) -> FlavourTarget:
    return FlavourTarget(name=name, precision_pct=precision_pct, endpoints=(Endpoint("127.0.0.1", 80),))


LOW, MID, HIGH = flavour("low", 70), flavour("mid", 85), flavour("high", 99.5)
SHOP = Topology("ns", "shop", ("*",), (LOW, HIGH, MID))


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"low": 5000, "mid": 5000},
        {"low": 5000, "mid": 5000, "high": 0, "other": 0},
        {"low": 5000, "mid": 5000, "other": 0},
        {"low": 10_001, "mid": -1, "high": 0},
        {"low": math.nan, "mid": 0, "high": TOTAL_WEIGHT},
        {"low": 0.0, "mid": 0, "high": TOTAL_WEIGHT},
        {"low": 10_000.0, "mid": 0, "high": 0},
        {"low": True, "mid": 9_999, "high": 0},
        {"low": False, "mid": 0, "high": TOTAL_WEIGHT},
        {"low": "10000", "mid": 0, "high": 0},
        {"low": None, "mid": 0, "high": TOTAL_WEIGHT},
        {"low": 0, "mid": 0, "high": 0},
        {"low": 9_999, "mid": 0, "high": 0},
        {"low": 10_001, "mid": 0, "high": 0},
    ],
    ids=repr,
)
def test_weights_that_a_proxy_must_not_get_are_refused(weights: dict[str, Any]):
    with pytest.raises(IntentError, match="ns/shop"):
        RoutingIntent(SHOP, weights, 0.0)


@steady
@given(st.lists(st.integers(0, TOTAL_WEIGHT), min_size=2, max_size=2).map(sorted))
def test_any_integers_that_sum_to_ten_thousand_are_taken(cuts):
    first, second = cuts
    weights = {"low": first, "mid": second - first, "high": TOTAL_WEIGHT - second}
    assert RoutingIntent(SHOP, weights, 0.0).weights == weights


def test_flavours_are_kept_best_first_whatever_order_they_came_in():
    assert [each.name for each in SHOP.flavours] == ["high", "mid", "low"]
    assert Topology("ns", "shop", ("*",), (MID, LOW, HIGH)) == SHOP
    assert hash(Topology("ns", "shop", ("*",), (MID, LOW, HIGH))) == hash(SHOP)
    assert SHOP.best is HIGH


@pytest.mark.parametrize(
    ("failing", "order"),
    [(HIGH, ["mid", "low"]), (MID, ["high", "low"]), (LOW, ["mid", "high"])],
    ids=["high", "mid", "low"],
)
def test_a_fallback_is_the_nearest_better_flavour_and_only_then_a_worse_one(failing, order):
    assert [each.name for each in SHOP.fallbacks(failing)] == order


def test_a_single_flavour_has_no_fallback():
    assert Topology("ns", "shop", ("*",), (LOW,)).fallbacks(LOW) == ()


@pytest.mark.parametrize(("precision_pct", "pin"), [(85.0, "85"), (95.5, "95.5"), (100, "100"), (0, "0")])
def test_the_pin_is_the_precision_as_people_write_it(precision_pct, pin):
    assert flavour("any", precision_pct).pin == pin


@pytest.mark.parametrize(
    ("flavours", "message"),
    [
        ((), "no flavours"),
        ((flavour("a", 80), flavour("a", 90)), "share a name"),
        ((flavour("a", 80), flavour("b", 80)), "share a precision"),
        # Six digits go into the header that pins a flavour, so a seventh tells nothing apart.
        ((flavour("a", 100), flavour("b", 99.9999999)), "share a precision"),
    ],
    ids=["none", "name", "precision", "pin"],
)
def test_flavours_must_be_there_and_tell_apart(flavours, message):
    with pytest.raises(IntentError, match=rf"ns/shop.*{message}"):
        Topology("ns", "shop", ("*",), flavours)


def test_without_a_decision_everything_goes_to_the_best_flavour():
    intent = best_only(SHOP, valid_until_s=7.0)
    assert intent.weights == {"high": TOTAL_WEIGHT, "mid": 0, "low": 0}
    assert intent.valid_until_s == 7.0


@pytest.mark.parametrize("address", ["localhost", "", "127.0.0", "[::1]", "127.0.0.1:80", "256.0.0.1"])
def test_an_endpoint_needs_a_literal_address(address):
    with pytest.raises(ValueError, match="IPv4 or IPv6"):
        Endpoint(address, 80)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_an_endpoint_needs_a_port(port):
    with pytest.raises(IntentError, match=str(port)):
        Endpoint("127.0.0.1", port)


def test_an_endpoint_is_written_as_in_a_url():
    assert str(Endpoint("127.0.0.1", 1)) == "127.0.0.1:1"
    assert str(Endpoint("::1", 65_535)) == "[::1]:65535"
