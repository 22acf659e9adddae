"""The stream of events: one for each change, signs of life in between, and nobody kept who has gone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from controlplane.api import reading
from tests.api.hosts import SHOP, TERMS, Served, served
from tests.support.wait import eventually

EVENTS = "/api/v1/events"


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(reading, "_LEAST_PAUSE_S", 0.0)


async def event(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """The next event, past any signs of life."""
    while True:
        told = await asyncio.wait_for(answer.content.readuntil(b"\n\n"), 10)
        if told.startswith(b"event: change\ndata: "):
            return json.loads(told.split(b"data: ", 1)[1])
        assert told.startswith(b":")


async def newest(answer: aiohttp.ClientResponse, world: Served) -> dict[str, Any]:
    """Events up to that of the newest change."""
    while True:
        told = await event(answer)
        if told["generation"] == world.host.engine.changes.number:
            return told


async def test_each_change_is_told_with_the_engines_time(tmp_path):
    async with served(tmp_path) as world, world.client.get(EVENTS) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["Cache-Control"] == "no-store"
        before = (await newest(answer, world))["generation"]
        await world.call("PUT", SHOP, json=TERMS)
        assert (await newest(answer, world))["generation"] > before
        await world.call("PUT", SHOP + "/pause", json={})
        before = (await newest(answer, world))["generation"]
        await world.clock.advance(60)
        told = await newest(answer, world)
        assert told["generation"] > before
        assert told["time"] == "2023-11-15T00:01:00Z"
        assert (await world.call("GET", "/api/v1/services"))[1]["generation"] == told["generation"]


async def test_a_listener_hears_at_once_where_things_stand(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        await world.foreseen()
        for _ in range(2):
            async with world.client.get(EVENTS) as answer:
                assert (await event(answer))["generation"] == world.host.engine.changes.number


async def test_while_nothing_changes_there_are_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_KEEP_ALIVE_S", 0.01)
    async with served(tmp_path) as world, world.client.get(EVENTS) as answer:
        await newest(answer, world)
        for _ in range(3):
            assert (await asyncio.wait_for(answer.content.readuntil(b"\n\n"), 10)).startswith(b":")


async def test_who_has_gone_is_no_listener_any_more(tmp_path):
    async with served(tmp_path) as world:
        answers = [await world.client.get(EVENTS) for _ in range(5)]
        for answer in answers:
            await event(answer)
        assert world.host.listeners == 5
        for answer in answers:
            answer.close()
        await eventually(lambda: world.host.listeners == 0)


async def test_who_has_gone_before_the_first_event_is_none_either(tmp_path):
    async with served(tmp_path) as world:
        address, port = world.host.config.api.listen.split(":")
        for _ in range(5):
            _, writer = await asyncio.open_connection(address, int(port))
            writer.write(f"GET {EVENTS} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            writer.transport.abort()
        await world.call("GET", "/healthz")
        await eventually(lambda: world.host.listeners == 0)


async def test_there_are_only_so_many_listeners_however_they_crowd_in(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MOST_LISTENERS", 10)
    async with served(tmp_path) as world:
        answers = await asyncio.gather(*(world.client.get(EVENTS) for _ in range(40)))
        assert sorted(answer.status for answer in answers) == [200] * 10 + [503] * 30
        refused = next(answer for answer in answers if answer.status == 503)
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert int(refused.headers["Retry-After"]) > 0
        for answer in answers:
            answer.close()
        await eventually(lambda: world.host.listeners == 0)
        async with world.client.get(EVENTS) as answer:
            assert (await event(answer))["generation"] >= 1


async def test_a_stream_ends_after_a_while_and_is_taken_up_again(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_LONGEST_S", 0.0)
    async with served(tmp_path) as world, world.client.get(EVENTS) as answer:
        assert await asyncio.wait_for(answer.read(), 10) == b""
    assert world.host.listeners == 0


async def test_an_engine_that_ends_waits_for_no_listener(tmp_path):
    async with served(tmp_path) as world:
        answer = await world.client.get(EVENTS)
        await event(answer)
    assert world.host.listeners == 0
