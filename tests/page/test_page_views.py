"""What is on the page: the API's own figures, as they change, for everybody, and nothing from anybody else."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from controlplane.report import numbers
from controlplane.steering import Override, Pause, Steering
from scheduler import Flavour
from tests.controlplane.fakes import service_spec
from tests.page.made import shop
from tests.page.reading import exact, live, named, service, shares, told


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
        await page.close()


FIGURES = (
    0.0,
    -0.0,
    1.15,
    1.005,
    45.919999999999995,
    2.9850000001,
    -0.004,
    -1e-12,
    7.000000000000001,
    12_345.678,
    1e-7,
)


@pytest.mark.parametrize(
    ("ours", "theirs", "scale"),
    [("saved", numbers.saved, 1.0), ("aboveBound", numbers.above_bound, 1.0), ("meanError", numbers.error, 100.0)],
)
async def test_numbers_are_rounded_as_the_report_rounds_them(world, visitor, ours, theirs, scale):
    page = await visitor.open(world.address)
    texts = await page.evaluate(
        """async ([name, values]) => {
            const format = await import("/page/format.js");
            return values.map((value) => format[name](value)[0].children[0]);
        }""",
        [ours, [value / scale for value in FIGURES]],
    )
    assert texts == [theirs(value / scale * scale).text for value in FIGURES]
