"""The reference's throttle: its printed values, its branches, and what it does as a processing policy."""

from __future__ import annotations

import numpy as np
import pytest

from scheduler.processing import (
    CreditBalance,
    Queue,
    ReleaseBook,
    ThrottlePolicy,
    ThrottleSettings,
    throttle,
    throttle_ceiling,
)

GREEN = [60, 70, 80, 90, 100, 120]
FALLING = [180, 140, 100, 80, 60, 50]
DIRTY = [300, 290, 280, 270, 260, 250]


def speed(slots: list[float], *, balance: float = 0.0, settings: ThrottleSettings | None = None) -> float:
    credit = CreditBalance(balance=balance)
    return throttle(np.array(slots, dtype=float), credit=credit, settings=settings or ThrottleSettings())


@pytest.mark.parametrize(
    ("balance", "slots", "expected"),
    [
        (0.0, GREEN, 1.0),
        (0.0, FALLING, 0.1972),
        (0.0, DIRTY, 0.25),
        (0.8, GREEN, 1.0),
        (0.8, FALLING, 0.2361),
        (0.8, DIRTY, 0.25),
        (-0.6, GREEN, 1.0),
        (-0.6, FALLING, 0.1639),
        (-0.6, DIRTY, 0.23),
    ],
)
def test_values_printed_by_the_reference(balance: float, slots: list[float], expected: float):
    assert speed(slots, balance=balance) == pytest.approx(expected, abs=5e-5)


def test_unknown_carbon_leaves_credit_alone_to_not_slow_anything():
    assert speed([], balance=-1.0) == 1.0


def test_the_worse_of_this_slot_and_the_next_counts():
    assert speed([250, 300], balance=1.0) == speed([300, 250], balance=1.0) == 0.25
    assert speed([250], balance=1.0) == 0.5


def test_a_much_better_slot_ahead_overrides_even_a_green_one_but_only_within_six_slots():
    assert speed([140, 140, 140, 140, 140, 70]) == pytest.approx(0.5)
    assert speed([140, 140, 140, 140, 140, 140, 70]) == 1.0


def test_it_never_stops():
    assert speed([1000, 1000], balance=-1.0) == 0.05
    assert speed([1000, 1]) == 0.05


def test_a_slot_without_carbon_ahead_is_waited_for():
    assert speed([100, 0]) == 0.05
    assert speed([0, 0]) == 1.0


@pytest.mark.parametrize(
    ("rate", "least", "greatest", "expected"),
    [(0.05, 1, 10, 1), (0.25, 0, 10, 2), (0.35, 0, 10, 4), (1.0, 1, 15, 15), (0.1972, 1, 15, 3)],
)
def test_ceilings_round_and_are_clamped(rate: float, least: int, greatest: int, expected: int):
    assert throttle_ceiling(rate, least=least, greatest=greatest) == expected


def queue(
    *, waiting: float, arriving: float = 0.0, capacity: float | None = 100.0, balance: float | None = None
) -> Queue:
    return Queue(
        book=ReleaseBook().arrive(waiting, deadline_s=0.0),
        now_s=0.0,
        slot_s=1800.0,
        carbon_g_per_kwh=np.array(DIRTY, dtype=float),
        arrivals=np.full(6, arriving),
        wait_s=7200.0,
        capacity=None if capacity is None else np.full(6, capacity),
        credit=None if balance is None else CreditBalance(balance=balance),
    )


def test_speed_times_capacity_is_let_through_what_waits_before_what_arrives():
    first = ThrottlePolicy().release(queue(waiting=10.0, arriving=30.0))
    assert (first.waiting, first.arriving_share) == (10.0, 0.5)
    full = ThrottlePolicy().release(queue(waiting=40.0, arriving=30.0))
    assert (full.waiting, full.arriving_share) == (25.0, 0.0)
    idle = ThrottlePolicy().release(queue(waiting=0.0))
    assert (idle.waiting, idle.arriving_share) == (0.0, 1.0)


def test_credit_slows_it_and_is_in_balance_when_unknown():
    assert ThrottlePolicy().release(queue(waiting=90.0, balance=-0.6)).waiting == pytest.approx(23.0)
    assert ThrottlePolicy().release(queue(waiting=90.0)).waiting == pytest.approx(25.0)


def test_without_a_capacity_it_lets_a_share_through():
    release = ThrottlePolicy().release(queue(waiting=20.0, arriving=20.0, capacity=None))
    assert (release.waiting, release.arriving_share) == (10.0, 0.0)


def test_deadlines_do_not_matter_to_it():
    due = queue(waiting=90.0)
    assert due.book.overdue(1.0) == 90.0
    assert ThrottlePolicy().release(due).waiting == 25.0


@pytest.mark.parametrize("wrong", [{"least": -0.1}, {"least": 1.1}, {"floor_g_per_kwh": 400.0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]):
    with pytest.raises(ValueError, match="need"):
        ThrottleSettings(**wrong)


@pytest.mark.parametrize("wrong", [{"balance": np.nan}, {"balance": 0.0, "least": 1.0, "greatest": 1.0}])
def test_a_credit_needs_a_span(wrong: dict[str, float]):
    with pytest.raises(ValueError, match="need"):
        CreditBalance(**wrong)
