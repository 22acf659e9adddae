"""Clusters and their endpoints: per flavour one that holds its endpoints, and one that adds the fallbacks."""

from __future__ import annotations

from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import (
    CircuitBreakers,
    CircuitBreakersThresholds,
    Cluster,
    ClusterCustomClusterType,
    ClusterDiscoveryType,
    ClusterEdsClusterConfig,
    ClusterLbPolicy,
    OutlierDetection,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    Http1ProtocolOptions,
    Metadata,
    SocketAddress,
)
from envoy_data_plane.envoy.config.core.v3 import (
    HttpProtocolOptions as CommonHttpProtocolOptions,
)
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.config.endpoint.v3 import (
    Endpoint as EnvoyEndpoint,
)
from envoy_data_plane.envoy.extensions.clusters.aggregate.v3 import ClusterConfig
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions,
    HttpProtocolOptionsExplicitHttpConfig,
)
from envoy_data_plane.google.protobuf import Struct, Value

from controlplane.intent import ENERGY_METRIC, FlavourTarget, Topology
from controlplane.publishers.envoy import names
from controlplane.publishers.envoy.sources import over_ads
from xds import Resource, ResourceKey, TypeUrl, encode, pack

# Envoy's default of 3 concurrent retries would turn the loss of a flavour into client errors.
_LIMIT = 10_000
# Below the 5 s after which common servers (uvicorn, Node.js) close an idle connection: who closes first decides
# whether a request can meet a closed connection.
_UPSTREAM_IDLE = timedelta(seconds=4)
_CONNECT_TIMEOUT = timedelta(seconds=1)
# Only the one we read: a backend could otherwise name any number of metrics.
_REPORTED_METRICS = [f"named_metrics.{ENERGY_METRIC}"]


def cluster_resources(topology: Topology) -> tuple[Resource, ...]:
    """All clusters and load assignments of one service."""
    resources: list[Resource] = []
    for flavour in topology.flavours:
        resources += (
            _aggregate(topology, flavour),
            _endpoint_cluster(topology, flavour),
            _assignment(topology, flavour),
        )
    return tuple(resources)


def _aggregate(topology: Topology, flavour: FlavourTarget) -> Resource:
    order = (flavour, *topology.fallbacks(flavour))
    members = [names.endpoint_cluster(topology, each) for each in order]
    name = names.flavour_cluster(topology, flavour)
    cluster = Cluster(
        name=name,
        connect_timeout=_CONNECT_TIMEOUT,
        lb_policy=ClusterLbPolicy.CLUSTER_PROVIDED,
        circuit_breakers=_circuit_breakers(),
        # Envoy counts what answers report on the cluster that served, but takes the list of names from this one.
        lrs_report_endpoint_metrics=_REPORTED_METRICS,
        cluster_type=ClusterCustomClusterType(
            name="envoy.clusters.aggregate", typed_config=pack(ClusterConfig(clusters=members))
        ),
    )
    needs = [ResourceKey(TypeUrl.CLUSTER, member) for member in members]
    return Resource.of(ResourceKey(TypeUrl.CLUSTER, name), encode(cluster), needs=needs)


def _endpoint_cluster(topology: Topology, flavour: FlavourTarget) -> Resource:
    name = names.endpoint_cluster(topology, flavour)
    cluster = Cluster(
        name=name,
        type=ClusterDiscoveryType.EDS,
        eds_cluster_config=ClusterEdsClusterConfig(eds_config=over_ads()),
        connect_timeout=_CONNECT_TIMEOUT,
        lb_policy=ClusterLbPolicy.LEAST_REQUEST,
        circuit_breakers=_circuit_breakers(),
        outlier_detection=_outlier_detection(),
        typed_extension_protocol_options={
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": pack(_upstream_protocol())
        },
    )
    needs = [ResourceKey(TypeUrl.ENDPOINTS, name)]
    return Resource.of(ResourceKey(TypeUrl.CLUSTER, name), encode(cluster), needs=needs)


def _upstream_protocol() -> HttpProtocolOptions:
    return HttpProtocolOptions(
        common_http_protocol_options=CommonHttpProtocolOptions(idle_timeout=_UPSTREAM_IDLE),
        explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(http_protocol_options=Http1ProtocolOptions()),
    )


def _circuit_breakers() -> CircuitBreakers:
    limits = CircuitBreakersThresholds(
        max_connections=_LIMIT, max_pending_requests=_LIMIT, max_requests=_LIMIT, max_retries=_LIMIT
    )
    return CircuitBreakers(thresholds=[limits])


def _outlier_detection() -> OutlierDetection:
    """Take an endpoint out when it cannot be reached three times in a row, and let a whole flavour go.

    What an endpoint answers never takes it out, 5xx included: a URL that fails on every flavour would take out all of
    them for everybody. Nor is there an end to trying: when all are out, Envoy's panic mode sends requests all the same.
    """
    return OutlierDetection(
        enforcing_consecutive_5xx=0,
        enforcing_consecutive_gateway_failure=0,
        enforcing_success_rate=0,
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=3,
        enforcing_local_origin_success_rate=0,
        interval=timedelta(seconds=1),
        base_ejection_time=timedelta(seconds=5),
        max_ejection_time=timedelta(seconds=60),
        max_ejection_percent=100,
    )


def _assignment(topology: Topology, flavour: FlavourTarget) -> Resource:
    name = names.endpoint_cluster(topology, flavour)
    metadata = Metadata(filter_metadata={names.METADATA: Struct(fields={"flavour": Value(string_value=flavour.name)})})
    endpoints = [
        LbEndpoint(
            endpoint=EnvoyEndpoint(
                address=Address(socket_address=SocketAddress(address=each.address, port_value=each.port))
            ),
            metadata=metadata,
        )
        for each in flavour.endpoints
    ]
    assignment = ClusterLoadAssignment(
        cluster_name=name, endpoints=[LocalityLbEndpoints(lb_endpoints=endpoints)] if endpoints else []
    )
    return Resource.of(ResourceKey(TypeUrl.ENDPOINTS, name), encode(assignment))
