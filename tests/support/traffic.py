"""Clients that go on asking while a test does things to the system, and keep count of what they get."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from controlplane.intent import FLAVOUR_HEADER

_TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass(slots=True)
class Traffic:
    """What the clients saw so far; `newest` is the flavour of the newest answer."""

    sent: int = 0
    failures: list[str] = field(default_factory=list)
    by_flavour: Counter[str] = field(default_factory=Counter)
    newest: str = ""

    @property
    def answered(self) -> int:
        """Good answers."""
        return self.by_flavour.total()

    async def ask(self, session: aiohttp.ClientSession, url: str, *, method: str = "GET") -> None:
        """Send one request and count it."""
        self.sent += 1
        try:
            async with session.request(method, url) as response:
                await response.read()
                if response.status == 200:
                    self.newest = response.headers.get(FLAVOUR_HEADER, "")
                    self.by_flavour[self.newest] += 1
                else:
                    self.failures.append(f"status {response.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failures.append(repr(error))


@asynccontextmanager
async def traffic(url: str, *, clients: int = 4, pause_s: float = 0.002) -> AsyncIterator[Traffic]:
    """Keep `clients` clients asking; when the context ends every request has had its answer."""
    seen = Traffic()
    stop = asyncio.Event()

    async def client(session: aiohttp.ClientSession) -> None:
        while not stop.is_set():
            await seen.ask(session, url)
            await asyncio.sleep(pause_s)

    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        tasks = [asyncio.ensure_future(client(session)) for _ in range(clients)]
        try:
            yield seen
        finally:
            stop.set()
            await asyncio.gather(*tasks)
