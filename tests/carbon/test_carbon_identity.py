"""What tells sources apart tells apart what is kept of them, in memory and on the disk, and nothing else does."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from pydantic import TypeAdapter

from controlplane.carbon import IssueArchive, ZoneMemory
from controlplane.clock import SystemClock
from controlplane.config import Carbon
from controlplane.feeds import Feeds, variant_of
from controlplane.store import FileStore
from scheduler import CarbonHistory
from scheduler.issues import parse_issues
from tests.carbon.carbon_fakes import HALF_HOUR, SLOT, START_S, FakeClock, FakeSource, answer, rows, series

HERE = "http://127.0.0.1:5000"
GB = {"source": "gb"}
EM = {"source": "electricity-maps", "zone": "DE", "token_file": "/em"}
WATTTIME = {"source": "watttime", "region": "CAISO_NORTH", "username_env": "USERNAME", "password_file": "/pw"}
SDK = {"source": "carbon-aware-sdk", "base_url": HERE, "location": "x", "kind": "marginal", "basis": "direct"}
CHARTS = {"source": "energy-charts", "country": "de"}

PLAIN = [
    (GB, "gb/GB/average/generation"),
    ({**GB, "base_url": "https://api.carbonintensity.org.uk/"}, "gb/GB/average/generation"),
    ({**GB, "region_id": 13}, "gb/GB-region-13/average/generation"),
    (EM, "electricity-maps/DE/average/life-cycle"),
    ({**EM, "basis": "direct"}, "electricity-maps/DE/average/direct"),
    ({**EM, "token_file": None, "token_env": "TOKEN"}, "electricity-maps/DE/average/life-cycle"),
    (WATTTIME, "watttime/CAISO_NORTH/marginal/"),
    ({**WATTTIME, "slot": "30m"}, "watttime/CAISO_NORTH/marginal/"),
    (CHARTS, "energy-charts/de/average/generation"),
]
DIFFERENT = [
    [GB, {**GB, "base_url": HERE}, {**GB, "base_url": f"{HERE}/other"}, {**GB, "base_url": "http://127.0.0.1:5001"}],
    [WATTTIME, {**WATTTIME, "slot": "5m"}, {**WATTTIME, "slot": "1h"}, {**WATTTIME, "slot": "5m", "base_url": HERE}],
    [EM, {**EM, "basis": "direct"}, {**EM, "base_url": HERE}],
    [SDK, {**SDK, "kind": "average"}, {**SDK, "base_url": "http://127.0.0.1:5001"}, {**SDK, "slot": "5m"}],
    [{"source": "file", "path": "/a/day.csv"}, {"source": "file", "path": "/b/day.csv"}],
    [{"source": "file", "path": "/a/day.csv"}, {"source": "file", "path": "/a/day.csv", "repeat": True}],
]


def section(content):
    return TypeAdapter(Carbon).validate_python(content)


@pytest.fixture
async def feeds(tmp_path):
    feeds = Feeds(FakeClock(), archive=IssueArchive(tmp_path / "forecasts"), observed=FileStore(tmp_path / "carbon"))
    yield feeds
    await feeds.aclose()


@pytest.mark.parametrize(("content", "name"), PLAIN)
async def test_a_provider_as_everybody_has_it_is_kept_under_a_plain_name(feeds, content, name):
    assert feeds.get(section(content)).identity.name("/").startswith(name)
    assert variant_of(section(content)) == ""


@pytest.mark.parametrize("contents", DIFFERENT, ids=lambda contents: contents[0]["source"])
def test_sections_of_other_figures_have_other_identities_and_always_the_same(contents):
    identities = []
    for content in contents:
        variants = {variant_of(section(content)) for _ in range(2)}
        [variant] = variants
        identities.append((content.get("kind"), content.get("basis"), variant))
    assert all(one != other for one, other in combinations(identities, 2))


def test_an_address_with_a_slash_at_its_end_is_the_same_and_no_credential_is_in_a_name():
    assert variant_of(section({**GB, "base_url": HERE})) == variant_of(section({**GB, "base_url": f"{HERE}/"}))
    assert variant_of(section({**GB, "base_url": HERE})).startswith("127.0.0.1-")
    assert variant_of(section({**WATTTIME, "slot": "5m"})).startswith("300-")
    elsewhere = {**EM, "base_url": HERE}
    assert variant_of(section(elsewhere)) == variant_of(section({**elsewhere, "token_file": "/other"}))


async def test_a_simulator_and_the_real_provider_share_neither_past_nor_forecasts(feeds, provider, tmp_path):
    """Two paths stand for the two addresses."""
    known = rows(SLOT - 24 * HALF_HOUR, 24)
    for item in known:
        item["intensity"]["actual"] = 50
    provider.respond = lambda _: answer({"data": known + rows(SLOT, 24)})
    one, other = (feeds.get(section({**GB, "base_url": provider.url + path})) for path in ("/one", "/other"))
    await asyncio.gather(one.refresh(), other.refresh())
    assert [feed.status(START_S).last_error for feed in (one, other)] == [None, None]
    assert len(list((tmp_path / "forecasts").iterdir())) == len(list((tmp_path / "carbon").iterdir())) == 2


def test_the_past_of_variants_is_kept_apart(tmp_path):
    store, source = FileStore(tmp_path), FakeSource(series())
    for number, variant in enumerate(("", "127.0.0.1-0a1b2c3d")):
        history = CarbonHistory().observe(START_S, actual=100.0 + number, forecast=None)
        ZoneMemory(store, source, variant=variant).save(history)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fake%2FZ%2Faverage%2Fgeneration%2F127.0.0.1-0a1b2c3d.json",
        "fake%2FZ%2Faverage%2Fgeneration.json",
    ]
    again = [ZoneMemory(store, source, variant=each).load().slots[0][1] for each in ("", "127.0.0.1-0a1b2c3d")]
    assert again == [100.0, 101.0]


async def test_sections_that_differ_in_credentials_alone_lose_nothing_of_one_past(feeds, tmp_path):
    one, other = (feeds.get(section({**EM, "token_file": path})) for path in ("/one", "/other"))
    assert one is not other
    for number, feed in enumerate((one, other)):
        feed._memory.save(CarbonHistory().observe(START_S + 1800.0 * number, actual=100.0, forecast=None))
    again = Feeds(SystemClock(), observed=FileStore(tmp_path / "carbon"))
    assert [slot[0] for slot in again.get(section(EM)).history.slots] == [START_S, START_S + 1800.0]
    await again.aclose()


def test_forecasts_recorded_in_several_threads_are_all_kept(tmp_path):
    archive = IssueArchive(tmp_path)
    issued = [
        replace(series(slots=4), issued_at_s=START_S + number, forecast_g_per_kwh=np.full(4, 100.0 + number))
        for number in range(40)
    ]
    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(archive.record, each) for each in issued]:
            done.result()
    [path] = tmp_path.iterdir()
    kept = parse_issues(path.read_text(), name=path.name).issues
    assert [issue.issued_s for issue in kept] == [each.issued_at_s for each in issued]
