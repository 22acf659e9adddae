"""Services that come, change and go at run time: counts are never lost, and what is refused changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.config import ConfigError, EngineConfig, load_config
from controlplane.files import write_whole
from controlplane.host import EngineHost, NoDataPlane
from controlplane.statedir import StartError
from controlplane.store import FileStore
from tests.api.hosts import SHOP, TERMS, Served, engine_config, served
from tests.controlplane.fakes import ManualClock, settle

KEY = "default/shop"
TIGHTER = {**TERMS, "budget": {"max_error_pct": 1}}
IN_FILE = {"services": [{"name": "filed", **TERMS}]}
FILED = "/api/v1/services/default/filed"


async def count(world: Served, *, sequence: int = 1, path: str = SHOP) -> dict[str, Any]:
    """Ten answers of `high` and thirty of `low`: three error-requests."""
    await world.clock.advance(60)
    told = {"sender": "gateway", "sequence": sequence, "served": {"high": 10, "low": 30}}
    status, answer = await world.call("POST", path + "/feedback", json=told)
    assert status == 200, answer
    return answer


async def budget(world: Served, path: str = SHOP) -> tuple[float, float]:
    status, state = await world.call("GET", path)
    assert status == 200, state
    return state["budget"]["requests"], pytest.approx(state["budget"]["error_requests"])


def decisions(world: Served) -> float:
    """How many decisions the engine has made."""
    [found] = [
        sample.value
        for family in world.host.instruments.collect()
        for sample in family.samples
        if sample.name == "carbonrouter_decision_duration_seconds_count"
    ]
    return found


@pytest.fixture
def full_disk(monkeypatch):
    """Refuses to write files whose path holds the text given, from then on; None gives it way again."""
    refused: list[str | None] = [None]

    def save(path: Path, write: Any) -> None:
        if refused[0] is not None and refused[0] in str(path):
            raise OSError(28, "No space left on device")
        write_whole(path, write)

    monkeypatch.setattr("controlplane.store.write_whole", save)

    def refuse(text: str | None) -> None:
        refused[0] = text

    return refuse


async def test_the_same_again_changes_nothing_at_all(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        session = world.host.engine.sessions[KEY]
        await world.foreseen()
        made, written = decisions(world), (tmp_path / "state/catalogue/services.json").stat().st_ino
        for _ in range(5):
            assert (await world.call("PUT", SHOP, json=TERMS))[1]["outcome"] == "unchanged"
        assert written == (tmp_path / "state/catalogue/services.json").stat().st_ino
        same = {**TERMS, "timeout": "15s", "carbon": "default"}
        assert (await world.call("PUT", SHOP, json=same))[1]["outcome"] == "unchanged"
        await settle()
        assert world.host.engine.sessions[KEY] is session
        assert decisions(world) == made
        _, told = await world.call("GET", SHOP + "/configuration")
        assert (told["origin"], told["configuration"]) == ("api", same)


async def test_what_was_counted_survives_every_change_and_a_return(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        await count(world)
        for terms in (TIGHTER, {**TERMS, "policy": "p100"}, {**TERMS, "flavours": TERMS["flavours"][:2]}, TERMS):
            await world.call("PUT", SHOP, json=terms)
            assert await budget(world) == (40, 3)
        await world.call("DELETE", SHOP)
        await world.call("PUT", SHOP, json=TERMS)
        assert await budget(world) == (40, 3)
        assert (await count(world))["entered"] is False
    async with served(tmp_path) as world:
        assert await budget(world) == (40, 3)
        assert (await count(world))["entered"] is False


async def test_what_is_forgotten_is_gone_and_may_begin_anew_at_once(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        await count(world)
        assert (await world.call("DELETE", SHOP + "?forget=true"))[0] == 204
        assert list((tmp_path / "state/services").iterdir()) == []
        assert (await world.call("PUT", SHOP, json=TERMS))[1]["outcome"] == "created"
        assert await budget(world) == (0, 0)
        assert (await count(world))["entered"] is True
        assert (await world.call("DELETE", "/api/v1/services/default/other"))[0] == 404


async def test_a_service_of_the_file_is_changed_there(tmp_path):
    async with served(tmp_path, **IN_FILE) as world:
        for method, sent in (("PUT", {"json": TIGHTER}), ("DELETE", {})):
            status, problem = await world.call(method, FILED, **sent)
            assert (status, "configuration file" in problem["detail"]) == (409, True)
        status, problem = await world.call("PUT", "/config/default/filed", json={"targetError": 0.1})
        assert status == 409
        _, told = await world.call("GET", FILED + "/configuration")
        assert (told["origin"], told["configuration"]) == ("file", None)
        await count(world, path=FILED)
        assert (await world.call("PUT", FILED + "/pause", json={}))[0] == 200


def reconfigured(tmp_path: Path, **changes: Any) -> EngineConfig:
    """The running configuration with some top-level keys changed."""
    path = tmp_path / "carbonrouter.yaml"
    content = {**yaml.safe_load(path.read_text()), **changes}
    path.write_text(yaml.safe_dump(content))
    return load_config(path, EngineConfig)


async def test_a_name_made_over_the_api_is_not_taken_by_the_file(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        before = world.host.engine.sessions[KEY]
        with pytest.raises(ConfigError, match="made over the API already: default/shop"):
            await world.host.reload(reconfigured(tmp_path, services=[{"name": "shop", **TIGHTER}]))
        assert world.host.engine.sessions == {KEY: before}
        assert (await world.call("PUT", SHOP, json=TIGHTER))[0] == 200  # it is still the API's


async def test_a_source_that_a_service_of_the_api_names_is_not_taken_away(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        before = world.host.engine.sessions[KEY]
        with pytest.raises(ConfigError, match=r"shop: carbon: no source is called 'default'; there are: other"):
            other = {"other": {"source": "file", "path": "day.csv"}}
            await world.host.reload(reconfigured(tmp_path, sources=other, services=[]))
        assert world.host.engine.sessions == {KEY: before}
    with pytest.raises(ConfigError, match="no source is called"):
        EngineHost(load_config(tmp_path / "carbonrouter.yaml", EngineConfig), NoDataPlane(), clock=ManualClock())


async def test_another_source_of_the_same_name_is_gone_over_to(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        await count(world)
        before = world.host.engine.sessions[KEY].feed
        sources = {"default": {"source": "file", "path": "day.csv", "repeat": False}}
        await world.host.reload(reconfigured(tmp_path, sources=sources))
        assert world.host.engine.sessions[KEY].feed is not before
        assert await budget(world) == (40, 3)


@pytest.mark.parametrize(
    ("terms", "status"),
    [
        ({**TERMS, "carbon": "unknown"}, 422),
        ({**TERMS, "carbon": {"source": "file", "path": "/etc/passwd"}}, 422),
        ({**TERMS, "policy": "unknown"}, 422),
        ({**TERMS, "policy": "p100", "constraints": {"min_precision_pct": 95}}, 422),
        ({**TERMS, "demand": {"path": "/etc/passwd"}}, 422),
        ({**TERMS, "name": "other"}, 422),
        ({"budget": {"max_error_pct": 1}}, 422),
        ({**TERMS, "flavours": [TERMS["flavours"][0]] * 2}, 422),
    ],
    ids=str,
)
async def test_what_does_not_go_together_is_refused_and_changes_nothing(tmp_path, terms, status):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        before = world.host.engine.sessions[KEY]
        assert (await world.call("PUT", SHOP, json=terms))[0] == status
        assert (await world.call("PUT", SHOP + "-2", json=terms))[0] == status
        assert world.host.engine.sessions == {KEY: before}
        assert world.host.catalogue.raw(KEY) == TERMS
        assert len(world.host.catalogue) == 1


async def test_a_full_disk_refuses_services_and_nothing_has_changed(tmp_path, full_disk):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        before = world.host.engine.sessions[KEY]
        full_disk("catalogue")
        for method, path, sent in (("PUT", SHOP, {"json": TIGHTER}), ("PUT", SHOP + "-2", {"json": TERMS})):
            status, problem = await world.call(method, path, **sent)
            assert (status, "No space left" in problem["detail"]) == (503, True)
        assert (await world.call("DELETE", SHOP))[0] == 503
        assert (await world.call("DELETE", SHOP + "?forget=true"))[0] == 503
        assert (await world.call("PUT", "/config/default/third", json={}))[0] == 503
        assert world.host.engine.sessions == {KEY: before}
        assert (await world.call("PUT", SHOP, json=TERMS))[1]["outcome"] == "unchanged"
        full_disk(None)
        assert (await world.call("PUT", SHOP, json=TIGHTER))[1]["outcome"] == "changed"
    async with served(tmp_path) as world:
        assert list(world.host.engine.sessions) == [KEY]
        assert world.host.engine.sessions[KEY].spec.settings.max_error == 0.01


async def test_a_service_whose_books_cannot_be_read_is_not_made(tmp_path):
    async with served(tmp_path) as world:
        (tmp_path / "state/services/default%2Fshop.json").mkdir()
        status, problem = await world.call("PUT", SHOP, json=TERMS)
        assert (status, "cannot be read" in problem["detail"]) == (503, True)
        assert world.host.engine.sessions == {}
        assert KEY not in world.host.catalogue
        (tmp_path / "state/services/default%2Fshop.json").rmdir()
        assert (await world.call("PUT", SHOP, json=TERMS))[1]["outcome"] == "created"


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"version": 2, "services": {}}',
        '{"version": 1, "services": [1]}',
        json.dumps({"version": 1, "services": {KEY: {**TERMS, "budget": {}}}}),
        json.dumps({"version": 1, "services": {KEY: 7}}),
        json.dumps({"version": 1, "services": {KEY: {**TERMS, "policy": "no-longer-installed"}}}),
    ],
    ids=["cut", "list", "empty", "version", "no mapping", "term", "number", "policy"],
)
async def test_a_catalogue_that_cannot_be_used_stops_the_start_and_stays_where_it_is(tmp_path, content):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
    path = tmp_path / "state/catalogue/services.json"
    path.write_text(content)
    with pytest.raises(StartError, match="services"):
        EngineHost(engine_config(tmp_path), NoDataPlane(), clock=ManualClock())
    assert path.read_text() == content


async def test_a_service_more_is_one_decision_more(tmp_path):
    async with served(tmp_path, gateway={"refresh": "1h", "ttl": "2h"}) as world:
        world.host.put_service(KEY, TERMS)
        await world.foreseen()
        before = decisions(world)
        for number in range(200):
            assert world.host.put_service(f"default/shop-{number}", TERMS) == "created"
            if number % 50 == 0:
                await settle()
        await settle()
        assert decisions(world) - before == 200
        for number in range(200):
            world.host.put_service(f"default/shop-{number}", TERMS)
        await settle()
        assert decisions(world) - before == 200
        _, page = await world.call("GET", "/api/v1/services?limit=3&offset=198")
        assert (page["total"], len(page["services"])) == (201, 3)
        _, page = await world.call("GET", "/api/v1/services?search=shop-19")
        assert page["total"] == 11
    async with served(tmp_path) as world:
        assert len(world.host.engine.sessions) == 201


async def test_there_are_no_more_services_than_may_be(tmp_path, monkeypatch):
    monkeypatch.setattr("controlplane.api.access.MOST_SERVICES", 2)
    async with served(tmp_path) as world:
        for name in ("a", "b"):
            assert (await world.call("PUT", f"/api/v1/services/ns/{name}", json=TERMS))[0] == 201
        assert (await world.call("PUT", "/api/v1/services/ns/c", json=TERMS))[0] == 409
        assert (await world.call("PUT", "/config/ns/c", json={}))[0] == 409
        assert (await world.call("PUT", "/api/v1/services/ns/b", json=TIGHTER))[0] == 200


class Routed(NoDataPlane):
    """A data plane that must know where flavours are."""

    needs_endpoints = True


def placed(port: int, *hosts: str) -> dict[str, Any]:
    flavours = [
        {**flavour, "endpoints": [f"127.0.0.1:{port + place}"]} for place, flavour in enumerate(TERMS["flavours"])
    ]
    return {**TERMS, "flavours": flavours, "hosts": list(hosts)}


async def test_where_requests_are_routed_a_host_is_one_services(tmp_path):
    filed = {"services": [{"name": "filed", **placed(9000, "filed.example")}]}
    host = EngineHost(engine_config(tmp_path, **filed), Routed(), clock=ManualClock())
    async with host.running():
        host.put_service(KEY, placed(9100, "shop.example"))
        for terms in (placed(9200, "FILED.example"), placed(9200, "a.example", "shop.example"), TERMS):
            with pytest.raises(ConfigError):
                host.put_service("default/third", terms)
        host.put_service(KEY, placed(9100, "shop.example", "shop2.example"))
        taking = [{"name": "filed", **placed(9000, "Shop.example")}]
        with pytest.raises(ConfigError, match=r"default/shop: hosts shop\.example are another service's already"):
            await host.reload(reconfigured(tmp_path, services=taking))
        assert host.engine.sessions["default/filed"].spec.topology.hosts == ("filed.example",)


async def test_a_reload_leaves_what_the_api_made_alone(tmp_path):
    async with served(tmp_path, **IN_FILE) as world:
        await world.call("PUT", SHOP, json=TERMS)
        before = world.host.engine.sessions[KEY]
        await world.host.reload(reconfigured(tmp_path, services=[]))
        assert world.host.engine.sessions == {KEY: before}
        await world.host.reload(reconfigured(tmp_path, services=IN_FILE["services"]))
        assert set(world.host.engine.sessions) == {KEY, "default/filed"}


async def test_a_feed_nobody_names_is_closed_behind_the_back_of_who_goes_on(tmp_path):
    """One that hangs in a fetch holds up neither the deletion of its service nor a reload, and is not found again."""
    sources = {name: {"source": "file", "path": "day.csv", "repeat": name == "a"} for name in ("a", "default")}
    async with served(tmp_path, sources=sources) as world:
        path = "/api/v1/services/ns/a"
        await world.call("PUT", path, json={**TERMS, "carbon": "a"})
        feed = world.host.engine.sessions["ns/a"].feed
        await feed._busy.acquire()  # a fetch is under way
        assert (await world.call("DELETE", path))[0] == 204
        await world.host.reload(reconfigured(tmp_path))
        await world.call("PUT", path, json={**TERMS, "carbon": "a"})
        again = world.host.engine.sessions["ns/a"].feed
        assert again is not feed
        assert not again._closed
        feed._busy.release()
        await settle()
        assert feed._closed
        assert not again._closed


async def test_the_catalogue_is_kept_from_others_on_the_machine(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
    path = tmp_path / "state/catalogue/services.json"
    assert path.stat().st_mode & 0o077 == 0
    assert FileStore(path.parent).load("services") == {"version": 1, "services": {KEY: TERMS}}
