"""A browser, pages that must have nothing to complain of, and engines to look at."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright

from tests.page.made import Made, busy, made
from tests.support.ports import HOST

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_OPTIONS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-proxy-server",
    f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HOST}",
)


@dataclass
class Watched:
    """A page, and everything it complained of or asked for."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def on_request(self, request: Request) -> None:
        self.asked.append(request.url)


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    """Chromium as the system has it; none is ever downloaded."""
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(_BROWSERS)} is installed")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=found, args=list(_OPTIONS), chromium_sandbox=False)
        try:
            yield chromium
        finally:
            await chromium.close()


class Visitor:
    """Opens pages, and sees to it that none complained or asked anybody but the engine."""

    def __init__(self, browser: Browser, stack: AsyncExitStack) -> None:
        self._browser = browser
        self._stack = stack
        self.pages: list[Watched] = []
        self.allowed: tuple[str, ...] = ()  # what browsers say of refusals that a test brings about

    async def context(self, **options: Any) -> BrowserContext:
        return await self._stack.enter_async_context(await self._browser.new_context(**options))

    async def open(self, url: str, **options: Any) -> Page:
        """A page of a browser of its own, at `url`; `options` are those of a Playwright context."""
        page = await (await self.context(**options)).new_page()
        page.set_default_timeout(20_000)
        watched = Watched(page, origin="/".join(url.split("/")[:3]) + "/")
        page.on("console", watched.on_console)
        page.on("pageerror", lambda error: watched.complaints.append(f"exception: {error}"))
        page.on("request", watched.on_request)
        self.pages.append(watched)
        await page.goto(url)
        return page

    def check(self) -> None:
        """Raise AssertionError unless all pages were content, and asked nobody but the engine."""
        for watched in self.pages:
            complaints = [each for each in watched.complaints if not any(text in each for text in self.allowed)]
            assert complaints == []
            assert [url for url in watched.asked if not url.startswith((watched.origin, "data:"))] == []


@pytest_asyncio.fixture
async def visitor(browser: Browser) -> AsyncIterator[Visitor]:
    async with AsyncExitStack() as stack:
        visiting = Visitor(browser, stack)
        yield visiting
        visiting.check()


@pytest_asyncio.fixture
async def world(tmp_path) -> AsyncIterator[Made]:
    """A served engine with three services, and half a day behind it."""
    async with made(tmp_path) as engine:
        await busy(engine)
        async with engine.served():
            yield engine


@pytest_asyncio.fixture
async def empty(tmp_path) -> AsyncIterator[Made]:
    """An engine without services, that is not served yet."""
    async with made(tmp_path) as engine:
        yield engine


@pytest_asyncio.fixture
async def guarded(tmp_path) -> AsyncIterator[Made]:
    """A served engine that wants a token."""
    async with made(tmp_path, with_token=True) as engine:
        await busy(engine)
        async with engine.served():
            yield engine
