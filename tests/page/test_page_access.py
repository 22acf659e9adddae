"""The page for everybody: by keyboard, on a phone, in the dark, to whoever listens instead of looking."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from controlplane.steering import Override, Steering
from tests.page.reading import barriers, live, overflow, override_form, told
from tests.support.wait import eventually

THEMES = ("light", "dark")
VIEWS = ("#/services", "#/services/default/shop", "#/sources", "#/proxies")
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}


async def test_the_first_stop_of_the_keyboard_skips_to_the_content(world, visitor):
    page = await visitor.open(f"{world.address}/#/services/default/shop")
    await live(page)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    assert page.url.endswith("#/services/default/shop")


async def test_a_slot_is_looked_at_with_the_keyboard(world, visitor):
    page = await visitor.open(f"{world.address}/#/services/default/shop")
    await live(page)
    slider = page.get_by_role("slider", name="Look at a slot")
    await expect(page.locator(".readout")).to_contain_text("11:20 to 11:30 UTC")
    await world.pass_time(1800)
    await expect(page.locator(".readout")).to_contain_text("11:50 to 12:00 UTC")
    now = len((await told(world, "services/default/shop/history"))["slots"])
    await expect(slider).to_have_value(str(now))
    await slider.focus()
    await page.keyboard.press("Home")
    await expect(page.locator(".readout")).to_contain_text("2023-11-15 00:00 to 00:30 UTC")
    await page.keyboard.press("ArrowRight")
    await expect(page.locator(".readout")).to_contain_text("2023-11-15 00:30 to 01:00 UTC")
    await page.keyboard.press("End")
    await expect(page.locator(".readout")).to_contain_text("planned")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
async def test_nobody_is_kept_out(world, visitor, theme, size):
    imposed = Override(weights={"high": 0, "mid": 10_000, "low": 0}, until_s=world.clock.now_s() + 900)
    world.engine.steer("default/shop", Steering(override=imposed))
    page = await visitor.open(world.address, color_scheme=theme, viewport=size, reduced_motion="reduce")
    for view in VIEWS:
        await page.goto(f"{world.address}/{view}")
        await live(page)
        await expect(page.locator(".wait")).to_have_count(0)
        if view.endswith("shop"):
            await page.get_by_text("The same as a table").click()
        assert await barriers(page) == [], view
        assert await overflow(page) <= 0, view


async def test_the_keyboard_alone_reaches_search_a_service_and_the_forms(world, visitor):
    page = await visitor.open(world.address)
    await live(page)
    await page.keyboard.press("/")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await page.keyboard.type("s")
    await expect(page.locator(".services > li")).to_have_count(3)
    await page.keyboard.type("hop")
    await expect(page.locator(".services > li")).to_have_count(1)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="default/shop", exact=True)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("default/shop")
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    await live(page)
    weight = override_form(page).get_by_label("high", exact=True)
    await expect(weight).to_be_attached()
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await weight.evaluate("element => element === document.activeElement"):
            break
    await expect(weight).to_be_focused()
    for share in ("100", "0", "0"):
        await page.keyboard.press("ControlOrMeta+a")
        await page.keyboard.type(share)
        await page.keyboard.press("Tab")
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await eventually(lambda: world.session().steering.override is not None)
    assert world.session().intent.weights == {"high": 10_000, "mid": 0, "low": 0}


async def test_arrows_go_from_service_to_service_and_back_returns_to_where_one_was(world, visitor):
    page = await visitor.open(f"{world.address}/#/services")
    await live(page)
    await page.get_by_role("link", name="default/translate", exact=True).focus()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("link", name="default/search", exact=True)).to_be_focused()
    await page.keyboard.press("End")
    await expect(page.get_by_role("link", name="default/shop", exact=True)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("default/shop")
    await page.go_back()
    await expect(page.get_by_role("link", name="default/shop", exact=True)).to_be_focused()
