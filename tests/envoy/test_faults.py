"""What must not hurt a single request: each fault on real processes with a real Envoy under traffic."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest

from controlplane.local.envoy import admin
from tests.support.backends import Backend, running_backends
from tests.support.carbonrouter import PRECISIONS, TTL_S, Installation, installation
from tests.support.dirs import short_directory
from tests.support.processes import running_carbonstat, running_lone_backend
from tests.support.traffic import Traffic, traffic
from tests.support.wait import eventually

# Above the error of the worst flavour: then the cheapest serves everything, and every other answer tells a tale.
ALL_ON_LOW = 15.0


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_directory() as directory:
        yield directory


@asynccontextmanager
async def shop(folder: Path) -> AsyncIterator[tuple[Installation, list[Backend]]]:
    """A running installation with three flavours, all traffic on the cheapest."""
    backends = [Backend(name) for name in PRECISIONS]
    async with running_backends(*backends):
        endpoints = {each.name: f"{each.host}:{each.port}" for each in backends}
        async with installation(folder, endpoints, max_error_pct=ALL_ON_LOW) as installed:
            await installed.start()
            yield installed, backends


async def _counted(installed: Installation, seen: Traffic) -> None:
    """Wait until the books hold exactly what the clients were answered."""

    async def equal() -> bool:
        nonlocal counted
        counted = (await installed.status())["budget"]["requests"]
        return round(counted, 6) == seen.answered

    counted = 0.0
    try:
        await eventually(equal)
    except AssertionError as error:
        raise AssertionError(f"{counted} counted, {seen.answered} answered: {dict(seen.by_flavour)}") from error


async def test_killing_the_control_plane_costs_no_request_and_no_count(folder: Path) -> None:
    async with shop(folder) as (installed, _):
        envoy = installed.envoy_pid()
        async with traffic(installed.gateway) as seen:
            await eventually(lambda: seen.newest == "low")

            await installed.kill()
            killed_s = time.monotonic()
            await eventually(lambda: seen.newest == "high", timeout=TTL_S + 2)
            fell_back_s = time.monotonic() - killed_s
            assert fell_back_s < TTL_S + 0.5
            on_its_own = seen.answered
            await eventually(lambda: seen.answered > on_its_own + 100)
            assert seen.newest == "high"

            await installed.start()
            assert "taken over" in installed.log
            assert installed.envoy_pid() == envoy
            await eventually(lambda: seen.newest == "low")
        assert seen.failures == []
        await _counted(installed, seen)
        print(f"control plane killed: {seen.sent} sent, {len(seen.failures)} failed, {dict(seen.by_flavour)}")
        print(f"full quality returned after {fell_back_s:.2f} s (TTL {TTL_S} s)")


async def test_killing_a_flavour_costs_no_request(folder: Path) -> None:
    backends = [Backend(name) for name in ("high", "mid")]
    async with running_backends(*backends), running_lone_backend("low") as low:
        endpoints = {each.name: f"{each.host}:{each.port}" for each in backends} | {"low": low.address}
        async with installation(folder, endpoints, max_error_pct=ALL_ON_LOW) as installed:
            await installed.start()
            async with traffic(installed.gateway, clients=8) as seen:
                await eventually(lambda: seen.by_flavour["low"] > 100)
                low.process.kill()
                await low.process.wait()
                await eventually(lambda: seen.by_flavour["mid"] > 300)
            assert seen.failures == []
            assert seen.by_flavour["high"] == 0, "the nearest better flavour answers first"
            await _counted(installed, seen)

            status = await installed.status()
            assert status["weights"] == {"high": 0, "mid": 0, "low": 10_000}
            assert status["window"]["served"]["mid"] == pytest.approx(seen.by_flavour["mid"])
            assert status["window"]["failed_attempts"] > 0
            metrics = await installed.metrics()
            labels = '{flavour="mid",namespace="default",service="shop"}'
            assert f"carbonrouter_requests_total{labels} {seen.by_flavour['mid']}.0" in metrics
            assert 'carbonrouter_failed_attempts_total{flavour="low",namespace="default",service="shop"}' in metrics
            print(f"flavour killed: {seen.sent} sent, {len(seen.failures)} failed, {dict(seen.by_flavour)}")


async def test_a_flavour_that_answers_503_or_nothing_is_stood_in_for_and_comes_back(folder: Path) -> None:
    backends = {name: Backend(name) for name in ("high", "mid", "low")}
    async with running_backends(*backends.values()):
        endpoints = {name: f"{each.host}:{each.port}" for name, each in backends.items()}
        async with installation(folder, endpoints, max_error_pct=ALL_ON_LOW) as installed:
            await installed.start()
            async with traffic(installed.gateway) as seen:
                await eventually(lambda: seen.newest == "low")
                backends["low"].status = 503
                await eventually(lambda: seen.newest == "mid")
                backends["low"].status = 200
                await eventually(lambda: seen.newest == "low", timeout=30)
                await backends["low"].kill()
                await backends["mid"].kill()
                await eventually(lambda: seen.newest == "high")
                await backends["low"].start()
                await eventually(lambda: seen.newest == "low", timeout=40)
            assert seen.failures == []


async def test_a_request_that_fails_everywhere_takes_nothing_from_others(folder: Path) -> None:
    async with shop(folder) as (installed, backends):
        seen = Traffic()
        async with aiohttp.ClientSession() as session:
            for status in (500, 503):
                for backend in backends:
                    backend.status = status
                for _ in range(20):
                    await seen.ask(session, installed.gateway)
                assert len(seen.failures) == 20
                seen.failures.clear()
                for backend in backends:
                    backend.status = 200
                for _ in range(20):
                    await seen.ask(session, installed.gateway)
                assert seen.failures == []


async def test_a_post_is_not_repeated_when_a_flavour_answers_503(folder: Path) -> None:
    backends = [Backend(name, status=503) for name in ("high", "mid", "low")]
    async with running_backends(*backends):
        endpoints = {each.name: f"{each.host}:{each.port}" for each in backends}
        async with installation(folder, endpoints, max_error_pct=ALL_ON_LOW) as installed:
            await installed.start()
            seen = Traffic()
            async with aiohttp.ClientSession() as session:
                await seen.ask(session, installed.gateway, method="POST")
                assert sum(backend.hits for backend in backends) == 1
                await seen.ask(session, installed.gateway, method="GET")
                assert sum(backend.hits for backend in backends) > 3
            assert seen.failures == ["status 503", "status 503"]


async def test_a_killed_envoy_is_started_again(folder: Path) -> None:
    async with shop(folder) as (installed, _):
        first = installed.envoy_pid()
        psutil.Process(first).kill()
        await eventually(lambda: installed.envoy_pid() != first)
        seen = Traffic()
        async with aiohttp.ClientSession() as session:

            async def served() -> bool:
                await seen.ask(session, installed.gateway)
                return seen.newest == "low"

            await eventually(served)
        assert "carbonrouter_envoy_restarts_total 1.0" in await installed.metrics()


async def test_sigterm_finishes_requests_in_flight_and_leaves_nothing(folder: Path) -> None:
    backends = [Backend(name) for name in ("high", "mid")]
    async with running_backends(*backends), running_carbonstat("low", numbers=3_000_000) as low:
        endpoints = {each.name: f"{each.host}:{each.port}" for each in backends} | {"low": low.address}
        async with installation(folder, endpoints, max_error_pct=ALL_ON_LOW) as installed:
            await installed.start()
            envoy = psutil.Process(installed.envoy_pid())
            seen = Traffic()
            async with aiohttp.ClientSession() as session:

                async def on_low() -> bool:
                    await seen.ask(session, f"{installed.gateway}/avg")
                    return seen.newest == "low"

                await eventually(on_low)
                asked = seen.sent
                slow = [asyncio.ensure_future(seen.ask(session, f"{installed.gateway}/avg")) for _ in range(20)]
                # Once all are in the proxy: what only knocks at the door of a server that is closing is turned away.
                await eventually(lambda: _all_taken_in(folder, seen, asked + 20))
                code = await installed.terminate()
                await asyncio.gather(*slow)
            assert code == 0, installed.log
            assert seen.failures == []
            assert installed.saved_requests() == seen.answered, "the last requests are in the books"
            await eventually(lambda: not envoy.is_running() or envoy.status() == psutil.STATUS_ZOMBIE)
            assert "stopped" in installed.log


async def _all_taken_in(folder: Path, seen: Traffic, total: int) -> bool:
    stats = await admin(
        str(folder / "state" / "envoy-admin.sock"),
        "GET",
        "/stats?filter=^http.carbonrouter.downstream_rq_active$&format=json",
    )
    active = sum(int(stat["value"]) for stat in json.loads(stats)["stats"])
    return active > 0 and active + seen.answered == total


async def test_a_changed_file_is_followed_and_a_broken_one_is_not(folder: Path) -> None:
    async with shop(folder) as (installed, _):
        async with traffic(installed.gateway) as seen:
            await eventually(lambda: seen.newest == "low")
            installed.config["services"][0]["budget"]["max_error_pct"] = 0
            installed.write()
            await eventually(lambda: seen.newest == "high")
            installed.file.write_text("services: [{name: shop, budgt: {}}]", encoding="utf-8")
            await eventually(lambda: "did you mean budget?" in installed.log)
            answered = seen.answered
            await eventually(lambda: seen.answered > answered + 50)
            installed.config["services"][0]["budget"]["max_error_pct"] = ALL_ON_LOW
            installed.config["services"][0]["flavours"].pop(1)
            installed.write()
            # The day's budget is what was promised for the whole day, so low may serve again.
            await eventually(lambda: seen.newest == "low")
        assert seen.failures == []
        await _counted(installed, seen)


async def test_a_paused_control_plane_lets_full_quality_return_and_then_takes_over_again(folder: Path) -> None:
    async with shop(folder) as (installed, _):
        assert installed.process is not None
        control_plane = psutil.Process(installed.process.pid)
        async with traffic(installed.gateway) as seen:
            await eventually(lambda: seen.newest == "low")
            control_plane.suspend()
            try:
                await eventually(lambda: seen.newest == "high", timeout=TTL_S + 2)
            finally:
                control_plane.resume()
            await eventually(lambda: seen.newest == "low")
        assert seen.failures == []
        await _counted(installed, seen)
