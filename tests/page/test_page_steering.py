"""Stepping in from the page, and what it says when the engine is away or keeps its door shut."""

from __future__ import annotations

from playwright.async_api import expect

from tests.page.made import TOKEN, shop
from tests.page.reading import barriers, live, override_form, service

HIGH, MID, LOW = "high", "mid", "low"


async def confirm(page, action):
    await page.get_by_role("dialog").get_by_role("button", name=action).click()


def pause_form(page):
    return page.get_by_role("form", name="Pause")


async def filled(page, **shares):
    for name, share in shares.items():
        await override_form(page).get_by_label(name, exact=True).fill(str(share))


async def test_weights_are_imposed_and_end_when_told_to(world, visitor):
    page = await visitor.open(f"{world.address}/#/services/default/shop")
    await live(page)
    await filled(page, high=12.5, mid=7.25, low=80.25)
    await expect(override_form(page)).to_contain_text("together 100 %")
    await override_form(page).get_by_label("Reason").fill("because")
    await override_form(page).get_by_role("button", name="Override…").click()
    await expect(page.get_by_role("dialog")).to_contain_text(
        "12.5 % to high, 7.25 % to mid, 80.25 % to low, for 15 minutes"
    )
    assert await barriers(page) == []
    await confirm(page, "Override")
    await expect(page.get_by_text("a person has imposed these weights").first).to_be_visible()
    override = world.session().steering.override
    assert override is not None
    assert dict(override.weights) == {HIGH: 1_250, MID: 725, LOW: 8_025}
    assert (override.reason, override.until_s) == ("because", world.clock.now_s() + 900.0)
    assert world.session().intent.weights == override.weights
    await override_form(page).get_by_role("button", name="End the override…").click()
    await confirm(page, "End the override")
    await expect(override_form(page).get_by_role("button", name="End the override…")).to_have_count(0)
    assert world.session().steering.override is None


async def test_a_pause_without_an_end_lasts_until_somebody_resumes(world, visitor):
    page = await visitor.open(f"{world.address}/#/services/default/shop")
    await live(page)
    await pause_form(page).get_by_label("For").fill("")
    await pause_form(page).get_by_label("Reason").fill("incident")
    await pause_form(page).get_by_role("button", name="Pause…").click()
    await confirm(page, "Pause")
    await expect(pause_form(page).get_by_text("Paused until somebody resumes")).to_be_visible()
    pause = world.session().steering.pause
    assert pause is not None
    assert (pause.until_s, pause.reason) == (None, "incident")
    assert world.session().intent.weights == {HIGH: 10_000, MID: 0, LOW: 0}
    await pause_form(page).get_by_role("button", name="Resume…").click()
    await confirm(page, "Resume")
    await expect(pause_form(page).get_by_role("button", name="Resume…")).to_have_count(0)
    assert world.session().steering.pause is None


async def test_what_is_cancelled_does_not_happen(world, visitor):
    page = await visitor.open(f"{world.address}/#/services/default/shop")
    await live(page)
    await pause_form(page).get_by_role("button", name="Pause…").click()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    assert world.session().steering.pause is None


async def test_shares_that_do_not_add_up_are_refused_before_anybody_is_asked(world, visitor):
    page = await visitor.open(f"{world.address}/#/services/default/shop")
    await live(page)
    await filled(page, high=50, mid=10, low=10)
    await expect(override_form(page)).to_contain_text("together 70 %: must be 100 %")
    await override_form(page).get_by_role("button", name="Override…").click()
    await expect(override_form(page).get_by_role("alert")).to_have_text("The shares must be 100 % together.")
    await expect(page.get_by_role("dialog")).to_be_hidden()


async def test_what_the_engine_refuses_is_shown_in_its_words(world, visitor):
    visitor.allowed = ("422",)
    page = await visitor.open(f"{world.address}/#/services/default/shop")
    await live(page)
    await override_form(page).get_by_label("For").fill("999")
    await override_form(page).get_by_label("Unit of the duration").select_option("d")
    await override_form(page).get_by_role("button", name="Override…").click()
    await confirm(page, "Override")
    await expect(override_form(page).get_by_role("alert")).to_contain_text("duration")
    assert world.session().steering.override is None


async def test_an_engine_that_goes_away_is_said_to_be_and_its_figures_old_until_it_is_back(empty, visitor):
    visitor.allowed = ("Failed to load resource", "ERR_")
    empty.configure(shop(), shop("other"))
    await empty.pass_time(3600)
    async with empty.served():
        page = await visitor.open(empty.address)
        await live(page)
    await expect(page.locator("#link")).to_contain_text("reconnecting since")
    await expect(page.get_by_text("The figures below are old: as of 2023-11-15 01:00:00 UTC")).to_be_visible()
    await expect(page.locator("#announce")).to_contain_text("does not answer")
    await expect(service(page, "shop")).to_be_visible()
    assert await page.locator("main").evaluate("element => element.classList.contains('stale')")
    assert await barriers(page) == []
    empty.clock.time_s += 60.0
    empty.engine.tick()
    async with empty.served():
        await expect(page.locator("#link")).to_contain_text("live", timeout=40_000)
        await expect(page.locator("#link")).to_contain_text("as of 2023-11-15 01:01:00 UTC")
        await expect(page.locator("#notice")).to_be_empty()
        await page.close()


async def test_a_token_is_asked_for_and_kept_for_this_tab_alone(guarded, visitor):
    visitor.allowed = ("401",)
    page = await visitor.open(guarded.address)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Signed out")
    assert await barriers(page) == []
    await page.get_by_label("Token").fill("a token that is wrong")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("bring the token")
    await page.get_by_label("Token").fill(TOKEN)
    await page.keyboard.press("Enter")
    await live(page)
    await expect(service(page, "shop")).to_be_visible()
    assert await page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    await page.reload()
    await expect(service(page, "shop")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Signed out")
    assert await page.evaluate("sessionStorage.length") == 0
    await page.close()
