"""What a person sees on the page, by what they would look for."""

from __future__ import annotations

from typing import Any

import aiohttp
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator, Page, expect

from tests.page.made import Made


def service(page: Page, name: str) -> Locator:
    """The line of a service in the list."""
    link = page.get_by_role("link", name=f"default/{name}", exact=True)
    return page.get_by_role("listitem").filter(has=link)


def named(scope: Page | Locator, term: str) -> Locator:
    """What stands for a term."""
    page = scope.page if isinstance(scope, Locator) else scope
    return scope.locator("dl > div").filter(has=page.locator("dt", has_text=term)).locator("dd")


async def exact(scope: Locator) -> float:
    """The exact value of the first figure in it."""
    value = await scope.locator("data").first.get_attribute("value")
    assert value is not None
    return float(value)


async def shares(scope: Locator) -> dict[str, float]:
    """The exact shares of a split, by flavour."""
    items = await scope.locator(".shares li").all()
    return {await item.locator("bdi").inner_text(): await exact(item) for item in items}


async def live(page: Page) -> None:
    """Wait until the page follows the engine and shows something."""
    await expect(page.locator("#link")).to_contain_text("live")
    await expect(page.locator("#link")).to_contain_text("as of")


async def barriers(page: Page) -> list[str]:
    """What axe finds that keeps people out."""
    found = await Axe().run(page)
    return [
        f"{each['id']}: {each['help']}: {[node['html'] for node in each['nodes']]}"
        for each in found.response["violations"]
    ]


async def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the screen."""
    return int(await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def override_form(page: Page) -> Locator:
    return page.get_by_role("form", name="Override")


async def told(world: Made, path: str) -> Any:
    """What the API answers."""
    async with aiohttp.ClientSession() as client, client.get(f"{world.address}/api/v1/{path}") as answer:
        assert answer.status == 200
        return await answer.json()
