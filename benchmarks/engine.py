"""A thousand services in one `carbonrouter engine`: what they cost, and how quickly it answers meanwhile.

python -m benchmarks engine

A real process with its default refresh of 10 s on a recorded day. The client runs on the same machine; its requests
start at fixed times, whether or not earlier ones are answered, so a busy server cannot slow down its own examination.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import psutil
import yaml

from benchmarks.rows import Row
from tests.support.ports import free_port

SERVICES = 1000
RATE_PER_S = 200
LOAD_S = 60.0
IDLE_S = 60.0
SLOT_S = 1800.0
DAY = Path(__file__).parents[1] / "examples" / "demo" / "day.csv"
TERMS = {
    "budget": {"max_error_pct": 4},
    "flavours": [
        {"name": "high", "precision_pct": 100, "energy_j": 5},
        {"name": "mid", "precision_pct": 95, "energy_j": 3},
        {"name": "low", "precision_pct": 88, "energy_j": 1.5},
    ],
}

Call = Callable[[aiohttp.ClientSession, int], Awaitable[int]]


def rows() -> list[Row]:
    """One run; about three minutes."""
    return asyncio.run(_measured())


async def _measured() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="carbonrouter-") as folder:
        async with _engine(Path(folder)) as (process, url):
            connections = aiohttp.TCPConnector(limit=200)
            async with aiohttp.ClientSession(url, connector=connections) as client:
                empty_mib = _mib(process)
                made_s = await _make_services(client)
                await asyncio.sleep(15.0)  # every service has been decided for again
                idle = await _cpu_share(process, IDLE_S)
                await _feed_all(client)
                taken_s, refused, load_share = await _under_load(process, client)
                mib = _mib(process)
    return [
        Row(f"{SERVICES} services made one by one", made_s / SERVICES * 1000, "ms", "each, answered when on the disk"),
        Row("CPU of a half-hour slot, no requests to the API", idle * SLOT_S, "s", f"{100 * idle:.1f} % of a core"),
        Row(f"CPU at {RATE_PER_S} requests/s", 100 * load_share, "%", "of a core, decisions included"),
        *_latencies(taken_s),
        Row("requests refused or failed", refused, "", f"of {len(taken_s) + refused}"),
        Row("memory, no service", empty_mib, "MiB", "resident"),
        Row(f"memory, {SERVICES} services", mib, "MiB", f"{1024 * (mib - empty_mib) / SERVICES:.0f} KiB each"),
    ]


def _latencies(taken_s: list[float]) -> list[Row]:
    cuts = statistics.quantiles(taken_s, n=1000)
    name = f"answer at {RATE_PER_S} requests/s"
    return [
        Row(f"{name}, p50", cuts[499] * 1000, "ms", f"{len(taken_s)} requests: lists, states, schedules, counts"),
        Row(f"{name}, p99", cuts[989] * 1000, "ms"),
        Row(f"{name}, p99.9", cuts[998] * 1000, "ms"),
    ]


@contextlib.asynccontextmanager
async def _engine(folder: Path) -> AsyncIterator[tuple[psutil.Process, str]]:
    listen = f"127.0.0.1:{free_port()}"
    path = folder / "carbonrouter.yaml"
    source = {"source": "file", "path": str(DAY), "repeat": True}
    config = {
        "api": {"listen": listen, "requests_per_second": 10_000},
        "state_dir": "state",
        "sources": {"default": source},
    }
    path.write_text(yaml.safe_dump(config))
    command = (str(Path(sys.executable).with_name("carbonrouter")), "engine", "-f", str(path))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        await _answering(f"http://{listen}/readyz")
        yield psutil.Process(process.pid), f"http://{listen}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _answering(url: str) -> None:
    async with aiohttp.ClientSession() as client:
        for _ in range(600):
            with contextlib.suppress(aiohttp.ClientError):
                async with client.get(url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)
    raise RuntimeError("the engine does not start")


async def _make_services(client: aiohttp.ClientSession) -> float:
    began_s = time.perf_counter()
    for number in range(SERVICES):
        async with client.put(_path(number), json=TERMS) as answer:
            assert answer.status == 201, await answer.text()
    return time.perf_counter() - began_s


async def _feed_all(client: aiohttp.ClientSession) -> None:
    for number in range(SERVICES):
        await _count(client, number)


async def _cpu_share(process: psutil.Process, seconds: float) -> float:
    before = process.cpu_times()
    await asyncio.sleep(seconds)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / seconds


async def _under_load(process: psutil.Process, client: aiohttp.ClientSession) -> tuple[list[float], int, float]:
    """Seconds that each good answer took, how many were not good, and the process's share of a core."""
    chance = random.Random(1)
    calls: tuple[Call, ...] = (_list, _state, _schedule, _schedule, _count)
    taken_s: list[float] = []
    refused = 0

    async def one(due_s: float, call: Call, number: int) -> None:
        nonlocal refused
        await asyncio.sleep(due_s - loop.time())
        status = await call(client, number)
        if status == 200:
            taken_s.append(loop.time() - due_s)
        else:
            refused += 1

    loop = asyncio.get_running_loop()
    cpu = asyncio.create_task(_cpu_share(process, LOAD_S))
    began_s = loop.time() + 0.1
    async with asyncio.TaskGroup() as tasks:
        for place in range(int(RATE_PER_S * LOAD_S)):
            due_s = began_s + place / RATE_PER_S
            tasks.create_task(one(due_s, chance.choice(calls), chance.randrange(SERVICES)))
    return taken_s, refused, await cpu


async def _list(client: aiohttp.ClientSession, number: int) -> int:
    return await _get(client, f"/api/v1/services?offset={number // 20 * 20}&limit=20")


async def _state(client: aiohttp.ClientSession, number: int) -> int:
    return await _get(client, _path(number))


async def _schedule(client: aiohttp.ClientSession, number: int) -> int:
    return await _get(client, f"{_path(number)}/schedule?slots=4")


_sequences = itertools.count(1)


async def _count(client: aiohttp.ClientSession, number: int) -> int:
    told = {"sender": "bench", "sequence": next(_sequences), "served": {"high": 60, "mid": 30, "low": 10}}
    async with client.post(f"{_path(number)}/feedback", json=told) as answer:
        await answer.read()
        return answer.status


async def _get(client: aiohttp.ClientSession, path: str) -> int:
    async with client.get(path) as answer:
        await answer.read()
        return answer.status


def _path(number: int) -> str:
    return f"/api/v1/services/bench/service-{number:04}"


def _mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20
