"""Small worlds of resources with made-up content: the protocol does not look inside."""

from collections.abc import Iterable

from xds import Resource, ResourceKey, Snapshot, SnapshotCache, TypeUrl
from xds.snapshot import Publication

CLUSTER, ENDPOINTS, LISTENER, ROUTE, RUNTIME = TypeUrl

# What each type refers to by name.
REFERS_TO = {CLUSTER: ENDPOINTS, LISTENER: ROUTE, ROUTE: CLUSTER}


def resource(
    type_url: TypeUrl, name: str, content: object = 1, *, needs: Iterable[ResourceKey] = (), ttl_s: float | None = None
) -> Resource:
    """A resource whose version depends on `content` alone."""
    return Resource.of(ResourceKey(type_url, name), repr(content).encode(), needs=needs, ttl_s=ttl_s)


def cluster(name: str, content: object = 1) -> Resource:
    """A cluster that takes its endpoints from the assignment of the same name."""
    return resource(CLUSTER, name, content, needs=[ResourceKey(ENDPOINTS, name)])


def world(label: str = "", **types: dict[str, object]) -> Snapshot:
    """`world(cluster={"a": 1}, ...)`: content by name and by the type's name in lower case."""
    resources = []
    for type_name, contents in types.items():
        type_url = TypeUrl[type_name.upper()]
        for name, content in contents.items():
            needs = [ResourceKey(ENDPOINTS, name)] if type_url is CLUSTER and name in types.get("endpoints", {}) else []
            ttl_s = 30.0 if type_url is RUNTIME else None
            resources.append(resource(type_url, name, content, needs=needs, ttl_s=ttl_s))
    return Snapshot(resources, label=label)


def publish(cache: SnapshotCache, label: str = "", **types: dict[str, object]) -> Publication:
    """Publish a `world` and return the publication."""
    cache.publish(world(label, **types))
    assert cache.current is not None
    return cache.current
