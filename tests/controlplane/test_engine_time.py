"""The engine when time does not go as it should, when rounds are long, and when services come and go during one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import pytest

from controlplane import engine as engine_module
from controlplane.accounting import FlavourLoad
from controlplane.carbon import CarbonFeed, ZoneMemory
from controlplane.session import ServiceSession
from controlplane.spec import Planned
from controlplane.steering import Override, Pause, Steering
from controlplane.store import FileStore, StoreError
from tests.controlplane.fakes import (
    DAY_S,
    SLOT_S,
    START_S,
    ScriptedSource,
    World,
    carbon_series,
    service_spec,
    settle,
)

KEY = "default/shop"
HOUR_S = 3600.0
NAMES = [f"shop-{number}" for number in range(6)]


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path / "state", now_s=START_S + 600.0)


@asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    task = asyncio.create_task(world.engine.run())
    await settle()
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def jump(world: World, seconds: float) -> None:
    """The clock is set; sleeps that are under way last as long as they would have."""
    world.clock.time_s += seconds
    world.clock._waiting = [(wake_s + seconds, order, woken) for wake_s, order, woken in world.clock._waiting]


def enter(world: World, count: float, *, key: str = KEY, sender: str = "a") -> None:
    """Counts of the last ten seconds."""
    now_s = world.clock.now_s()
    loads = {"fast": FlavourLoad(served=count)}
    world.engine.enter(key, loads, since_s=now_s - 10.0, until_s=now_s, sender=sender)


def alive(world: World) -> bool:
    """Whether every service has a schedule that has not ended."""
    now_s = world.clock.now_s()
    return all(each.intent is not None and each.intent.valid_until_s > now_s for each in world.engine.sessions.values())


def entered(world: World) -> float:
    ledger = world.session.controller.state.ledger
    return sum(book.requests for book in ledger.books) + ledger.forgotten_requests


@pytest.mark.parametrize(
    "jump_s", [6 * HOUR_S, -HOUR_S, -START_S, 40 * DAY_S, SLOT_S], ids=["ahead", "back", "1970", "weeks", "slot"]
)
async def test_after_a_jump_of_the_clock_the_next_round_is_right_again_and_no_count_is_lost(world, jump_s):
    world.configure(service_spec())
    async with running(world):
        enter(world, 100)
        jump(world, jump_s)
        await world.clock.advance(10.0)
        await settle()
        assert alive(world)
        decision = world.session.decision
        assert decision.slot_start_s <= world.clock.now_s() < decision.slot_end_s
        enter(world, 50)
        await world.clock.advance(20.0)
        assert alive(world)
        assert world.session.failures == 0
        assert entered(world) == pytest.approx(150)
        assert len(world.session.account.slots) <= 2 * 48 + 3


async def test_a_clock_that_was_ahead_for_a_while_leaves_the_books_of_now_as_they_were(world):
    world.configure(service_spec())
    async with running(world):
        enter(world, 100)
        for jump_s in (6 * HOUR_S, -6 * HOUR_S):
            jump(world, jump_s)
            await world.clock.advance(10.0)
        assert world.session.books(world.clock.now_s()).requests == pytest.approx(100)
        enter(world, 50)
        assert world.session.books(world.clock.now_s()).requests == pytest.approx(150)
        assert world.session.controller.state.accounted_until_s == world.clock.now_s()


async def test_counts_of_a_sender_ahead_do_not_stop_the_time_when_the_clock_is_set_back(world):
    world.configure(service_spec())
    world.engine.tick()
    enter(world, 10)
    world.clock.time_s -= HOUR_S
    enter(world, 10)
    assert world.session.controller.state.accounted_until_s <= world.clock.now_s() + HOUR_S
    world.engine.tick()
    world.clock.time_s += 10.0
    enter(world, 10)
    assert world.session.controller.state.accounted_until_s == world.clock.now_s()
    assert entered(world) == pytest.approx(30)


class Slow:
    """Lets time pass with each decision, and others run after each."""

    def __init__(self, world: World, seconds: float, *, then: Callable[[str], None] = lambda key: None) -> None:
        self.decided: list[tuple[float, str]] = []
        decide = ServiceSession.decide

        def slow(session: ServiceSession, *, now_s: float, next_s: float) -> object:
            self.decided.append((now_s, session.spec.key))
            made = decide(session, now_s=now_s, next_s=next_s)
            world.clock.time_s += seconds
            then(session.spec.key)
            return made

        self.patches = (
            mock.patch.object(ServiceSession, "decide", slow),
            mock.patch.object(engine_module, "_AT_A_STRETCH_S", -1.0),
        )

    def __enter__(self) -> Slow:
        for patch in self.patches:
            patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        for patch in self.patches:
            patch.stop()


async def test_a_slot_that_ends_in_the_middle_of_a_round_leaves_nobody_without_a_schedule(tmp_path):
    world = World(tmp_path / "state", now_s=START_S + SLOT_S - 5.0, refresh_s=30.0)
    world.configure(*(service_spec(service=name, valid_for_s=900.0) for name in NAMES))
    async with running(world):
        with Slow(world, 2.0) as slow:
            world.engine._due_s = world.clock.now_s()
            world.engine._act_now.set()
            await settle()  # a round that begins five seconds before the slot ends and takes twelve
        assert world.clock.now_s() > START_S + SLOT_S
        before = {key for time_s, key in slow.decided if time_s < START_S + SLOT_S}
        after = {key for time_s, key in slow.decided if time_s >= START_S + SLOT_S}
        assert before
        assert after == set(world.engine.sessions)
        assert alive(world)
        _, intents, _ = world.published[-1]
        assert all(intent.valid_until_s > world.clock.now_s() for intent in intents)


async def test_a_service_that_goes_during_a_round_is_neither_decided_for_nor_published(world):
    world.configure(*(service_spec(service=name) for name in NAMES))
    async with running(world):
        with Slow(world, 0.0) as slow:
            asyncio.get_running_loop().call_soon(world.engine._act_now.set)
            world.engine._due_s = world.clock.now_s()
            while not slow.decided:
                await asyncio.sleep(0)
            world.engine.drop(f"default/{NAMES[-1]}")
            await settle()
        assert f"default/{NAMES[-1]}" not in {key for _, key in slow.decided}
        assert len(world.published[-1][1]) == len(NAMES) - 1


async def test_a_service_that_comes_during_a_round_is_published_with_it(world):
    world.configure(*(service_spec(service=name) for name in NAMES))

    def come(key: str) -> None:
        if "default/late" not in world.engine.sessions:
            world.engine.put(Planned(service_spec(service="late"), world.feed))

    async with running(world):
        with Slow(world, 0.0, then=come):
            world.engine._due_s = world.clock.now_s()
            world.engine._act_now.set()
            await settle()
        assert len(world.published[-1][1]) == len(NAMES) + 1


async def test_others_have_their_turn_within_a_long_round(world):
    world.configure(*(service_spec(service=name) for name in NAMES))
    async with running(world):
        turns: list[int] = []
        with Slow(world, 0.0) as slow:
            world.engine._due_s = world.clock.now_s()
            world.engine._act_now.set()
            while len(slow.decided) < len(NAMES):
                await asyncio.sleep(0)
                turns.append(len(slow.decided))
        assert len(set(turns)) >= len(NAMES) - 1


async def test_a_decision_that_keeps_failing_does_not_keep_the_engine_busy(world, monkeypatch, caplog):
    world.configure(service_spec())
    steering = Steering(override=Override(weights={"fast": 10_000}, until_s=world.clock.now_s() + 5.0))
    async with running(world):
        world.engine.steer(KEY, steering)
        monkeypatch.setattr(world.session, "_note_carbon", lambda now_s: 1 / 0)
        generation = world.engine.generation
        await world.clock.advance(60.0)
        assert world.engine.generation - generation <= 9
        assert world.session.steering.override is None
        assert alive(world)
    assert "ZeroDivisionError" in caplog.text


async def test_the_end_of_what_is_imposed_on_one_is_the_time_of_the_next_round(world):
    world.configure(service_spec())
    async with running(world):
        began_s = world.clock.now_s()
        world.engine.steer(KEY, Steering(pause=Pause(until_s=began_s + 3.25)))
        await world.clock.advance(4.0)
        assert began_s + 3.25 in [time_s for time_s, *_ in world.published]
        assert world.session.decision.reasons.binding != "imposed"


async def test_hours_of_sleep_are_over_with_one_round(world):
    world.configure(service_spec())
    world.source.outcome = carbon_series([100.0] * 96)
    async with running(world):
        await world.clock.advance(20.0)
        rounds = world.engine.generation
        jump(world, 9 * HOUR_S)
        await world.clock.advance(10.0)
        assert alive(world)
        assert world.engine.generation - rounds <= 3


async def test_books_that_cannot_be_read_or_kept_change_nothing(world):
    world.configure(service_spec())
    before = world.session

    def refuse() -> None:
        raise OSError(28, "No space left on device")

    for spec in (service_spec(max_error=0.01), service_spec(service="new")):
        with pytest.raises(OSError, match="No space"):
            world.engine.put(Planned(spec, world.feed), keep=refuse)
    (world.directory / "default%2Fnew.json").mkdir()
    kept: list[int] = []
    with pytest.raises(StoreError):
        world.engine.put(Planned(service_spec(service="new"), world.feed), keep=lambda: kept.append(1))
    assert world.engine.sessions == {KEY: before}
    assert kept == []


async def test_a_service_whose_books_cannot_be_deleted_is_served_no_more_all_the_same(world, monkeypatch):
    world.configure(service_spec(), service_spec(service="other"))

    def refuse(key: str) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(world.engine._store, "delete", refuse)
    with pytest.raises(OSError, match="Read-only"):
        world.engine.drop(KEY, forget=True)
    assert set(world.engine.sessions) == {"default/other"}
    assert not any(target.service == KEY for target in world.engine.feedback.targets.values())


class AverageSource(ScriptedSource):
    """Says what its figures are."""

    kind = "average"
    basis = "test"


async def test_the_past_of_a_grid_is_shared_saved_once_and_there_after_a_restart(tmp_path, world):
    memory = tmp_path / "carbon"

    def new_feed() -> CarbonFeed:
        source = AverageSource(carbon_series([100.0] * 96, actual=[130.0]))
        return CarbonFeed(source, clock=world.clock, memory=ZoneMemory(FileStore(memory), source))

    feed = new_feed()
    world.engine.configure([Planned(service_spec(service=name), feed) for name in NAMES])
    with mock.patch.object(ZoneMemory, "save", autospec=True, side_effect=ZoneMemory.save) as saving:
        await feed.refresh()
        for _ in range(5):
            world.engine.tick()
        assert saving.call_count == 1
    histories = [session.controller.carbon for session in world.engine.sessions.values()]
    assert all(history is feed.history for history in histories)
    assert feed.history.slots == ((START_S, 130.0, 100.0),)
    [path] = memory.iterdir()
    assert json.loads(path.read_text())["slots"]
    world.engine.save(f"default/{NAMES[0]}")
    world.engine.writer.flush()
    assert "carbon" not in json.loads((world.directory / f"default%2F{NAMES[0]}.json").read_text())["controller"]
    again = new_feed()
    assert again.history.slots == feed.history.slots


async def test_a_second_engine_goes_on_with_what_people_imposed_and_senders_sent(world):
    world.configure(service_spec())
    world.engine.steer(KEY, Steering(pause=Pause(reason="audit")))
    world.session.senders.enter("gateway", 7, until_s=START_S, now_s=START_S)
    enter(world, 100)
    world.restart()
    world.configure(service_spec())
    assert world.session.steering.pause == Pause(reason="audit")
    assert world.session.senders.place("gateway", 7) == "repeated"
    assert entered(world) == 100


@pytest.mark.parametrize(
    "spoil",
    [{"steering": {"override": 7}}, {"senders": [1]}, {"senders": {"a": [-1, 0.0]}}, {"verdicts": {"closed": 1}}],
    ids=str,
)
async def test_books_with_broken_steering_senders_or_verdicts_are_set_aside(world, spoil, caplog):
    world.configure(service_spec())
    world.engine.save(KEY)
    world.engine.writer.flush()
    path = world.directory / "default%2Fshop.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | spoil))
    world.engine = world.new_engine()
    world.configure(service_spec())
    assert [each.suffix != ".json" for each in world.directory.iterdir()] == [True]
    assert next(iter(spoil)) in caplog.text


async def test_a_clock_that_is_days_ahead_for_a_moment_takes_no_slot_of_the_open_window(world):
    world.configure(service_spec())
    world.engine.tick()
    enter(world, 100)
    now_s = world.clock.now_s()
    for jump_s in (3 * DAY_S, 0.0):
        world.clock.time_s = now_s + jump_s
        world.engine.tick()
    start_s, end_s = world.session.window(now_s)
    assert world.session.summary(start_s, end_s).requests == 100


async def test_a_changed_service_goes_on_with_its_senders(world):
    world.configure(service_spec())
    now_s = world.clock.now_s()
    world.session.senders.enter("gateway", 1, until_s=now_s, now_s=now_s)
    changed = world.session.with_spec(replace(world.session.spec, valid_for_s=5.0), world.session.feed)
    assert changed.counted_from("gateway", until_s=now_s + 2000, reach_s=3600.0) == now_s


@pytest.fixture(autouse=True)
def real_seconds():
    """Reports are told apart by real time; here none passes."""
    with mock.patch("controlplane.feedback.time", SimpleNamespace(monotonic=lambda: 0.0)):
        yield
