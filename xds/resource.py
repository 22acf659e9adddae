"""An xDS resource: bytes made once per content change, a version that is a hash of them, and what it refers to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple, Self

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration

from xds.proto import wire_pb2

_PREFIX = "type.googleapis.com/"


class TypeUrl(StrEnum):
    """The resource types served, in the order in which a change set is sent: make before break.

    A cluster must exist before its endpoints, endpoints before the listener or route that uses them, and the route
    before the runtime values that steer it (https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol,
    "Eventual consistency considerations").
    """

    CLUSTER = _PREFIX + "envoy.config.cluster.v3.Cluster"
    ENDPOINTS = _PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
    LISTENER = _PREFIX + "envoy.config.listener.v3.Listener"
    ROUTE = _PREFIX + "envoy.config.route.v3.RouteConfiguration"
    RUNTIME = _PREFIX + "envoy.service.runtime.v3.Runtime"


class ResourceKey(NamedTuple):
    """The identity of a resource; two resources of one type never share a name."""

    type_url: TypeUrl
    name: str


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource as every stream sends it.

    Attributes:
        key: type and name.
        version: hash of the content, the same on every replica and after every restart.
        wire: a serialised `Resource` envelope (version, name, ttl, content), shared by all streams.
        needs: the resources this one refers to by name; a snapshot that lacks one of them is refused.
        ttl_s: seconds after which a proxy forgets the resource unless it is published again; None keeps it for good.
    """

    key: ResourceKey
    version: str
    wire: bytes
    needs: frozenset[ResourceKey] = frozenset()
    ttl_s: float | None = None

    @classmethod
    def of(
        cls,
        key: ResourceKey,
        content: bytes,
        *,
        needs: Iterable[ResourceKey] = (),
        ttl_s: float | None = None,
    ) -> Self:
        """Wrap the serialised `content` of a message of type `key.type_url`."""
        version = blake2b(content, digest_size=8).hexdigest()
        envelope = wire_pb2.Resource(version=version, name=key.name, resource=Any(type_url=key.type_url, value=content))
        if ttl_s is not None:
            envelope.ttl.CopyFrom(_duration(ttl_s))
        return cls(key, version, envelope.SerializeToString(), frozenset(needs), ttl_s)

    def read(self) -> wire_pb2.Resource:
        """The parsed envelope, for people and tests."""
        return wire_pb2.Resource.FromString(self.wire)


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration
