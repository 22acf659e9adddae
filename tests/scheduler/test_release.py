"""The release plan: exact, within deadlines and capacity; the book; the replay; ceilings.

Matrix: with and without capacity x enough and too little x waiting, arriving and overdue amounts; malformed input.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from scheduler import Flavour, ReplayResult, replay, settings_for
from scheduler.forecast import carbon_ahead
from scheduler.history import CarbonHistory
from scheduler.processing import (
    Queue,
    Release,
    ReleaseBook,
    ReleasePlanPolicy,
    Waiting,
    carbon_expected,
    release_plan,
    replica_ceilings,
)
from scheduler.processing.estimate import expect
from scheduler.replay import Deferral
from scheduler.trace import Trace, parse_trace

from .support import SLOT_S, START_S, day, outlook

HOUR_S = 3600.0
DAYS = Path(__file__).parents[2] / "examples" / "days"


def book(*volumes: tuple[float, float]) -> ReleaseBook:
    """A book of (deadline in slots from the start, amount)."""
    result = ReleaseBook()
    for slots, amount in volumes:
        result = result.arrive(amount, deadline_s=START_S + slots * SLOT_S)
    return result


def queue(
    *,
    carbon: object,
    waiting: ReleaseBook | None = None,
    arrivals: object = None,
    wait_slots: float = 0.0,
    capacity: object = None,
    slot: int = 0,
) -> Queue:
    return Queue(
        book=waiting or ReleaseBook(),
        now_s=START_S + slot * SLOT_S,
        slot_s=SLOT_S,
        carbon_g_per_kwh=np.asarray(carbon, dtype=float),
        arrivals=None if arrivals is None else np.asarray(arrivals, dtype=float),
        wait_s=wait_slots * SLOT_S,
        capacity=None if capacity is None else np.asarray(capacity, dtype=float),
    )


@st.composite
def queues(draw: st.DrawFn, *, bounded: bool) -> Queue:
    slots = draw(st.integers(1, 7))
    row = st.lists(st.integers(0, 9), min_size=slots, max_size=slots)
    waiting = draw(st.lists(st.tuples(st.integers(-2, 9), st.integers(0, 9)), max_size=6))
    return queue(
        carbon=draw(st.lists(st.integers(0, 5), min_size=slots, max_size=slots)),
        waiting=book(*waiting),
        arrivals=draw(st.none() | row),
        wait_slots=draw(st.integers(0, 8)),
        capacity=draw(row) if bounded else None,
    )


@dataclass
class Windows:
    """The plan's task, written down independently."""

    amount: list[float]
    first: list[int]
    last: list[int]

    @classmethod
    def of(cls, one: Queue) -> Windows:
        end = one.carbon_g_per_kwh.size - 1
        rows = [(v.amount, 0, max(0, int((v.deadline_s - START_S) // SLOT_S))) for v in one.book.waiting]
        if one.arrivals is not None:
            rows += [(a, slot, slot + int(one.wait_s / SLOT_S)) for slot, a in enumerate(one.arrivals)]
        return cls([r[0] for r in rows], [r[1] for r in rows], [min(end, r[2]) for r in rows])

    def kept_by(self, loads: np.ndarray) -> bool:
        """Hall's condition for intervals, and nothing invented."""
        for low in range(loads.size):
            for high in range(low, loads.size):
                rows = zip(self.amount, self.first, self.last, strict=True)
                inside = sum(amount for amount, first, last in rows if low <= first and last <= high)
                if loads[low : high + 1].sum() < inside - 1e-6:
                    return False
        return loads.sum() == pytest.approx(sum(self.amount), abs=1e-6)


def optimum(one: Queue) -> tuple[float, float]:
    """(amount above capacity, carbon) of the best plan by HiGHS; what is above capacity costs very much."""
    windows, slots = Windows.of(one), one.carbon_g_per_kwh.size
    pairs = [(i, t) for i in range(len(windows.amount)) for t in range(windows.first[i], windows.last[i] + 1)]
    if not pairs:
        return 0.0, 0.0
    costs = [one.carbon_g_per_kwh[t] for _, t in pairs] + [1e4] * slots
    equal = np.zeros((len(windows.amount), len(costs)))
    upper = np.zeros((slots, len(costs)))
    for column, (i, t) in enumerate(pairs):
        equal[i, column] = upper[t, column] = 1.0
    upper[:, len(pairs) :] = -np.eye(slots)
    room = np.full(slots, 1e9) if one.capacity is None else one.capacity
    found = linprog(costs, A_ub=upper, b_ub=room, A_eq=equal, b_eq=windows.amount, method="highs")
    over = float(found.x[len(pairs) :].sum())
    return over, float(found.fun) - 1e4 * over


@given(queues(bounded=False))
def test_without_capacity_each_amount_runs_at_the_best_of_its_window(one: Queue):
    plan = release_plan(one)
    assert Windows.of(one).kept_by(plan.amounts)
    assert plan.amounts @ one.carbon_g_per_kwh == pytest.approx(optimum(one)[1], abs=1e-6)
    assert plan.over_capacity == 0.0


@settings(max_examples=300, deadline=None)
@given(queues(bounded=True))
def test_under_capacity_the_plan_is_the_optimum_and_keeps_every_deadline(one: Queue):
    plan = release_plan(one)
    over, carbon = optimum(one)
    assert one.capacity is not None
    assert Windows.of(one).kept_by(plan.amounts)
    assert plan.over_capacity == pytest.approx(over, abs=1e-6)
    assert ("capacity-short" in plan.conditions) == (over > 1e-6)
    excess = np.maximum(plan.amounts - one.capacity, 0.0)
    assert excess.sum() == pytest.approx(over, abs=1e-6)
    if over <= 1e-6:
        assert plan.amounts @ one.carbon_g_per_kwh == pytest.approx(carbon, abs=1e-5)


@given(queues(bounded=True), st.floats(0.0, 0.2))
def test_a_release_is_never_more_than_there_is_and_all_that_is_due_now(one: Queue, margin: float):
    release = ReleasePlanPolicy(now_margin=margin).release(one)
    due = sum(v.amount for v in one.book.waiting if v.deadline_s < START_S + SLOT_S)
    assert due - 1e-6 <= release.waiting <= one.book.amount + 1e-6
    assert 0.0 <= release.arriving_share <= 1.0 + 1e-9


def test_too_much_for_the_deadlines_is_spread_over_the_slots_there_are():
    plan = release_plan(queue(carbon=[5, 1, 3, 9], waiting=book((2, 12)), capacity=[2, 2, 2, 2]))
    assert plan.amounts == pytest.approx([4, 4, 4, 0])
    assert plan.over_capacity == pytest.approx(6.0)
    assert plan.conditions == ("capacity-short",)


def test_without_any_capacity_deadlines_are_still_planned_for():
    plan = release_plan(queue(carbon=[5, 1], waiting=book((1, 4)), capacity=[0, 0]))
    assert plan.amounts == pytest.approx([2, 2])


def test_what_is_overdue_runs_at_once_after_the_clock_jumped():
    late = queue(carbon=[9, 1, 1], waiting=book((1, 3), (2, 4), (12, 5)), slot=10)
    plan = release_plan(late)
    assert plan.amounts == pytest.approx([7, 5, 0])
    assert plan.conditions == ("overdue",)
    assert ReleasePlanPolicy().release(late) == Release(waiting=7.0, arriving_share=1.0, conditions=("overdue",))


def test_a_later_slot_must_be_better_by_a_margin():
    nearly = queue(carbon=[100, 99.6], waiting=book((1, 3)))
    assert ReleasePlanPolicy().release(nearly).waiting == 3.0
    assert ReleasePlanPolicy(now_margin=0.0).release(nearly).waiting == 0.0


def test_own_arrivals_run_at_once_only_where_now_is_best_for_them():
    carbon, arrivals = [5, 7, 4, 8], [10, 0, 0, 0]
    soon = ReleasePlanPolicy().release(queue(carbon=carbon, arrivals=arrivals, wait_slots=1, waiting=book((0, 2))))
    late = ReleasePlanPolicy().release(queue(carbon=carbon, arrivals=arrivals, wait_slots=2, waiting=book((0, 2))))
    assert (soon.waiting, soon.arriving_share) == (2.0, 1.0)
    assert (late.waiting, late.arriving_share) == (2.0, 0.0)
    assert soon.amount(arriving=6.0) == 8.0


def test_the_share_of_arrivals_is_known_even_when_none_are_expected():
    for expected in (None, [0, 0]):
        rising = queue(carbon=[5, 7], arrivals=expected, wait_slots=1)
        falling = queue(carbon=[7, 5], arrivals=expected, wait_slots=1)
        assert ReleasePlanPolicy().release(rising).arriving_share == 1.0
        assert ReleasePlanPolicy().release(falling).arriving_share == 0.0


def test_arrivals_share_what_capacity_is_left_to_them():
    both = queue(carbon=[1, 9], arrivals=[10, 0], wait_slots=1, waiting=book((0, 2)), capacity=[7, 99])
    assert ReleasePlanPolicy().release(both).arriving_share == pytest.approx(0.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"carbon": []},
        {"carbon": [[1.0]]},
        {"carbon": [np.nan]},
        {"carbon": [1.0], "arrivals": [1.0, 2.0]},
        {"carbon": [1.0], "arrivals": [-1.0]},
        {"carbon": [1.0], "capacity": [np.inf]},
        {"carbon": [1.0], "wait_slots": -1.0},
        {"carbon": [1.0], "wait_slots": np.inf},
    ],
)
def test_malformed_queues_are_refused(wrong: dict[str, object]):
    with pytest.raises(ValueError, match=r"must|need|shape"):
        queue(**wrong)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.integers(0, 9)), max_size=30))
def test_a_book_conserves_amounts_and_serves_the_earliest_deadline_first(events: list[tuple[bool, int, int]]):
    held, come, ran = ReleaseBook(), 0, 0
    for arrives, slot, amount in events:
        before = held
        held = held.arrive(amount, deadline_s=START_S + slot) if arrives else held.ran(amount)
        come, ran = (come + amount, ran) if arrives else (come, ran + amount)
        assert held.amount - held.ahead == come - ran
        deadlines = [volume.deadline_s for volume in held.waiting]
        assert deadlines == sorted(set(deadlines))
        if not arrives:
            assert before.waiting[len(before.waiting) - len(held.waiting) :][1:] == held.waiting[1:]
        assert ReleaseBook.from_dict(json.loads(json.dumps(held.to_dict()))) == held


def test_what_ran_before_it_was_reported_is_set_off_against_the_next_arrivals():
    held = book((1, 3)).ran(5)
    assert (held.amount, held.ahead) == (0.0, 2.0)
    assert held.arrive(6, deadline_s=START_S).amount == 4.0


def test_deadlines_are_rounded_down_so_that_the_book_stays_small():
    held = ReleaseBook(grain_s=60.0)
    for second in range(100):
        held = held.arrive(1, deadline_s=600.0 + second)
    assert [(volume.deadline_s, volume.amount) for volume in held.waiting] == [(600.0, 60.0), (660.0, 40.0)]


def test_amounts_are_overdue_only_after_their_deadline():
    held = book((1, 3), (2, 4))
    assert [held.overdue(START_S + at * SLOT_S) for at in (1, 1.5, 2.5)] == [0.0, 3.0, 7.0]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"waiting": [[2.0, 1.0], [1.0, 1.0]]},
        {"waiting": [[2.0, 1.0], [2.0, 1.0]]},
        {"waiting": [[2.0, 0.0]]},
        {"waiting": [[2.0, "1"]]},
        {"waiting": [[2.0]]},
        {"waiting": {"2": 1}},
        {"ahead": -1.0},
        {"ahead": True},
        {"grain_s": 0.0},
        {"more": 1},
    ],
)
def test_a_book_reads_only_what_it_wrote(change: dict[str, object]):
    with pytest.raises(ValueError, match=r".+"):
        ReleaseBook.from_dict(ReleaseBook().to_dict() | change)


@pytest.mark.parametrize(("deadline_s", "amount"), [(np.nan, 1.0), (1.0, np.inf), (1.0, 0.0), (1.0, -1.0)])
def test_a_waiting_amount_is_positive_and_finite(deadline_s: float, amount: float):
    with pytest.raises(ValueError, match="waiting"):
        Waiting(deadline_s=deadline_s, amount=amount)


def test_a_margin_is_a_fraction():
    with pytest.raises(ValueError, match="now_margin"):
        ReleasePlanPolicy(now_margin=1.0)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    slots = draw(st.integers(2, 12))
    row = st.lists(st.floats(0.0, 500.0), min_size=slots, max_size=slots).map(np.array)
    return replace(
        day("camel_m03"),
        carbon_actual=draw(row),
        carbon_forecast=draw(row),
        requests_actual=draw(row),
        requests_forecast=draw(row),
    )


ONE = (Flavour(name="only", error=0.0, energy_j=3.6e6),)  # a kWh a request: grams are requests x carbon


def waited(trace: Trace, *, wait_s: float, share: float, processing: str = "release-plan") -> ReplayResult:
    deferral = Deferral(share=share, wait_s=wait_s, processing=processing)
    [result] = replay(trace, ONE, settings=settings_for(trace, max_error=0.0), deferral=deferral)
    return result


@settings(deadline=None)
@given(traces(), st.integers(0, 12), st.floats(0.0, 1.0))
def test_whatever_is_forecast_no_deadline_is_missed_and_all_is_run(trace: Trace, wait: int, share: float):
    result = waited(trace, wait_s=wait * trace.slot_s, share=share)
    demand = trace.requests_actual
    ran = result.served.sum(axis=1) - (1.0 - share) * demand
    assert result.deadlines_missed == 0.0
    assert ran.sum() == pytest.approx(share * demand.sum(), abs=1e-6)
    for slot in range(demand.size - wait):
        assert ran[: slot + wait + 1].sum() >= share * demand[: slot + 1].sum() * (1 - 1e-9) - 1e-6
        assert ran[: slot + 1].sum() <= share * demand[: slot + 1].sum() * (1 + 1e-9) + 1e-6
    assert result.clairvoyant_g <= result.grams * (1 + 1e-9) + 1e-6


@pytest.mark.parametrize(("hours", "least"), [(2, 0.85), (6, 0.92), (12, 0.92)])
def test_recorded_days_realise_most_of_what_a_clairvoyant_gains(hours: int, least: float):
    traces = [parse_trace(path.read_text(), name=path.name) for path in sorted(DAYS.glob("*.csv"))]
    results = [waited(trace, wait_s=hours * HOUR_S, share=0.3) for trace in traces]
    at_once = sum(result.always_best_g for result in results)  # the only flavour, and nothing waits
    gained = at_once - sum(result.grams for result in results)
    assert gained >= least * (at_once - sum(result.clairvoyant_g for result in results))
    assert all(result.deadlines_missed == 0.0 for result in results)


def test_the_throttle_slows_down_under_dirty_power_and_misses_deadlines():
    recorded = day("camel_m03")
    dirty = replace(recorded, carbon_actual=recorded.carbon_actual + 200.0)
    dirty = replace(dirty, carbon_forecast=recorded.carbon_forecast + 200.0)
    ours, theirs = (
        waited(dirty, wait_s=2 * HOUR_S, share=0.3, processing=name) for name in ("release-plan", "throttle")
    )
    assert ours.deadlines_missed == 0.0
    assert theirs.deadlines_missed > 0.0


def test_a_restart_from_its_record_goes_on_the_same():
    held = book((1, 3), (6, 4), (9, 5))
    again = ReleaseBook.from_dict(json.loads(json.dumps(held.to_dict())))
    one, other = (queue(carbon=[5, 3, 4, 2, 6], waiting=each) for each in (held, again))
    assert ReleasePlanPolicy().release(one) == ReleasePlanPolicy().release(other)


def test_ceilings_are_what_the_plan_needs_within_the_bounds():
    amounts = np.array([0.0, 1800.0, 1800.1, 18_000.0, 1e9])
    ceilings = replica_ceilings(amounts, slot_s=SLOT_S, per_replica_rate=2.0, utilisation=0.5, least=1, greatest=12)
    assert ceilings.tolist() == [1, 1, 2, 10, 12]


def test_rounding_of_floats_costs_no_replica():
    amounts = np.array([3 * 0.1 * 10.0 * 0.7])
    assert replica_ceilings(amounts, slot_s=10.0, per_replica_rate=0.1, utilisation=0.7, greatest=9).tolist() == [3]


@pytest.mark.parametrize(
    "wrong",
    [
        {"slot_s": 0.0},
        {"per_replica_rate": np.inf},
        {"utilisation": 0.0},
        {"utilisation": 1.1},
        {"least": 5, "greatest": 4},
        {"least": -1},
        {"amounts": np.array([-1.0])},
        {"amounts": np.array([np.nan])},
    ],
)
def test_ceilings_refuse_numbers_out_of_range(wrong: dict[str, object]):
    good: dict[str, object] = {"amounts": np.ones(2), "slot_s": 1.0, "per_replica_rate": 1.0, "greatest": 4}
    good |= wrong
    with pytest.raises(ValueError, match=r"must|need"):
        replica_ceilings(good.pop("amounts"), **good)


def noisy_day(*, drift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A smooth day of 96 slots, and its forecast: off by `drift` and by white noise."""
    true = 200.0 - 60.0 * np.cos(np.arange(96) / 48.0 * 2 * np.pi)
    return true, true + drift + 12.0 * np.random.default_rng(4).standard_normal(96)


def test_the_estimate_takes_noise_out_of_a_forecast():
    true, forecast = noisy_day()
    estimate = expect(forecast=forecast, actual=np.full(96, np.nan))
    assert np.std(estimate - true) < 0.5 * np.std(forecast - true)


def test_the_estimate_learns_from_what_was_observed_and_comes_back_to_the_forecast():
    true, forecast = noisy_day(drift=30.0)
    actual = np.where(np.arange(96) < 40, true, np.nan)
    estimate = expect(forecast=forecast, actual=actual)
    assert estimate[:40] == pytest.approx(true[:40], abs=0.5)
    assert abs(estimate[40] - true[40]) < 5.0
    assert np.mean((estimate - true)[60:]) == pytest.approx(30.0, abs=6.0)


def test_the_estimate_scales_with_its_unit_and_bridges_what_is_unknown():
    _, forecast = noisy_day()
    forecast[20:30] = np.nan
    actual = np.where(np.arange(96) < 10, 180.0, np.nan)
    one, other = (expect(forecast=k * forecast, actual=k * actual) for k in (1.0, 7.0))
    assert np.isfinite(one).all()
    assert other == pytest.approx(7.0 * one)
    assert (expect(forecast=np.zeros(5), actual=np.full(5, np.nan)) == 0.0).all()


def test_carbon_is_expected_from_forecast_and_history_and_beyond_the_forecast_as_usual():
    true, forecast = noisy_day()
    history = CarbonHistory()
    for slot in range(10):
        history = history.observe(START_S + slot * SLOT_S, actual=true[slot], forecast=forecast[slot])
    view = outlook(carbon=forecast)
    expected = carbon_expected(history, view, first=10, count=100)
    usual, _ = carbon_ahead(history, view, first=10, count=100, ar=0.8)
    assert expected.shape == (100,)
    assert expected[86:] == pytest.approx(usual[86:])
    assert np.std(expected[:86] - true[10:]) < np.std(forecast[10:] - true[10:])
    heard = history.observe(START_S + 10 * SLOT_S, actual=900.0, forecast=None)
    assert carbon_expected(heard, view, first=10, count=9) == pytest.approx(expected[:9], rel=0.02)


def test_without_any_forecast_carbon_is_expected_as_usual():
    assert carbon_expected(CarbonHistory(), outlook(), first=3, count=4).tolist() == [1.0] * 4
    flat = CarbonHistory().observe(START_S, actual=120.0, forecast=None)
    assert carbon_expected(flat, outlook(), first=1, count=3) == pytest.approx([120.0] * 3)


def test_carbon_expected_is_never_negative():
    assert carbon_expected(CarbonHistory(), outlook(carbon=[-5.0, 10.0]), first=0, count=2).min() >= 0.0
