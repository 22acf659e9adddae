"""Conditions: a budget that nothing can make up for is told as broken, and books that are not what they should be."""

from __future__ import annotations

import pytest

from controlplane.demand import DemandForecast
from controlplane.steering import Override, Steering
from controlplane.views.conditions import conditions_of, trouble_of
from tests.controlplane.fakes import DAY_S, SLOT_S, START_S, World, carbon_series, cluster, load_report, service_spec

NOON_S = START_S + DAY_S / 2


@pytest.fixture
async def world(tmp_path) -> World:
    world = World(tmp_path / "state", now_s=NOON_S)
    world.source.outcome = carbon_series([300.0] * 48)
    await world.feed.refresh()
    return world


def condition(world: World, kind: str) -> tuple[str, str]:
    found = {
        each["type"]: (each["status"], each["reason"]) for each in conditions_of(world.session, world.clock.now_s())
    }
    return found.get(kind, ("", ""))


def overspend(world: World, count: float) -> None:
    world.clock.time_s += 60.0
    world.engine.on_report(load_report({cluster("fast"): count}))
    world.engine.tick()


async def test_what_the_rest_of_the_window_can_make_up_for_is_no_broken_promise(world):
    world.configure(service_spec())
    for _ in range(20):
        world.clock.time_s += 60.0
        world.engine.on_report(load_report({cluster("best"): 90, cluster("fast"): 10}))
    overspend(world, 100)
    assert condition(world, "BudgetHeld") in {("True", "AheadOfBudget"), ("True", "WithinBudget")}


async def test_what_is_imposed_is_made_up_for_by_nobody(world):
    world.configure(service_spec())
    weights = {"best": 0, "good": 0, "fast": 10_000}
    world.engine.steer("default/shop", Steering(override=Override(weights=weights, until_s=NOON_S + 30 * DAY_S)))
    overspend(world, 1_000_000)
    assert condition(world, "BudgetHeld") == ("False", "OverBudget")
    assert [each["type"] for each in trouble_of(world.session, world.clock.now_s())] == ["BudgetHeld"]


async def test_more_than_all_that_is_expected_could_make_up_for_is_a_broken_promise(world):
    world.configure(service_spec(demand=DemandForecast(START_S, SLOT_S, (10.0,) * 48)))
    overspend(world, 10_000)
    world.clock.time_s = START_S + DAY_S - 120.0
    overspend(world, 10)
    assert condition(world, "BudgetHeld") == ("False", "OverBudget")


async def test_a_policy_that_keeps_no_promise_is_not_said_to_make_up_for_it(world):
    spec = service_spec()
    settings = type(spec.settings)(max_error=0.04, window=spec.settings.window, policy="round-robin")
    world.configure(type(spec)(topology=spec.topology, flavours=spec.flavours, settings=settings))
    overspend(world, 100)
    assert condition(world, "BudgetHeld") == ("False", "OverBudget")


async def test_books_that_could_not_be_used_are_missed_until_their_window_is_over(world, caplog):
    world.directory.joinpath("default%2Fshop.json").write_text('{"version": 1, "acc')
    world.configure(service_spec())
    assert condition(world, "BooksComplete") == ("False", "SetAside")
    world.restart()
    world.configure(service_spec())
    assert condition(world, "BooksComplete") == ("False", "SetAside"), "a restart makes them no more complete"
    world.clock.time_s = START_S + DAY_S
    assert condition(world, "BooksComplete") == ("", "")
    assert "cannot be used" in caplog.text


async def test_books_that_cannot_be_saved_are_told_until_they_can(world, monkeypatch, caplog):
    world.configure(service_spec())

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(world.engine._store, "save", refuse)
        overspend(world, 1)
        world.engine.writer.flush()
        world.engine.tick()
        assert condition(world, "StateSaved") == ("False", "DiskRefuses")
    overspend(world, 1)
    world.engine.writer.flush()
    world.engine.tick()
    assert condition(world, "StateSaved") == ("", "")
    assert "No space left" in caplog.text
