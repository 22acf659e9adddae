"""Serialising: why the cached validator is still there, that it still validates, and that our wire subset is Envoy's.

The independent reader and writer of the wire is envoy-data-plane, generated from Envoy's own definitions.
"""

import re
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import betterproto2
import pytest
from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterEdsClusterConfig
from envoy_data_plane.envoy.config.core.v3 import Extension, Node
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterStats,
    EndpointLoadMetricStats,
    UpstreamLocalityStats,
)
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration, VirtualHost
from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource
from envoy_data_plane.envoy.service.load_stats.v3 import LoadStatsRequest, LoadStatsResponse
from envoy_data_plane.envoy.service.runtime.v3 import Runtime
from envoy_data_plane.google import protobuf
from envoy_data_plane.google.rpc import Status
from pydantic import ValidationError
from pydantic_core import SchemaValidator

import xds.codec
import xds.resource
from xds import ResourceKey, TypeUrl, encode, pack
from xds.proto import wire_pb2

ROOT = Path(xds.codec.__file__).parents[1]

_COUNT_IN_PRISTINE_LIBRARY = """
import warnings
warnings.simplefilter("ignore")
import pydantic_core
from envoy_data_plane.envoy.config.cluster.v3 import Cluster

message = Cluster(name="a")
made, genuine = [], pydantic_core.SchemaValidator
pydantic_core.SchemaValidator = lambda schema: made.append(schema) or genuine(schema)
bytes(message)
bytes(message)
print(len(made))
"""


def run_python(source: str) -> str:
    """Run `source` in an interpreter in which nothing of ours is loaded."""
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_the_library_still_compiles_a_validator_at_every_serialisation() -> None:
    """Fails when the library keeps its validators, or no longer validates: then xds/codec.py can go."""
    assert int(run_python(_COUNT_IN_PRISTINE_LIBRARY)) == 2


def test_validators_are_kept_by_class(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def counting(schema: object) -> SchemaValidator:
        made.append(schema)
        return SchemaValidator(schema)

    monkeypatch.setattr(xds.codec, "SchemaValidator", counting)
    xds.codec._validator.cache_clear()
    message = RouteConfiguration(virtual_hosts=[VirtualHost(name=f"v{i}", domains=["*"]) for i in range(10)])
    for _ in range(3):
        encode(message)
    assert len(made) == 2, "one for each of the two classes"


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", 5), ("connect_timeout", "soon"), ("lb_policy", "fastest"), ("eds_cluster_config", Node(id="n"))],
)
@pytest.mark.parametrize("nested", [False, True])
def test_values_are_still_validated(field: str, value: object, nested: bool) -> None:
    """Set after construction, when pydantic does not look; in a message inside another too."""
    cluster = Cluster(name="a")
    setattr(cluster, field, value)
    with pytest.raises(ValidationError, match=field):
        encode(protobuf.Any.pack(cluster) if nested else cluster)


def test_one_of_several_is_still_enforced() -> None:
    """The check that fields of a `oneof` exclude each other is part of the same validation."""
    value = protobuf.Value(number_value=1.0)
    value.string_value = "x"
    with pytest.raises(ValidationError):
        encode(value)


def test_encoding_is_what_the_library_makes() -> None:
    """Byte for byte, in an interpreter without our method."""
    cluster = Cluster(name="a", connect_timeout=timedelta(seconds=1.5), eds_cluster_config=ClusterEdsClusterConfig())
    source = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from datetime import timedelta\n"
        "from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterEdsClusterConfig\n"
        "print(bytes(Cluster(name='a', connect_timeout=timedelta(seconds=1.5),"
        " eds_cluster_config=ClusterEdsClusterConfig())).hex())"
    )
    assert run_python(source).strip() == encode(cluster).hex()


def test_pack_names_the_type() -> None:
    packed = pack(Cluster(name="a"))
    assert packed.type_url == TypeUrl.CLUSTER
    assert Cluster.parse(packed.value).name == "a"


# --- the wire subset


def both_ways(theirs: betterproto2.Message, ours: type) -> None:
    """Their bytes survive our reading and writing: no field is lost, none is read as another."""
    read = ours.FromString(bytes(theirs))
    assert type(theirs).parse(read.SerializeToString()) == theirs
    assert not list(read.DiscardUnknownFields() or ())
    assert type(theirs).parse(read.SerializeToString()) == theirs, "a field is kept as unknown only"


def full_request() -> DeltaDiscoveryRequest:
    return DeltaDiscoveryRequest(
        node=Node(id="n1", cluster="c1"),
        type_url=TypeUrl.ROUTE,
        resource_names_subscribe=["a", "b"],
        resource_names_unsubscribe=["c"],
        initial_resource_versions={"a": "1", "ü": "2"},
        response_nonce="7",
        error_detail=Status(code=3, message="no good"),
    )


def full_resource() -> Resource:
    content = protobuf.Any(type_url=TypeUrl.CLUSTER, value=bytes(Cluster(name="a")))
    return Resource(version="v", name="a", resource=content, ttl=timedelta(seconds=2.5))


def full_stats() -> ClusterStats:
    metric = EndpointLoadMetricStats(
        metric_name="energy_j", num_requests_finished_with_metric=2**40, total_metric_value=0.1
    )
    locality = UpstreamLocalityStats(
        total_successful_requests=2**40,
        total_requests_in_progress=2,
        total_error_requests=3,
        load_metric_stats=[metric],
    )
    return ClusterStats(
        cluster_name="a", upstream_locality_stats=[locality, locality], load_report_interval=timedelta(seconds=10.25)
    )


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (full_request(), wire_pb2.DeltaDiscoveryRequest),
        (full_resource(), wire_pb2.Resource),
        (
            DeltaDiscoveryResponse(
                system_version_info="g7",
                resources=[full_resource(), Resource(name="b")],
                type_url=TypeUrl.CLUSTER,
                nonce="7",
                removed_resources=["c", "d"],
            ),
            wire_pb2.DeltaDiscoveryResponse,
        ),
        (
            Runtime(name="r", layer=protobuf.Struct(fields={"a.b": protobuf.Value(number_value=2500.0)})),
            wire_pb2.Runtime,
        ),
        (LoadStatsRequest(node=Node(id="n1", cluster="c1"), cluster_stats=[full_stats()]), wire_pb2.LoadStatsRequest),
        (
            LoadStatsResponse(load_reporting_interval=timedelta(seconds=2.5), send_all_clusters=True),
            wire_pb2.LoadStatsResponse,
        ),
        (full_stats(), wire_pb2.ClusterStats),
    ],
    ids=lambda each: each.__name__ if isinstance(each, type) else "",
)
def test_what_the_field_writes_we_read_and_write_back(theirs: betterproto2.Message, ours: type) -> None:
    """Field numbers and types are Envoy's; every field of the subset is set."""
    both_ways(theirs, ours)


def test_we_read_a_request_as_it_was_meant() -> None:
    read = wire_pb2.DeltaDiscoveryRequest.FromString(bytes(full_request()))
    assert (read.node.id, read.node.cluster, read.type_url) == ("n1", "c1", TypeUrl.ROUTE)
    assert list(read.resource_names_subscribe) == ["a", "b"]
    assert list(read.resource_names_unsubscribe) == ["c"]
    assert dict(read.initial_resource_versions) == {"a": "1", "ü": "2"}
    assert (read.response_nonce, read.error_detail.code, read.error_detail.message) == ("7", 3, "no good")


def test_we_read_a_load_report_as_it_was_meant() -> None:
    read = wire_pb2.ClusterStats.FromString(bytes(full_stats()))
    locality = read.upstream_locality_stats[0]
    counts = (locality.total_successful_requests, locality.total_requests_in_progress, locality.total_error_requests)
    assert counts == (2**40, 2, 3)
    metric = locality.load_metric_stats[0]
    assert (metric.metric_name, metric.num_requests_finished_with_metric) == ("energy_j", 2**40)
    assert metric.total_metric_value == 0.1
    assert read.load_report_interval.ToTimedelta() == timedelta(seconds=10.25)


def test_the_field_reads_a_response_of_ours() -> None:
    """The resources of our response are bytes made once; to others they are messages."""
    key = ResourceKey(TypeUrl.CLUSTER, "a")
    resource = xds.resource.Resource.of(key, bytes(Cluster(name="a")), ttl_s=2.5)
    response = wire_pb2.DeltaDiscoveryResponse(
        system_version_info="g7", resources=[resource.wire], type_url=key.type_url, nonce="7", removed_resources=["b"]
    )
    read = DeltaDiscoveryResponse.parse(response.SerializeToString())
    assert (read.system_version_info, read.nonce, read.removed_resources) == ("g7", "7", ["b"])
    (inner,) = read.resources
    assert (inner.name, inner.version, inner.ttl) == ("a", resource.version, timedelta(seconds=2.5))
    assert inner.resource is not None
    assert inner.resource.unpack() == Cluster(name="a")


def test_a_first_request_of_envoy_is_read_past_its_extensions() -> None:
    """500 extensions are in the node; the two strings we need are found, the rest does no harm."""
    request = full_request()
    assert request.node is not None
    request.node.extensions = [
        Extension(name=f"envoy.filters.http.number_{i}", category="envoy.filters.http", type_urls=[f"type.{i}"] * 2)
        for i in range(500)
    ]
    raw = bytes(request)
    assert len(raw) > 30_000
    read = wire_pb2.DeltaDiscoveryRequest.FromString(raw)
    assert (read.node.id, read.node.cluster, read.response_nonce) == ("n1", "c1", "7")


@pytest.mark.parametrize("detail", [None, Status(), Status(message="no good")])
def test_the_presence_of_a_rejection_is_told_from_its_content(detail: Status | None) -> None:
    """9: an empty error_detail is one."""
    raw = bytes(DeltaDiscoveryRequest(type_url=TypeUrl.ROUTE, error_detail=detail))
    assert wire_pb2.DeltaDiscoveryRequest.FromString(raw).HasField("error_detail") is (detail is not None)


def test_the_generated_module_is_up_to_date() -> None:
    """After a change to wire.proto: `make proto`."""
    proto = "xds/proto/wire.proto"
    with tempfile.TemporaryDirectory() as out:
        arguments = ["-m", "grpc_tools.protoc", "-I.", f"--python_out={out}", f"--pyi_out={out}", proto]
        subprocess.run([sys.executable, *arguments], check=True, cwd=ROOT, capture_output=True)
        for name in ("wire_pb2.py", "wire_pb2.pyi"):
            fresh, kept = (Path(base, "xds/proto", name).read_text() for base in (out, ROOT))
            assert without_compiler_version(kept) == without_compiler_version(fresh)


def without_compiler_version(source: str) -> str:
    """A newer compiler than ours writes its version into the file; the rest must be the same."""
    source = re.sub(r"# Protobuf Python Version: .*", "", source)
    return re.sub(r"ValidateProtobufRuntimeVersion\(.*?\)", "", source, flags=re.DOTALL)
