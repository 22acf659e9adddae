"""All services together, as one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration

from controlplane.intent import Endpoint, IntentError, RoutingIntent, Topology
from controlplane.publishers.envoy import names
from controlplane.publishers.envoy.clusters import cluster_resources
from controlplane.publishers.envoy.listener import listener_resource
from controlplane.publishers.envoy.routes import virtual_host
from controlplane.publishers.envoy.runtime import runtime_resource
from xds import Resource, ResourceKey, Snapshot, TypeUrl, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What all services share: where the proxy listens, and how long it follows a schedule nobody renews."""

    listen: Endpoint
    ttl_s: float


@dataclass(frozen=True, slots=True)
class _ServiceParts:
    clusters: tuple[Resource, ...]
    routes: bytes
    route_targets: tuple[ResourceKey, ...]


def envoy_snapshot(gateway: Gateway, intents: Sequence[RoutingIntent], *, label: str) -> Snapshot:
    """What Envoy must be told for `intents` to hold. Pure; what depends on a topology alone is computed once.

    Raises:
        IntentError: a host is claimed twice; Envoy would then reject the routes of all services.
    """
    _check_hosts(intent.topology for intent in intents)
    parts = [_service_parts(intent.topology) for intent in intents]
    resources = [
        listener_resource(gateway.listen),
        _routes_resource(parts),
        runtime_resource(intents, ttl_s=gateway.ttl_s),
    ]
    for part in parts:
        resources += part.clusters
    return Snapshot(resources, label=label)


@lru_cache(maxsize=16_384)
def _service_parts(topology: Topology) -> _ServiceParts:
    targets = (names.flavour_cluster(topology, flavour) for flavour in topology.flavours)
    return _ServiceParts(
        clusters=cluster_resources(topology),
        routes=encode(RouteConfiguration(virtual_hosts=[virtual_host(topology)])),
        route_targets=tuple(ResourceKey(TypeUrl.CLUSTER, target) for target in targets),
    )


def _routes_resource(parts: Sequence[_ServiceParts]) -> Resource:
    """One route configuration of all virtual hosts.

    Serialised messages may be concatenated: repeated fields, here the virtual hosts, are then appended
    (https://protobuf.dev/programming-guides/encoding/#last-one-wins). So a change to one service costs the
    serialisation of one virtual host and not of a thousand.
    """
    content = encode(RouteConfiguration(name=names.ROUTES)) + b"".join(part.routes for part in parts)
    needs = [target for part in parts for target in part.route_targets]
    return Resource.of(ResourceKey(TypeUrl.ROUTE, names.ROUTES), content, needs=needs)


def _check_hosts(topologies: Iterable[Topology]) -> None:
    """Envoy refuses all routes of all services if one host stands twice, and compares hosts in lower case."""
    owners: dict[str, str] = {}
    for topology in topologies:
        service = f"{topology.namespace}/{topology.service}"
        for host in topology.hosts:
            if (owner := owners.get(host.lower())) is not None:
                raise IntentError(f"host {host!r} is claimed twice, by {owner} and by {service}")
            owners[host.lower()] = service
