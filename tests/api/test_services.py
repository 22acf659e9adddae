"""Services over the API: made, changed, asked for, unmade; and what is refused."""

from __future__ import annotations

import pytest

from tests.api.hosts import SHOP, TERMS, served


async def test_a_service_is_made_changed_left_alone_and_unmade(tmp_path):
    async with served(tmp_path) as world:
        assert await world.call("PUT", SHOP, json=TERMS) == (201, made("created"))
        assert await world.call("PUT", SHOP, json=TERMS) == (200, made("unchanged"))
        changed = {**TERMS, "budget": {"max_error_pct": 2}}
        assert await world.call("PUT", SHOP, json=changed) == (200, made("changed"))
        status, state = await world.call("GET", SHOP)
        assert (status, state["budget"]["max_error"]) == (200, 0.02)
        assert (await world.call("DELETE", SHOP))[0] == 204
        status, problem = await world.call("GET", SHOP)
        assert (status, problem["status"], problem["title"]) == (404, 404, "Not Found")


async def test_what_was_made_and_counted_is_there_after_a_restart(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        await world.clock.advance(60)
        told = {"sender": "gateway", "sequence": 1, "served": {"high": 60, "low": 40}}
        assert (await world.call("POST", SHOP + "/feedback", json=told))[1]["entered"]
    async with served(tmp_path) as world:
        status, state = await world.call("GET", SHOP)
        assert status == 200
        assert (state["budget"]["requests"], state["budget"]["error_requests"]) == (100, pytest.approx(4))
        _, again = await world.call("POST", SHOP + "/feedback", json=told)
        assert (again["entered"], again["budget"]["requests"]) == (False, 100)


async def test_weights_are_imposed_for_a_while_and_survive_a_restart(tmp_path):
    imposed = {"high": 2000, "low": 8000}
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        status, state = await world.call("PUT", SHOP + "/override", json={"weights": imposed, "duration": "1h"})
        assert (status, state["weights"]) == (200, {"high": 2000, "mid": 0, "low": 8000})
    async with served(tmp_path) as world:
        assert (await world.call("GET", SHOP))[1]["weights"] == {"high": 2000, "mid": 0, "low": 8000}
        await world.clock.advance(3700)
        _, state = await world.call("GET", SHOP)
        assert state["override"] is None
        assert state["weights"] != {"high": 2000, "mid": 0, "low": 8000}


async def test_a_paused_service_serves_its_best_flavour_until_somebody_resumes(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        _, state = await world.call("PUT", SHOP + "/pause", json={"reason": "audit"})
        assert (state["weights"], state["paused"]["reason"]) == ({"high": 10000, "mid": 0, "low": 0}, "audit")
        await world.clock.advance(3600)
        assert (await world.call("GET", SHOP))[1]["weights"] == {"high": 10000, "mid": 0, "low": 0}
        _, state = await world.call("DELETE", SHOP + "/pause")
        assert state["paused"] is None
        assert state["weights"]["high"] < 10000


def made(outcome: str) -> dict[str, str]:
    return {"namespace": "default", "service": "shop", "outcome": outcome}
