"""The three flavours of the sample service, as processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import re
import statistics
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import aiohttp

FLAVOURS = ("high", "mid", "low")
_ANNOUNCED = re.compile(r"listening on http://([\d.]+:\d+)")
_START_S = 60.0
_STOP_S = 5.0
_CALIBRATION_ROUNDS = 40


class BackendError(Exception):
    """A flavour of the sample service does not start or does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One running flavour, and what it said of itself: precision in percent, joules of a typical request."""

    flavour: str
    address: str
    precision_pct: float
    energy_j: float


@contextlib.asynccontextmanager
async def running_backends(*, numbers: int) -> AsyncIterator[tuple[Backend, ...]]:
    """Start all flavours with `numbers` numbers to average, ask each what it costs, and stop them in the end.

    Raises:
        BackendError: one of them cannot be used.
    """
    processes: list[asyncio.subprocess.Process] = []
    try:
        for flavour in FLAVOURS:
            processes.append(await _start(flavour, numbers))
        addresses = await asyncio.gather(*(_announced(each) for each in processes))
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            yield await _calibrated(session, dict(zip(FLAVOURS, addresses, strict=True)))
    finally:
        await asyncio.gather(*(_stop(each) for each in processes))


async def _start(flavour: str, numbers: int) -> asyncio.subprocess.Process:
    arguments = ("--flavour", flavour, "--host", "127.0.0.1", "--port", "0", "--numbers", str(numbers))
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "carbonstat", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )


async def _announced(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None  # noqa: S101 - asked for in _start
    said = b""
    try:
        async with asyncio.timeout(_START_S):
            while line := await process.stdout.readline():
                said += line
                if match := _ANNOUNCED.search(line.decode(errors="replace")):
                    return match[1]
    except TimeoutError:
        pass
    raise BackendError(f"carbonstat does not start: {said.decode(errors='replace')[-500:] or 'it says nothing'}")


async def _calibrated(session: aiohttp.ClientSession, addresses: Mapping[str, str]) -> tuple[Backend, ...]:
    """Ask each flavour what an answer costs, in turns: as under load, none finds its data in the cache."""
    answers: dict[str, list[tuple[float, float]]] = {flavour: [] for flavour in addresses}
    for _ in range(_CALIBRATION_ROUNDS):
        for flavour, address in addresses.items():
            answers[flavour].append(await _ask(session, flavour, address))
    return tuple(
        Backend(
            flavour=flavour,
            address=address,
            precision_pct=round(100 * answers[flavour][0][0], 2),
            energy_j=round(statistics.median(joules for _, joules in answers[flavour]), 6),
        )
        for flavour, address in addresses.items()
    )


async def _ask(session: aiohttp.ClientSession, flavour: str, address: str) -> tuple[float, float]:
    """Precision (0-1) and joules of one answer."""
    try:
        async with session.get(f"http://{address}/avg", raise_for_status=True) as response:
            answer = await response.json()
            return float(answer["precision"]), float(answer["energy"]["joules"])
    except (aiohttp.ClientError, TimeoutError, KeyError, ValueError) as error:
        raise BackendError(f"carbonstat {flavour} at {address} does not answer: {error!r}") from error


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
