"""One flavour of the sample service as a process."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.support.ports import HOST

_ANNOUNCED = re.compile(rb"listening on http://(\S+)")


@dataclass(frozen=True, slots=True)
class Carbonstat:
    """A running flavour."""

    process: asyncio.subprocess.Process
    address: str


@asynccontextmanager
async def running_carbonstat(flavour: str, *, numbers: int = 20_000) -> AsyncIterator[Carbonstat]:
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
        yield Carbonstat(process, found[1].decode())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
