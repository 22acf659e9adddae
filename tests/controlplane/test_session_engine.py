"""Services over time: counts and forecasts in, intents out, and nothing lost on the way."""

from __future__ import annotations

import asyncio
import json
import math
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane import feedback as feedback_module
from controlplane.accounting import Account
from controlplane.carbon import CarbonFeed
from controlplane.demand import DemandForecast
from controlplane.spec import Planned
from controlplane.views import service_view
from scheduler import BudgetWindow
from tests.controlplane.fakes import (
    DAY_S,
    FLAVOURS,
    SLOT_S,
    START_S,
    ScriptedSource,
    World,
    carbon_series,
    cluster,
    load_report,
    service_spec,
    settle,
    steady,
)
from xds import ClusterLoad

ALL_BEST = {"best": 10_000, "good": 0, "fast": 0}
# A dear first half of the day and a cheap second one.
TWO_HALVES = [500.0] * 24 + [50.0] * 24


@pytest.fixture(autouse=True)
def real_seconds(monkeypatch):
    """Reports are told apart by real time; here none passes."""
    monkeypatch.setattr(feedback_module, "time", SimpleNamespace(monotonic=lambda: 0.0))


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path / "state")


@asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    task = asyncio.create_task(world.engine.run())
    await settle()
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


def conditions(world: World) -> dict[str, tuple[str, str]]:
    status = service_view(world.session, world.clock.now_s())
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def answer(world: World, count: int, *, seconds: float = 60.0) -> None:
    """Let time pass, in which proxies answer requests as they were told to."""
    world.clock.time_s += seconds
    served = {cluster(name): count * weight // 10_000 for name, weight in world.weights.items()}
    served[cluster("best")] += count - sum(served.values())
    world.engine.on_report(load_report(served))


def entered(world: World, service: str = "shop") -> float:
    ledger = world.engine.sessions[f"default/{service}"].controller.state.ledger
    return math.fsum(books.requests for books in ledger.books) + ledger.forgotten_requests


def accounted(account: Account) -> float:
    return math.fsum(count for record in account.slots.values() for count in record.served.values())


async def test_with_nothing_known_the_first_decision_is_the_carbon_blind_mix_of_the_budget_and_says_so(world):
    world.configure(service_spec())
    world.engine.tick()
    assert world.weights == {"best": 6_000, "good": 0, "fast": 4_000}
    assert world.session.decision.expected_error == pytest.approx(0.04)
    assert conditions(world) == {
        "Ready": ("True", "Deciding"),
        "ForecastFresh": ("False", "CarbonBlindMix"),
        "BudgetHeld": ("True", "WithinBudget"),
        "AllFlavoursUseful": ("False", "OffHull"),
    }


async def test_a_promise_without_error_is_full_quality_from_the_first_decision(world):
    world.configure(service_spec(max_error=0.0))
    world.engine.tick()
    assert world.weights == ALL_BEST


async def test_without_a_forecast_the_budget_is_spent_on_a_constant_mix(world):
    world.configure(service_spec())
    world.engine.tick()
    seen = []
    for _ in range(100):
        answer(world, 10_000, seconds=600.0)
        world.engine.tick()
        seen.append(world.session.decision.expected_error)
    assert world.session.decision.reasons.forecast == "none"
    assert seen[-1] == pytest.approx(0.04, abs=0.004)
    assert world.session.books(world.clock.now_s()).mean_error <= 0.04


async def test_a_forecast_that_arrives_becomes_a_plan_that_waits_for_the_dear_hours(world):
    world.configure(service_spec())
    async with running(world):
        assert world.session.decision.reasons.forecast == "none"
        world.source.outcome = carbon_series(TWO_HALVES)
        await world.clock.advance(90.0)
    decision = world.session.decision
    assert decision.reasons.forecast == "provider"
    assert conditions(world)["ForecastFresh"] == ("True", "Fresh")
    dear, cheap = decision.planned_weights[1, 2], decision.planned_weights[-1, 2]
    assert dear > cheap


async def test_a_first_forecast_does_not_wait_for_the_next_refresh(tmp_path):
    world = World(tmp_path / "state", refresh_s=1000.0)
    world.configure(service_spec())
    world.source.outcome = carbon_series(TWO_HALVES)
    async with running(world):
        assert world.session.decision.reasons.forecast == "provider"
    assert [time_s for time_s, *_ in world.published] == [START_S] * 2


async def test_a_dead_provider_is_bridged_by_the_last_good_forecast_then_by_a_blind_mix_and_all_is_told(world):
    world.configure(service_spec())
    world.source.outcome = carbon_series(TWO_HALVES[:12])  # six hours
    await world.feed.refresh()
    world.engine.tick()
    told = {}
    world.source.outcome = None
    for hour in range(8):
        told[hour] = (world.session.decision.reasons.forecast, *conditions(world)["ForecastFresh"])
        world.clock.time_s += 3600.0
        await world.feed.refresh()
        world.engine.tick()
    assert told[1] == ("provider+level", "True", "Fresh")
    assert told[4] == ("provider+level", "False", "LastGood")
    assert told[7] == ("none", "False", "CarbonBlindMix")
    status = service_view(world.session, world.clock.now_s())
    assert "out of order" in next(each["message"] for each in status["conditions"] if each["type"] == "ForecastFresh")
    assert status["carbon"]["failures"] == 8
    world.source.outcome = carbon_series(TWO_HALVES, start_s=world.clock.now_s())
    world.clock.time_s += 3600.0
    await world.feed.refresh()
    world.engine.tick()
    assert world.session.decision.reasons.forecast == "provider"
    assert conditions(world)["ForecastFresh"] == ("True", "Fresh")
    assert service_view(world.session, world.clock.now_s())["carbon"]["last_error"] is None


async def test_actual_carbon_is_learned_and_noted_in_the_account(world):
    world.configure(service_spec())
    world.engine.tick()
    answer(world, 100, seconds=SLOT_S + 1)
    world.source.outcome = carbon_series([100.0] * 96, actual=[130.0])
    await world.feed.refresh()
    world.engine.tick()
    first = world.session.account.slots[round(START_S / SLOT_S)]
    assert (first.carbon_forecast, first.carbon_actual) == (100.0, 130.0)
    assert world.feed.history.slots == ((START_S, 130.0, 100.0),)


async def test_counts_reach_the_books_exactly_once(world):
    world.configure(service_spec(), service_spec(service="other"))
    world.engine.tick()
    world.clock.time_s += 10
    world.engine.on_report(load_report({cluster("best"): 70, cluster("fast"): 30, cluster("good", service="other"): 5}))
    world.engine.tick()
    world.engine.on_report(load_report({"unknown": 99}))
    books = world.session.books(world.clock.now_s())
    assert (books.requests, books.error_requests) == (100, pytest.approx(3.0))
    assert books.by_flavour == {"best": 70, "fast": 30}
    assert (entered(world), accounted(world.session.account)) == (100, 100)
    assert entered(world, "other") == 5
    assert world.session.totals["fast"].served == 30


async def test_failed_attempts_are_no_answers(world):
    world.configure(service_spec())
    world.engine.tick()
    world.clock.time_s += 10
    world.engine.on_report(load_report({cluster("fast"): ClusterLoad(failed=8), cluster("best"): 8}))
    assert world.session.books(world.clock.now_s()).requests == 8
    assert world.session.books(world.clock.now_s()).error_requests == 0
    assert world.session.totals["fast"].failed == 8
    assert world.session.summary(START_S, START_S + DAY_S).failed_attempts == 8


async def test_what_was_commanded_is_entered_for_the_time_it_held(world):
    world.configure(service_spec())
    world.engine.tick()
    world.clock.time_s += 100
    world.engine.tick()
    commanded = world.session.account.slots[round(START_S / SLOT_S)].commanded
    assert commanded == pytest.approx({"best": 6_000 * 100, "fast": 4_000 * 100})


async def test_an_unchanged_service_is_left_alone(world):
    spec = service_spec()
    world.configure(spec)
    before = world.session
    world.configure(service_spec(), service_spec(service="other"))
    assert world.session is before


@pytest.mark.parametrize(
    "spec",
    [
        service_spec(max_error=0.01),
        service_spec(flavours=(FLAVOURS[0], FLAVOURS[2])),
        service_spec(flavours=(replace(FLAVOURS[0], energy_j=7.0), *FLAVOURS[1:])),
        service_spec(valid_for_s=5.0),
        service_spec(window_s=DAY_S / 2),
    ],
    ids=["budget", "flavour removed", "energy", "validity", "window"],
)
async def test_the_books_go_on_under_a_changed_service(world, spec):
    world.configure(service_spec())
    world.engine.tick()
    answer(world, 1000)
    world.configure(spec)
    assert world.session.spec == spec
    assert (entered(world), accounted(world.session.account)) == (1000, 1000)
    assert world.session.totals["best"].served == 600
    world.engine.tick()
    assert set(world.weights) == {flavour.name for flavour in spec.flavours}
    answer(world, 10)
    assert entered(world) == 1010


async def test_another_carbon_source_alone_changes_the_feed_and_keeps_the_books(world):
    spec = service_spec()
    world.configure(spec)
    world.engine.tick()
    answer(world, 10)
    other = CarbonFeed(ScriptedSource(), clock=world.clock)
    world.engine.configure([Planned(spec, other)])
    assert world.session.feed is other
    assert entered(world) == 10


async def test_a_removed_service_is_saved_and_forgotten_and_comes_back_with_its_books(world):
    world.configure(service_spec())
    world.engine.tick()
    answer(world, 1000)
    world.configure()
    world.engine.tick()
    assert world.engine.sessions == {}
    assert world.published[-1][1] == ()
    world.engine.on_report(load_report({cluster("best"): 5}))
    world.engine.writer.flush()
    assert [path.name for path in world.directory.iterdir()] == ["default%2Fshop.json"]
    world.configure(service_spec())
    assert entered(world) == 1000


async def test_what_a_service_did_since_its_last_report_is_saved_when_it_is_removed(world):
    world.configure(service_spec())
    world.engine.tick()
    answer(world, 10, seconds=10.0)
    world.engine.writer.flush()
    world.clock.time_s += 90.0
    world.engine.tick()
    world.configure()
    world.engine.writer.flush()
    world.configure(service_spec())
    commanded = world.session.account.slots[round(START_S / SLOT_S)].commanded
    assert sum(commanded.values()) == pytest.approx(10_000 * 100)


async def test_a_service_that_comes_back_before_it_was_saved_has_its_newest_books(world):
    world.configure(service_spec())
    world.engine.tick()
    answer(world, 1000)
    world.engine.writer.flush()
    answer(world, 500)
    world.configure()
    world.configure(service_spec())
    assert entered(world) == 1500


async def test_a_new_engine_goes_on_where_the_old_one_was(world):
    world.configure(service_spec())
    world.source.outcome = carbon_series(TWO_HALVES, actual=[480.0, 510.0])
    await world.feed.refresh()
    world.engine.tick()
    for _ in range(5):
        answer(world, 1003, seconds=700.0)
        world.engine.tick()
    before = world.session
    world.restart()
    world.configure(service_spec())
    assert world.session is not before
    assert world.session.controller.state == before.controller.state
    assert world.session.account == before.account
    books = world.session.books(world.clock.now_s())
    assert books.requests == pytest.approx(accounted(before.account))
    world.engine.tick()
    decided = world.weights
    before.decide(now_s=world.clock.now_s(), next_s=world.clock.now_s() + world.refresh_s)
    assert decided == before.intent.weights


async def test_everything_is_saved_when_the_engine_ends(world):
    world.configure(service_spec())
    async with running(world):
        answer(world, 70)
    world.engine = world.new_engine()
    world.configure(service_spec())
    assert entered(world) == 70


async def test_a_decision_that_fails_is_full_quality_and_counted_and_the_next_one_recovers(world, monkeypatch, caplog):
    world.configure(service_spec())
    for _ in range(60):
        world.engine.tick()
        answer(world, 1000)
    world.engine.tick()
    mix = world.weights
    assert mix != ALL_BEST
    controller = world.session.controller
    monkeypatch.setattr(controller, "decide", mock.Mock(side_effect=ZeroDivisionError("no way")))
    world.engine.tick()
    now_s = world.clock.now_s()
    assert world.weights == ALL_BEST
    assert world.session.decision is None
    assert world.session.intent.valid_until_s == now_s + world.session.spec.valid_for_s
    assert world.published[-1][1][0].weights == ALL_BEST
    assert world.session.failures == 1
    assert conditions(world)["Ready"] == ("False", "NoDecision")
    assert "default/shop" in caplog.text
    monkeypatch.undo()
    world.engine.tick()
    assert world.weights != ALL_BEST
    assert (world.session.failures, world.session.last_failure) == (1, None)
    assert conditions(world)["Ready"] == ("True", "Deciding")


async def test_one_failing_service_leaves_the_others_alone(world, monkeypatch):
    world.configure(service_spec(), service_spec(service="other"))
    monkeypatch.setattr(world.session.controller, "decide", mock.Mock(side_effect=RuntimeError))
    world.engine.tick()
    assert world.session.decision is None
    assert world.engine.sessions["default/other"].decision is not None


async def test_a_schedule_that_cannot_be_published_is_counted_and_the_engine_goes_on(world, caplog):
    world.configure(service_spec())
    world.refuse = ValueError("a host is claimed twice")
    async with running(world):
        await world.clock.advance(2.5 * world.refresh_s)
        assert (world.engine.publish_failures, world.published) == (3, [])
        world.refuse = None
        await world.clock.advance(world.refresh_s)
    assert len(world.published) == 1
    assert world.engine.publish_failures == 3
    assert "claimed twice" in caplog.text


async def test_ticks_come_at_every_refresh_and_exactly_at_the_end_of_a_slot(tmp_path):
    world = World(tmp_path / "state", refresh_s=700.0)
    world.configure(service_spec())
    async with running(world):
        await world.clock.advance(3600.0)
    offsets = [time_s - START_S for time_s, *_ in world.published]
    assert offsets == [0, 700, 1400, 1800, 2500, 3200, 3600]


async def test_a_tick_comes_exactly_at_the_end_of_a_window_inside_a_slot(tmp_path):
    world = World(tmp_path / "state", refresh_s=700.0)
    world.configure(service_spec(window_s=1000.0))
    async with running(world):
        await world.clock.advance(2500.0)
    ends = {math.floor(START_S / 1000.0) * 1000.0 + 1000.0 * number for number in (1, 2)}
    assert ends <= {time_s for time_s, *_ in world.published}


async def test_a_changed_configuration_does_not_wait_for_the_next_refresh(world):
    world.configure(service_spec())
    async with running(world):
        world.configure(service_spec(), service_spec(service="other"))
        await settle()
    assert [(time_s, len(intents)) for time_s, intents, _ in world.published] == [(START_S, 1), (START_S, 2)]


async def test_labels_tell_generations_apart(world):
    world.configure(service_spec())
    world.engine.tick()
    world.engine.tick()
    labels = [label for *_, label in world.published]
    assert labels == ["2023-11-15T00:00:00Z#1", "2023-11-15T00:00:00Z#2"]


async def test_an_intent_never_outlives_its_slot_nor_its_validity(world):
    world.configure(service_spec(valid_for_s=60.0))
    for seconds in (0.0, 1700.0, 70.0, 29.0, 1.0):
        world.clock.time_s += seconds
        world.engine.tick()
        now_s = world.clock.now_s()
        slot_end_s = (math.floor(now_s / SLOT_S) + 1) * SLOT_S
        assert world.session.intent.valid_until_s == min(now_s + 60.0, slot_end_s)


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda state: state | {"version": 2}, "version is 2"),
        (lambda state: {}, "version is None"),
        (lambda state: state | {"account": {"slot_s": "x"}}, "account"),
        (lambda state: state | {"account": None}, "account"),
        (lambda state: state | {"controller": state["controller"] | {"version": 99}}, "version 99"),
        (lambda state: state | {"controller": None}, "controller state"),
        (lambda state: state | {"controller": state["controller"] | {"ledger": {"current": 7}}}, "ledger"),
        (lambda state: state | {"controller": state["controller"] | {"accounted_until_s": math.inf}}, "finite"),
        (lambda state: state | {"account": {"slot_s": 1800, "slots": {"1": {"served": {"best": math.nan}}}}}, "finite"),
    ],
    ids=["version", "empty", "slot", "no account", "inner version", "no controller", "ledger", "infinite", "poisoned"],
)
async def test_a_saved_state_that_is_not_ours_is_set_aside_and_said(world, caplog, break_it, reason):
    world.configure(service_spec())
    world.engine.tick()
    answer(world, 10)
    world.engine.writer.flush()
    [path] = world.directory.iterdir()
    broken = json.dumps(break_it(json.loads(path.read_text())))
    path.write_text(broken)
    world.engine = world.new_engine()
    world.configure(service_spec())
    assert entered(world) == 0
    [kept] = world.directory.iterdir()
    assert kept.read_text() == broken
    assert reason in caplog.text
    assert kept.name in caplog.text
    world.engine.tick()
    assert world.session.decision is not None


async def test_slots_of_another_length_begin_a_new_account_and_keep_the_budget(world):
    world.configure(service_spec())
    world.engine.tick()
    answer(world, 10)
    world.configure(service_spec(slot_s=900.0))
    assert entered(world) == 10
    assert world.session.account.slots == {}


async def test_the_account_does_not_grow_for_ever_without_a_forecast(world):
    world.configure(service_spec())
    for _ in range(200):
        world.engine.tick()
        answer(world, 10, seconds=3600.0)
    world.engine.tick()
    assert len(world.session.account.slots) <= 2 * 48 + 1


async def test_a_clock_that_jumps_from_1970_does_not_open_the_slots_of_decades(tmp_path):
    world = World(tmp_path / "state", now_s=0.0)
    world.configure(service_spec())
    world.engine.tick()
    answer(world, 10, seconds=10.0)
    world.clock.time_s = START_S + 100.0
    world.engine.on_report(load_report({cluster("best"): 500}))
    for _ in range(2):  # nothing is forgotten before a second look
        world.engine.tick()
    assert len(world.session.account.slots) <= 2 * 48 + 3
    assert accounted(world.session.account) == pytest.approx(500)


async def test_a_clock_that_is_set_back_ends_nothing(world):
    world.configure(service_spec())
    world.engine.tick()
    answer(world, 100)
    world.clock.time_s -= 2 * DAY_S
    world.engine.tick()
    answer(world, 50)
    world.engine.tick()
    assert world.session.failures == 0
    assert entered(world) == pytest.approx(150)


SPECS = {
    "plain": service_spec(),
    "tight": service_spec(max_error=0.005),
    "two flavours": service_spec(flavours=FLAVOURS[:2]),
    "other energy": service_spec(flavours=(replace(FLAVOURS[0], energy_j=3.0), *FLAVOURS[1:])),
}
steps = st.one_of(
    st.tuples(
        st.just("report"),
        st.sampled_from(["a", "b"]),
        st.dictionaries(st.sampled_from(["best", "good", "fast", "gone"]), st.integers(0, 1000), max_size=4),
    ),
    st.tuples(st.just("pass"), st.floats(0, 3600)),
    st.tuples(st.just("tick")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("configure"), st.sampled_from([*SPECS, None])),
)


@steady
@given(steps=st.lists(steps, max_size=23))
def test_no_order_of_events_loses_or_doubles_an_answer(steps):
    """At most 23 hours from an hour before the end of a window, so that the two newest windows hold everything."""
    expected = 0
    shared: list[float] = []
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory), now_s=START_S + DAY_S - 3600.0)
        times = SimpleNamespace(monotonic=world.clock.now_s)
        current: str | None = "plain"
        world.configure(SPECS["plain"])
        with mock.patch.object(feedback_module, "time", times):
            for step in steps:
                match step:
                    case ("report", node_id, counts):
                        world.engine.on_report(load_report({cluster(n): c for n, c in counts.items()}, node_id=node_id))
                        if current is not None:
                            known = {flavour.name for flavour in SPECS[current].flavours}
                            expected += sum(count for name, count in counts.items() if name in known)
                    case ("pass", seconds):
                        world.clock.time_s += seconds
                    case ("tick",):
                        world.engine.tick()
                    case ("restart",):
                        world.restart()
                        world.configure(*([SPECS[current]] if current is not None else []))
                    case ("configure", name):
                        current = name
                        world.configure(*([SPECS[name]] if name is not None else []))
                if current is not None:
                    shared = [entered(world), accounted(world.session.account)]
                    assert shared == pytest.approx([expected, expected], rel=1e-9, abs=1e-6)


async def test_configured_demand_reaches_as_far_as_a_rolling_window_is_planned(world):
    demand = DemandForecast(START_S, SLOT_S, (10.0,) * 24 + (1000.0,) * 24)
    window = BudgetWindow(kind="rolling", length_s=DAY_S)
    spec = service_spec(demand=demand)
    world.configure(replace(spec, settings=replace(spec.settings, window=window)))
    world.engine.tick()
    left = world.session.decision.reasons.budget_left_error_requests
    assert left == pytest.approx(0.04 * (24 * 10.0 + 24 * 1000.0), rel=0.01)


async def test_a_reload_keeps_what_was_counted(world):
    world.configure(service_spec(window_s=3600.0))
    for _ in range(3):
        world.engine.tick()
        answer(world, 100, seconds=3600.0)
    world.engine.tick()
    closed = world.session.verdicts.closed
    assert closed > 0
    world.configure(service_spec(window_s=3600.0, max_error=0.05))
    assert world.session.verdicts.closed == closed
