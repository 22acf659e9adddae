"""What a process that was killed between two steps leaves, and what the next one makes of it."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from controlplane.host import EngineHost, NoDataPlane
from controlplane.statedir import StartError, exclusive, make
from tests.api.hosts import SHOP, TERMS, engine_config, served
from tests.engine.kills import read_state
from tests.engine.process import EngineProcess

COUNTS = {"sender": "gateway", "sequence": 1, "served": {"low": 10}}


class Killed(BaseException):
    """Nothing after this happens."""


def unfinished(state_dir: Path) -> list[Path]:
    return list(state_dir.rglob(".writing-*"))


async def test_a_new_process_clears_what_a_killed_one_left_half_written(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path, speed=60)
    engine.write()
    for folder in ("services", "catalogue", "forecasts", "carbon"):
        (engine.state_dir / folder).mkdir(parents=True)
        (engine.state_dir / folder / ".writing-abc").write_text('{"version":')
    elsewhere = tmp_path / ".writing-somebodys"
    elsewhere.touch()
    async with aiohttp.ClientSession() as session:
        await engine.spawn()
        try:
            await engine.answering(session)
            assert unfinished(engine.state_dir) == []
        finally:
            assert await engine.stop() == 0
    assert elsewhere.exists()


def test_who_is_refused_a_directory_leaves_what_its_owner_is_writing(tmp_path: Path) -> None:
    make(tmp_path / "state")
    (tmp_path / "state" / "services").mkdir()
    with exclusive(tmp_path / "state"):
        (tmp_path / "state" / "services" / ".writing-abc").touch()
        with pytest.raises(StartError, match="another carbonrouter"), exclusive(tmp_path / "state"):
            pass
        assert len(unfinished(tmp_path / "state")) == 1


async def test_a_service_that_was_being_forgotten_can_be_forgotten_again(tmp_path, monkeypatch) -> None:
    def killed(*_: object) -> None:
        raise Killed

    async with served(tmp_path) as engine:
        await engine.call("PUT", SHOP, json=TERMS)
        await engine.call("POST", f"{SHOP}/feedback", json=COUNTS)
        monkeypatch.setattr(engine.host.catalogue, "delete", killed)
        with pytest.raises(Killed):
            engine.host.delete_service("default/shop", forget=True)
        left = EngineHost(engine_config(tmp_path), NoDataPlane(), clock=engine.clock)
        assert "default/shop" in left.catalogue
        assert left.engine.writer.load("default/shop") is None


async def test_a_service_whose_forgetting_is_refused_keeps_its_books(tmp_path, monkeypatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async with served(tmp_path) as engine:
        await engine.call("PUT", SHOP, json=TERMS)
        await engine.call("POST", f"{SHOP}/feedback", json=COUNTS)
        with monkeypatch.context() as full:
            full.setattr(engine.host.catalogue, "delete", refused)
            status, _ = await engine.call("DELETE", f"{SHOP}?forget=true")
        assert status == 503
        await engine.host.engine.writer.saved("default/shop")
        [book] = read_state(engine.host.config.state_dir, "default/shop")["controller"]["ledger"]["books"]
        assert book["by_flavour"] == {"low": 10.0}
