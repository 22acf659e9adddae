"""Flavours as processes of their own, which can be killed."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.support import lone_backend
from tests.support.ports import HOST

_ANNOUNCED = re.compile(rb"listening on http://(\S+)")


@dataclass(frozen=True, slots=True)
class LoneProcess:
    """A running backend."""

    process: asyncio.subprocess.Process
    address: str


@asynccontextmanager
async def running_carbonstat(flavour: str, *, numbers: int = 20_000) -> AsyncIterator[LoneProcess]:
    """Start one flavour on a free port; it is gone at the end."""
    options = ("--flavour", flavour, "--host", HOST, "--port", "0", "--numbers", str(numbers))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "carbonstat", *options, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while not (found := _ANNOUNCED.search(await process.stdout.readline())):
                assert not process.stdout.at_eof(), f"carbonstat {flavour} did not start"
        yield LoneProcess(process, found[1].decode())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def running_lone_backend(name: str) -> AsyncIterator[LoneProcess]:
    """A minimal backend on a free port, each of whose answers is a single write; it is gone at the end."""
    script = str(lone_backend.__file__)
    process = await asyncio.create_subprocess_exec(sys.executable, script, name, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
        yield LoneProcess(process, f"{HOST}:{port}")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
