"""A file that is followed: every version is read once, and a bad one ends nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controlplane.config import ConfigError
from controlplane.follow import Follower, file_version
from tests.support.wait import eventually


class Reading:
    """Notes what it reads; refuses what says so."""

    def __init__(self) -> None:
        self.read: list[str] = []

    async def __call__(self, path: Path) -> None:
        text = path.read_text() if path.exists() else "(none)"
        self.read.append(text)
        if text == "bad":
            raise ConfigError("it is bad")
        if text == "worse":
            raise RuntimeError("a defect")


@pytest.fixture
def path(tmp_path) -> Path:
    (tmp_path / "config").write_text("first")
    return tmp_path / "config"


def replace(path: Path, text: str) -> None:
    """As editors do."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


@contextlib.asynccontextmanager
async def following(path: Path, *, loaded: object = ...) -> AsyncIterator[tuple[Follower, Reading]]:
    reading = Reading()
    version = file_version(path) if loaded is ... else None
    follower = Follower(path, loaded=version, reload=reading)
    task = asyncio.create_task(follower.run())
    try:
        yield follower, reading
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_each_version_is_read_and_bad_ones_are_counted_and_said(path, caplog):
    async with following(path) as (follower, reading):
        for text in ("second", "bad", "worse", "third"):
            replace(path, text)
            await eventually(lambda text=text: reading.read[-1:] == [text], timeout=20)
        assert reading.read == ["second", "bad", "worse", "third"]
        assert follower.failures == 2
    assert "it is bad" in caplog.text
    assert "a defect" in caplog.text


async def test_what_changed_before_we_listen_is_noticed(path):
    async with following(path, loaded=None) as (_, reading):
        await eventually(lambda: reading.read == ["first"], timeout=20)


async def test_a_file_that_goes_and_comes_again_is_read_again(path):
    async with following(path) as (_, reading):
        path.unlink()
        await eventually(lambda: reading.read == ["(none)"], timeout=20)
        path.write_text("second")
        await eventually(lambda: reading.read[-1] == "second", timeout=20)


async def test_other_files_beside_it_are_nothing(path):
    async with following(path) as (_, reading):
        (path.parent / "other").write_text("x")
        replace(path, "second")
        await eventually(lambda: reading.read != [], timeout=20)
        assert reading.read == ["second"]


def test_versions_tell_files_apart(path):
    before = file_version(path)
    assert before == file_version(path)
    replace(path, "other")
    assert file_version(path) != before
    path.unlink()
    assert file_version(path) is None
