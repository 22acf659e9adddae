"""Lists: none, one and a thousand services; sources and proxies."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.page.made import shop
from tests.page.reading import barriers, exact, live, named, service, told
from tests.xds.worlds import publish
from xds import SnapshotCache, TypeUrl
from xds.delta import DeltaSession
from xds.subscription import SubscriptionRequest


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
