"""The files of the page as they are served: only ours, never stale, under a policy that lets nothing in."""

from __future__ import annotations

import re
from importlib import resources

import aiohttp
import pytest

from controlplane.page import POLICY
from tests.support.ports import HOST

STATIC = resources.files("controlplane.page") / "static"
NAMES = sorted(entry.name for entry in STATIC.iterdir())


@pytest.fixture
async def client(empty):
    async with empty.served(), aiohttp.ClientSession(f"http://{HOST}:{empty.port}") as session:
        yield session


@pytest.mark.parametrize("name", NAMES)
async def test_each_file_is_served_whole_and_asked_for_again_only_when_it_changed(client, name):
    path = "/" if name == "index.html" else f"/page/{name}"
    async with client.get(path) as answer:
        assert answer.status == 200
        assert await answer.read() == (STATIC / name).read_bytes()
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        etag = answer.headers["etag"]
    for known, status in ((etag, 304), (f'W/{etag}, "other"', 304), ("*", 304), ('"other"', 200)):
        async with client.get(path, headers={"if-none-match": known}) as answer:
            assert (answer.status, answer.headers["etag"]) == (status, etag)
    async with client.head(path) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "path", ["/page/none.js", "/page/index.html", "/page/..%2f__init__.py", "/page/%2fetc%2fpasswd"]
)
async def test_nothing_else_is_served(client, path):
    async with client.get(path) as answer:
        assert answer.status == 404


async def test_the_page_itself_needs_no_token_and_tells_nothing(guarded):
    async with aiohttp.ClientSession() as session:
        for path in ("/", "/page/app.js"):
            async with session.get(f"{guarded.address}{path}") as answer:
                assert answer.status == 200
        async with session.get(f"{guarded.address}/api/v1/services") as answer:
            assert answer.status == 401


def test_no_file_can_make_markup_of_foreign_text_or_ask_anybody_else():
    for name in NAMES:
        text = (STATIC / name).read_text(encoding="utf-8")
        assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text) == []
        assert [each for each in re.findall(r"https?://[^\s\"')]+", text) if "www.w3.org" not in each] == []
