"""Weights imposed and pauses: at once, for their time, counted like anything else, over restarts and changes."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.files import write_whole
from tests.api.hosts import SHOP, TERMS, Served, served
from tests.controlplane.fakes import settle

KEY = "default/shop"
IMPOSED = {"high": 2500, "mid": 0, "low": 7500}
BEST = {"high": 10_000, "mid": 0, "low": 0}


async def impose(world: Served, duration: str = "10m", **weights: int) -> dict[str, Any]:
    sent = {"weights": weights or {"high": 2500, "low": 7500}, "duration": duration}
    status, state = await world.call("PUT", SHOP + "/override", json=sent)
    assert status == 200, state
    return state


async def weights(world: Served) -> Any:
    return (await world.call("GET", SHOP))[1]["weights"]


async def test_what_is_served_under_an_override_or_a_pause_is_counted(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        await impose(world)
        await world.clock.advance(60)
        told = {"sender": "a", "sequence": 1, "served": {"high": 5, "low": 95}}
        _, answer = await world.call("POST", SHOP + "/feedback", json=told)
        assert answer["budget"]["error_requests"] == pytest.approx(9.5)
        await world.call("PUT", SHOP + "/pause", json={})
        await world.clock.advance(60)
        _, answer = await world.call("POST", SHOP + "/feedback", json={**told, "sequence": 2, "served": {"high": 100}})
        assert answer["budget"]["requests"] == 200
        _, history = await world.call("GET", SHOP + "/history")
        [slot] = history["slots"]
        assert slot["commanded"] == pytest.approx({"high": 0.625, "low": 0.375})
        await world.call("DELETE", SHOP + "/pause")
        _, state = await world.call("DELETE", SHOP + "/override")
        assert state["budget"]["error_requests"] == pytest.approx(9.5)
        assert not state["budget"]["held"]


async def test_an_override_ends_in_the_middle_of_a_slot_at_its_very_time(tmp_path):
    async with served(tmp_path, gateway={"refresh": "5m", "ttl": "10m"}) as world:
        await world.call("PUT", SHOP, json=TERMS)
        state = await impose(world, "137s")
        assert (state["weights"], state["valid_until"]) == (IMPOSED, "2023-11-15T00:02:17Z")
        assert state["reasons"]["binding"] == "imposed"
        await world.clock.advance(136.9)
        assert await weights(world) == IMPOSED
        await world.clock.advance(0.2)
        _, state = await world.call("GET", SHOP)
        assert state["override"] is None
        assert state["weights"] not in (None, IMPOSED)
        assert state["reasons"]["binding"] != "imposed"


async def test_a_pause_goes_before_an_override_which_goes_on_after_it(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        await impose(world, "1h")
        _, state = await world.call("PUT", SHOP + "/pause", json={"duration": "10m", "reason": "look"})
        assert (state["weights"], state["override"]["weights"]) == (BEST, {"high": 2500, "low": 7500})
        assert state["paused"] == {"until": "2023-11-15T00:10:00Z", "reason": "look"}
        await world.clock.advance(601)
        assert await weights(world) == IMPOSED
        await world.clock.advance(3000)
        _, state = await world.call("GET", SHOP)
        assert (state["override"], state["paused"]) == (None, None)
        assert state["reasons"]["binding"] != "imposed"


async def test_an_override_that_ends_during_a_pause_does_not_come_back(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        await impose(world, "5m")
        await world.call("PUT", SHOP + "/pause", json={})
        await world.clock.advance(400)
        _, state = await world.call("DELETE", SHOP + "/pause")
        assert (state["override"], state["weights"] == IMPOSED) == (None, False)


@pytest.mark.parametrize(
    "sent",
    [
        {"weights": {"high": 5000, "nobody": 5000}, "duration": "1h"},
        {"weights": {"high": 5000}, "duration": "1h"},
        {"weights": {"high": 10_001, "low": -1}, "duration": "1h"},
        {"weights": {"high": 5000.5, "low": 4999.5}, "duration": "1h"},
        {"weights": {"high": "10000"}, "duration": "1h"},
        {"weights": {"high": True}, "duration": "1h"},
        {"weights": {}, "duration": "1h"},
        {"weights": BEST},
        {"weights": BEST, "duration": "0s"},
        {"weights": BEST, "duration": "367d"},
        {"weights": BEST, "duration": 60},
        {"weights": BEST, "duration": "1h", "reason": "x" * 501},
    ],
    ids=str,
)
async def test_what_cannot_be_imposed_is_refused_and_changes_nothing(tmp_path, sent):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        await impose(world)
        status, _ = await world.call("PUT", SHOP + "/override", json=sent)
        assert status == 422
        assert await weights(world) == IMPOSED


async def test_steering_what_is_not_there_is_refused(tmp_path):
    async with served(tmp_path) as world:
        for method, path in (("PUT", "/override"), ("DELETE", "/override"), ("PUT", "/pause"), ("DELETE", "/pause")):
            sent = {"json": {"weights": BEST, "duration": "1h"} if path == "/override" else {}}
            assert (await world.call(method, SHOP + path, **sent))[0] == 404


async def test_what_is_imposed_survives_a_restart_and_a_change_of_terms(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        await impose(world, "2h")
        await world.call("PUT", SHOP, json={**TERMS, "budget": {"max_error_pct": 1}})
        assert await weights(world) == IMPOSED
    async with served(tmp_path) as world:
        assert await weights(world) == IMPOSED
        assert world.host.engine.sessions[KEY].steering.override is not None
        await world.call("PUT", SHOP + "/pause", json={"reason": "stop"})
    async with served(tmp_path) as world:
        _, state = await world.call("GET", SHOP)
        assert (state["weights"], state["paused"]) == (BEST, {"until": None, "reason": "stop"})


async def test_weights_for_a_flavour_that_is_gone_are_not_imposed_and_that_is_said(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        await impose(world, "2h", high=2500, mid=0, low=7500)
        await world.call("PUT", SHOP, json={**TERMS, "flavours": [TERMS["flavours"][0], TERMS["flavours"][2]]})
        assert await weights(world) == {"high": 2500, "low": 7500}  # nothing was imposed on the one that went
        await world.call("PUT", SHOP, json={**TERMS, "flavours": TERMS["flavours"][:2]})
        _, state = await world.call("GET", SHOP)
        assert set(state["weights"]) == {"high", "mid"}
        assert state["reasons"]["binding"] != "imposed"
        assert any("no longer there" in sentence for sentence in state["why"])
        await world.call("PUT", SHOP, json=TERMS)
        assert await weights(world) == IMPOSED


async def test_a_schedule_that_has_ended_is_shown_to_nobody(tmp_path):
    """The engine's loop is stuck, or the machine was asleep: time goes on and nothing is decided."""
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        await world.foreseen()
        assert await weights(world) is not None
        world.clock.time_s += 31  # beyond the TTL of 30 s, and nobody wakes
        _, state = await world.call("GET", SHOP)
        assert (state["weights"], state["valid_until"]) == (None, None)
        _, plan = await world.call("GET", SHOP + "/schedule")
        assert (plan["weights"], plan["valid_until"]) == (None, None)
        _, page = await world.call("GET", "/api/v1/services")
        assert (page["services"][0]["weights"], page["services"][0]["valid_until"]) == (None, None)
        assert await world.call("GET", "/schedule/default/shop") == (202, {"status": "pending"})
        await world.clock.advance(10)
        await settle()
        assert await weights(world) is not None
        assert (await world.call("GET", "/schedule/default/shop"))[0] == 200


async def test_no_schedule_reaches_beyond_its_slot_or_what_is_imposed(tmp_path):
    async with served(tmp_path, gateway={"refresh": "10s", "ttl": "1h"}) as world:
        await world.call("PUT", SHOP, json=TERMS)
        _, plan = await world.call("GET", SHOP + "/schedule")
        assert plan["valid_until"] == plan["slots"][0]["end"] == "2023-11-15T00:30:00Z"
        await impose(world, "20m")
        assert (await world.call("GET", SHOP + "/schedule"))[1]["valid_until"] == "2023-11-15T00:20:00Z"


async def test_what_could_not_be_kept_is_said_and_may_be_asked_for_again(tmp_path, monkeypatch):
    full = True

    def save(path: Any, write: Any) -> None:
        if full and "services" in str(path.parent):
            raise OSError(28, "No space left on device")
        write_whole(path, write)

    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        monkeypatch.setattr("controlplane.store.write_whole", save)
        sent = {"weights": {"high": 2500, "low": 7500}, "duration": "2h"}
        status, problem = await world.call("PUT", SHOP + "/override", json=sent)
        assert (status, "No space left" in problem["detail"]) == (503, True)
        full = False
        assert (await world.call("PUT", SHOP + "/override", json=sent))[0] == 200
    async with served(tmp_path) as world:
        assert await weights(world) == IMPOSED
