"""What Envoy is told, in full, for a few intents.

`UPDATE_GOLDEN=1 pytest tests/publishers` rewrites the files; their diff is the review. Real Envoy is the judge of
whether it is acceptable at all: no Python library knows its rules.
"""

import difflib
import os
from pathlib import Path
from typing import Any

import betterproto2
import pytest
import yaml
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.service.runtime.v3 import Runtime

from controlplane.publishers.envoy import Bootstrap, envoy_snapshot
from tests.publishers.intents import GOLDEN, gateway
from tests.support.dirs import short_directory
from tests.support.envoy import running_envoy
from tests.support.ports import reserved_port
from tests.support.serving import serving
from tests.support.wait import eventually
from xds import Resource, Snapshot, TypeUrl

DIRECTORY = Path(__file__).with_name("golden")
MESSAGES: dict[TypeUrl, type[betterproto2.Message]] = {
    TypeUrl.CLUSTER: Cluster,
    TypeUrl.ENDPOINTS: ClusterLoadAssignment,
    TypeUrl.LISTENER: Listener,
    TypeUrl.ROUTE: RouteConfiguration,
    TypeUrl.RUNTIME: Runtime,
}


def decoded(resource: Resource) -> dict[str, Any]:
    content = MESSAGES[resource.key.type_url].parse(resource.read().resource.value)
    return {"content": content.to_dict(), "ttl_s": resource.ttl_s, "needs": sorted(str(k.name) for k in resource.needs)}


def as_yaml(snapshot: Snapshot) -> str:
    world = {
        type_url.rpartition(".")[2]: {name: decoded(each) for name, each in snapshot.resources(type_url).items()}
        for type_url in TypeUrl
    }
    return yaml.safe_dump(world, sort_keys=True, width=120, allow_unicode=True)


@pytest.mark.parametrize("case", GOLDEN)
def test_what_envoy_is_told(case: str) -> None:
    actual = as_yaml(envoy_snapshot(gateway(), GOLDEN[case], label=case))
    path = DIRECTORY / f"{case}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(actual, encoding="utf-8")
    expected = path.read_text(encoding="utf-8")
    diff = difflib.unified_diff(expected.splitlines(), actual.splitlines(), path.name, "now", lineterm="", n=5)
    if difference := "\n".join(diff):
        pytest.fail(f"{difference}\n\nIf this is as it should be: UPDATE_GOLDEN=1", pytrace=False)


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in DIRECTORY.iterdir()} == set(GOLDEN)


@pytest.mark.parametrize("case", GOLDEN)
async def test_real_envoy_accepts_it(case: str) -> None:
    with short_directory() as directory, reserved_port() as port:
        async with serving(directory) as server:
            server.cache.publish(envoy_snapshot(gateway(port), GOLDEN[case], label=case))
            bootstrap = Bootstrap(
                node_id="golden", xds_socket=server.socket, admin_socket=str(directory / "admin.sock")
            )
            async with running_envoy(bootstrap, directory) as envoy:
                await eventually(lambda: server.counters.nacks or server.accepted(case), timeout=30)
                assert [proxy.rejected for proxy in server.proxies] == [{}]
                assert server.counters.nacks == 0
                assert set(server.proxies[0].types) == set(TypeUrl)
                warming = await envoy.stats("warming")
                assert warming["cluster_manager.warming_clusters"] == 0
                assert warming["listener_manager.total_listeners_warming"] == 0
