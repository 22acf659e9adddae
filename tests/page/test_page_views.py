"""What is on the page: the API's own figures, as they change, for everybody, and nothing from anybody else."""

from __future__ import annotations

import re

import aiohttp
import pytest
from playwright.async_api import expect

from controlplane.steering import Override, Pause, Steering
from scheduler import Flavour
from tests.controlplane.fakes import service_spec
from tests.page.made import shop
from tests.page.reading import barriers, exact, live, named, overflow, service, shares
from tests.xds.worlds import publish
from xds import SnapshotCache, TypeUrl
from xds.delta import DeltaSession
from xds.subscription import SubscriptionRequest

THEMES = ("light", "dark")
VIEWS = ("#/services", "#/services/default/shop", "#/sources", "#/proxies")
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}


async def told(world, path):
    async with aiohttp.ClientSession() as client, client.get(f"{world.address}/api/v1/{path}") as answer:
        assert answer.status == 200
        return await answer.json()


def whole(weights):
    return {name: weight / 10_000 for name, weight in weights.items() if weight}


async def test_every_line_of_the_overview_has_the_api_s_figures(world, visitor):
    page = await visitor.open(world.address)
    await live(page)
    lines = {line["service"]: line for line in (await told(world, "services"))["services"]}
    assert set(lines) == {"shop", "search", "translate"}
    for name in ("shop", "search"):
        line, row = lines[name], service(page, name)
        splits = row.locator(".split-row")
        assert await shares(splits.nth(0)) == whole(line["weights"])
        assert await shares(splits.nth(1)) == {name: share for name, share in line["measured_split"].items() if share}
        assert await exact(named(row, "carbon now")) == line["carbon_now_g_per_kwh"]
        assert await exact(named(row, "mean error")) == line["mean_error"]
        assert await exact(named(row, "saved vs always best")) == line["saving_vs_always_best_pct"]
        assert await exact(named(row, "gained vs carbon-blind mix")) == line["gain_vs_blind_mix_pct"]
        assert await exact(named(row, "above the clairvoyant bound")) == line["gap_to_clairvoyant_pct"]
    visitor.content_with(world.address)


async def test_what_is_in_trouble_stands_first_and_says_why(world, visitor):
    page = await visitor.open(world.address)
    await live(page)
    await expect(page.get_by_text("1 of them in trouble")).to_be_visible()
    first = page.locator(".services > li").first
    await expect(first).to_contain_text("default/translate")
    await expect(first).to_contain_text("The carbon forecast is not fresh")
    await expect(first).to_contain_text("out of order")


async def test_a_service_has_the_api_s_figures_and_sentences(world, visitor):
    page = await visitor.open(f"{world.address}/#/services/default/shop")
    await live(page)
    data = await told(world, "services/default/shop")
    now = page.get_by_role("region", name="Now")
    assert await shares(now.locator(".split-row").nth(0)) == whole(data["weights"])
    await expect(now.get_by_text(data["valid_until"][11:19])).to_be_visible()
    why = page.get_by_role("region", name="Why this split")
    assert await why.locator(".sentences li").all_inner_texts() == data["why"]
    budget = page.get_by_role("region", name="Error budget")
    assert await exact(budget.locator(".lead")) == data["budget"]["mean_error"]
    assert await exact(named(budget, "spent")) == data["budget"]["error_requests"]
    assert await exact(named(budget, "credit")) == data["budget"]["credit"]
    savings = page.get_by_role("region", name="What was saved")
    for name, key in (
        ("always best", "always_best_g"),
        ("carbon-blind mix", "carbon_blind_mix_g"),
        ("emitted", "grams"),
        ("clairvoyant bound", "clairvoyant_g"),
    ):
        row = savings.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))
        assert await exact(row) == data["window"][key]
    visitor.content_with(world.address)


async def test_percentages_are_rounded_against_us(world, visitor):
    page = await visitor.open(world.address)
    await live(page)
    line = next(each for each in (await told(world, "services"))["services"] if each["service"] == "shop")
    row = service(page, "shop")

    async def number(term):
        return float((await named(row, term).locator("data").first.inner_text()).replace(",", ""))

    saved, bound = line["saving_vs_always_best_pct"], line["gap_to_clairvoyant_pct"]
    assert saved - 0.01 < await number("saved vs always best") <= saved + 1e-9
    assert bound - 1e-9 <= await number("above the clairvoyant bound") < bound + 0.01
    assert 100 * line["mean_error"] - 1e-9 <= await number("mean error") < 100 * line["mean_error"] + 0.001


async def test_the_chart_has_its_figures_as_a_table_too(world, visitor):
    page = await visitor.open(f"{world.address}/#/services/default/shop")
    await live(page)
    past = (await told(world, "services/default/shop/history"))["slots"]
    plan = (await told(world, "services/default/shop/schedule"))["slots"]
    await expect(page.get_by_role("img", name="Carbon intensity and split of requests")).to_be_visible()
    await page.get_by_text("The same as a table").click()
    table = page.get_by_role("table", name="Slots of the budget window")
    rows = table.locator("tbody tr")
    # The slot that runs is cut in two: what was, and what is still planned of it.
    await expect(rows).to_have_count(len(past) + len(plan))
    assert await rows.filter(has_text="past").count() == len(past)
    cells = await rows.first.locator("td").all_inner_texts()
    assert cells[:3] == [
        "past",
        f"{past[0]['carbon_forecast_g_per_kwh']:.0f}",
        f"{past[0]['carbon_actual_g_per_kwh']:.0f}",
    ]
    last = await rows.last.locator("td").all_inner_texts()
    assert last[0] == "planned"
    assert last[3:6] == [f"{100 * plan[-1]['shares'][name]:.1f}" for name in ("high", "mid", "low")]


async def test_a_slot_is_looked_at_with_the_keyboard(world, visitor):
    page = await visitor.open(f"{world.address}/#/services/default/shop")
    await live(page)
    slider = page.get_by_role("slider", name="Look at a slot")
    await slider.focus()
    await page.keyboard.press("Home")
    await expect(page.locator(".readout")).to_contain_text("2023-11-15 00:00 to 00:30 UTC")
    await page.keyboard.press("ArrowRight")
    await expect(page.locator(".readout")).to_contain_text("2023-11-15 00:30 to 01:00 UTC")
    await page.keyboard.press("End")
    await expect(page.locator(".readout")).to_contain_text("planned")


async def test_a_new_decision_arrives_without_loading_the_page_again(world, visitor):
    page = await visitor.open(f"{world.address}/#/services/default/shop")
    await live(page)
    await page.evaluate("window.still = 'here'")
    now_s = world.clock.now_s()
    imposed = Override(weights={"high": 1_234, "mid": 0, "low": 8_766}, until_s=now_s + 900, reason="a test")
    world.engine.steer("default/shop", Steering(override=imposed))
    world.engine.tick()
    now = page.get_by_role("region", name="Now")
    await expect(now.locator(".split-row").nth(0)).to_contain_text("high 12.3 %")
    await expect(now.locator(".split-row").nth(0)).to_contain_text("low 87.7 %")
    await expect(page.locator("#announce")).to_contain_text("The override has begun")
    assert await page.evaluate("window.still") == "here"
    visitor.content_with(world.address)


async def test_what_one_looks_at_stays_under_the_eyes_when_figures_change(world, visitor):
    page = await visitor.open(f"{world.address}/#/services/default/shop")
    await live(page)
    reason = page.get_by_label("Reason (others see it)").first
    await reason.fill("half a sentence")
    before = await page.evaluate("scrollY")
    await world.pass_time(1200)
    await expect(page.locator("#link")).to_contain_text("11:40:00")
    await expect(reason).to_be_focused()
    await expect(reason).to_have_value("half a sentence")
    assert await page.evaluate("scrollY") == before > 0


async def test_with_one_service_the_page_goes_straight_to_it_and_the_list_is_still_there(empty, visitor):
    empty.configure(shop())
    async with empty.served():
        page = await visitor.open(empty.address)
        await expect(page.get_by_role("heading", level=1)).to_have_text("default/shop")
        await page.get_by_role("link", name="All services").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Services")
        await page.go_back()
        await expect(page.get_by_role("heading", level=1)).to_have_text("default/shop")
        await page.close()


async def test_nothing_configured_and_nothing_served_is_said(empty, visitor):
    async with empty.served():
        page = await visitor.open(empty.address)
        await expect(page.get_by_text("No service is configured.")).to_be_visible()
        empty.configure(shop("quiet"), shop("other"))
        await expect(service(page, "quiet")).to_contain_text("no requests")
        await page.goto(f"{empty.address}/#/services/default/quiet")
        await expect(page.get_by_text("Nothing was served in this window yet")).to_be_visible()
        assert await barriers(page) == []
        visitor.content_with(empty.address)
        await page.close()


async def test_a_service_that_is_not_there_is_said_so(world, visitor):
    visitor.allowed = ("404",)
    page = await visitor.open(f"{world.address}/#/services/default/gone")
    await expect(page.get_by_text("This could not be loaded.")).to_be_visible()
    await page.get_by_role("link", name="All services").click()
    await expect(service(page, "shop")).to_be_visible()


async def test_foreign_text_stays_text(empty, visitor):
    evil = '<img src=x onerror="document.title=1"><b>bold</b>'
    flavours = (Flavour(name=evil, error=0.0, energy_j=10.0), Flavour(name="b<i>", error=0.1, energy_j=1.0))
    empty.configure(service_spec(service="shop", flavours=flavours), shop("other"))
    await empty.pass_time(1800)
    empty.engine.steer("default/shop", Steering(pause=Pause(reason=evil)))
    async with empty.served():
        page = await visitor.open(empty.address)
        await expect(service(page, "shop")).to_contain_text(evil)
        await page.get_by_role("link", name="default/shop").click()
        await expect(page.get_by_role("region", name="Flavours", exact=True)).to_contain_text(evil)
        await expect(page.locator("q")).to_have_text(evil)
        assert await page.locator("img, main b").count() == 0
        visitor.content_with(empty.address)
        await page.close()


async def test_a_thousand_services_are_pages_that_can_be_searched(empty, visitor):
    empty.configure(*(shop(f"service-{number:04}") for number in range(1000)))
    await empty.pass_time(600)
    async with empty.served():
        page = await visitor.open(empty.address)
        lines = page.locator(".services > li")
        await expect(lines).to_have_count(100)
        await expect(page.locator("#count")).to_contain_text("1 to 100 of 1,000 services")
        await page.evaluate("scrollTo(0, 3000); document.querySelectorAll('.services > li')[50].mark = 'kept'")
        link = page.get_by_role("link", name="default/service-0050")
        await link.focus()
        before = await link.bounding_box()
        await empty.pass_time(600)
        await expect(page.locator("#link")).to_contain_text("00:20:00")
        await expect(link).to_be_focused()
        assert await page.evaluate("document.querySelectorAll('.services > li')[50].mark") == "kept"
        assert await link.bounding_box() == pytest.approx(before, abs=2.0)
        await page.get_by_role("link", name=re.compile("next 100")).click()
        await expect(page.locator("#count")).to_contain_text("101 to 200 of 1,000 services")
        await page.go_back()
        await expect(page.locator("#count")).to_contain_text("1 to 100 of")
        await page.get_by_role("searchbox").fill("service-07")
        await expect(page.locator("#count")).to_contain_text("100 services with “service-07” in their name")
        assert page.url.endswith("#/services?search=service-07")
        await page.get_by_role("searchbox").fill("none such")
        await expect(page.get_by_text("No service has “none such” in its name.")).to_be_visible()
        visitor.content_with(empty.address)
        await page.close()


async def test_sources_are_shown_with_what_is_wrong_and_who_rests_on_them(world, visitor):
    page = await visitor.open(f"{world.address}/#/sources")
    await live(page)
    for source in (await told(world, "sources"))["sources"]:
        panel = page.get_by_role("region", name=f"{source['source']} {source['zone']}")
        await expect(panel).to_contain_text(f"{source['fetches']} times")
        for key in source["some_services"]:
            await expect(panel.get_by_role("link", name=key)).to_be_visible()
        if source["last_error"]:
            await expect(panel).to_contain_text(source["last_error"])


async def test_a_proxy_that_refuses_is_shown_with_its_reason(world, visitor):
    session, cache = DeltaSession(), SnapshotCache()
    publication = publish(cache, "first", cluster={"a": 1}, endpoints={"a": 1})
    for type_url in (TypeUrl.CLUSTER, TypeUrl.ENDPOINTS):
        session.request(type_url, SubscriptionRequest(subscribe=("*",)))
    refused = session.next(publication)
    assert refused is not None
    session.request(refused.type_url, SubscriptionRequest(), nonce=refused.nonce, error="no such thing")
    session.next(publication)
    world.host.plane.sync.opened(object(), "proxy-1", "edge", session)
    page = await visitor.open(f"{world.address}/#/proxies")
    await live(page)
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="proxy-1"))
    await expect(row).to_contain_text("NACK")
    await expect(row).to_contain_text("no such thing")
    await expect(row).to_contain_text("STALE")
    reports = (await told(world, "proxies"))["feedback"]["reports"]
    assert await exact(named(page.get_by_role("region", name="Feedback"), "load reports")) == reports
    assert await barriers(page) == []
    visitor.content_with(world.address)


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
    visitor.content_with(world.address)
