"""The engine's host: what stops a start, what a reload may change, and what outlives the end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.accounting import FlavourLoad
from controlplane.config import ConfigError, EngineConfig, load_config
from controlplane.host import EngineHost, NoDataPlane, OwnedByFileError
from controlplane.statedir import StartError
from tests.api.hosts import TERMS, engine_config
from tests.controlplane.fakes import ManualClock, settle

KEY = "default/shop"
FILED = {"services": [{"name": "filed", **TERMS}]}


def new_host(directory: Path, **changes: Any) -> EngineHost:
    return EngineHost(engine_config(directory, **changes), NoDataPlane(), clock=ManualClock())


def changed(directory: Path, **changes: Any) -> EngineConfig:
    """The configuration of before with some keys changed."""
    path = directory / "carbonrouter.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))
    return load_config(path, EngineConfig)


def test_a_state_directory_that_cannot_be_used_stops_the_start(tmp_path):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StartError, match="state_dir"):
        new_host(tmp_path)


@pytest.mark.parametrize("folder", ["services", "catalogue", "carbon"])
def test_a_folder_in_it_that_cannot_be_made_stops_the_start(tmp_path, folder):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / folder).write_text("a file")
    with pytest.raises(StartError, match="state_dir"):
        new_host(tmp_path)


async def test_books_that_cannot_be_read_stop_the_start(tmp_path):
    host = new_host(tmp_path, **FILED)
    (tmp_path / "state/services/default%2Ffiled.json").mkdir()
    with pytest.raises(StartError, match="cannot be read"):
        async with host.running():
            pass


@pytest.mark.parametrize(
    "section",
    [
        {"gateway": {"refresh": "1s"}},
        {"api": {"listen": "127.0.0.1:1"}},
        {"state_dir": "elsewhere"},
        {"rehearsal": {"start": "2023-11-15T00:00Z", "speed": 2}},
    ],
    ids=str,
)
async def test_what_only_a_restart_can_change_is_refused_at_a_reload(tmp_path, section):
    host = new_host(tmp_path, **FILED)
    async with host.running():
        before = dict(host.engine.sessions)
        [name] = section
        with pytest.raises(ConfigError, match=f"{name} changed: restart"):
            await host.reload(changed(tmp_path, **section, services=[]))
        assert host.engine.sessions == before


async def test_a_reload_changes_what_changed_and_closes_what_nobody_names(tmp_path):
    sources = {
        "default": {"source": "file", "path": "day.csv", "repeat": True},
        "other": {"source": "file", "path": "day.csv"},
    }
    services = [{"name": "filed", **TERMS}, {"name": "second", **TERMS, "carbon": "other"}]
    host = new_host(tmp_path, sources=sources, services=services)
    async with host.running():
        kept, gone = (host.engine.sessions[f"default/{name}"] for name in ("filed", "second"))
        await host.reload(changed(tmp_path, services=services[:1]))
        assert host.engine.sessions == {"default/filed": kept}
        await settle()
        assert gone.feed._closed
        assert not kept.feed._closed
    assert kept.feed._closed


async def test_a_reload_that_cannot_be_leaves_everything(tmp_path):
    host = new_host(tmp_path, **FILED)
    async with host.running():
        before, config = dict(host.engine.sessions), host.config
        (tmp_path / "state/services/default%2Fnew.json").mkdir()
        services = [{"name": "filed", **TERMS, "timeout": "1s"}, {"name": "new", **TERMS}]
        with pytest.raises(ConfigError, match="cannot be read"):
            await host.reload(changed(tmp_path, services=services))
        assert host.engine.sessions == before
        assert host.config is config
        assert host.of_file("default/filed")
        assert not host.of_file("default/new")


async def test_put_and_delete_tell_what_became_of_them(tmp_path):
    host = new_host(tmp_path, **FILED)
    async with host.running():
        assert host.put_service(KEY, TERMS) == "created"
        assert host.put_service(KEY, TERMS) == "unchanged"
        assert host.put_service(KEY, {**TERMS, "timeout": "1s"}) == "changed"
        for refused in (
            lambda: host.put_service("default/filed", TERMS),
            lambda: host.delete_service("default/filed", forget=True),
        ):
            with pytest.raises(OwnedByFileError):
                refused()
        with pytest.raises(KeyError):
            host.delete_service("default/nobody", forget=False)
        host.delete_service(KEY, forget=False)
        assert set(host.engine.sessions) == {"default/filed"}


async def test_what_was_counted_to_the_last_moment_is_there_again(tmp_path):
    host = new_host(tmp_path)
    async with host.running():
        host.put_service(KEY, TERMS)
        await settle()
        now_s = host.clock.now_s() + 60
        host.engine.enter(KEY, {"low": FlavourLoad(served=7)}, since_s=now_s - 60, until_s=now_s, sender="a")
    again = new_host(tmp_path)
    async with again.running():
        assert again.engine.sessions[KEY].books(now_s).requests == 7


async def test_a_service_forgotten_while_its_books_are_written_begins_anew_at_once(tmp_path):
    """Delete and make again within one breath, a write of the old books under way."""
    host = new_host(tmp_path)
    async with host.running():
        host.put_service(KEY, TERMS)
        now_s = host.clock.now_s() + 60
        host.engine.enter(KEY, {"low": FlavourLoad(served=7)}, since_s=now_s - 60, until_s=now_s, sender="a")
        while host.engine.writer._in_hand is None:
            await asyncio.sleep(0)
        host.delete_service(KEY, forget=True)
        assert host.put_service(KEY, TERMS) == "created"
        assert host.engine.sessions[KEY].books(now_s).requests == 0


async def test_an_engine_that_fails_ends_what_it_runs_in(tmp_path, monkeypatch):
    host = new_host(tmp_path)

    async def fail() -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(host.engine, "run", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        async with host.running():
            await asyncio.Event().wait()
