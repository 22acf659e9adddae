"""The schedule as Envoy reads it: a runtime layer of weights, forgotten unless it is renewed."""

from __future__ import annotations

from collections.abc import Iterable

from controlplane.intent import RoutingIntent
from controlplane.publishers.envoy import names
from xds import Resource, ResourceKey, TypeUrl
from xds.proto import wire_pb2


def runtime_resource(intents: Iterable[RoutingIntent], *, ttl_s: float) -> Resource:
    """All weights of all services in one layer.

    Every flavour has its key: for a missing key Envoy would use the route's own weight. When `ttl_s` passes without
    renewal the layer is gone, and all traffic returns to the best flavour.
    """
    runtime = wire_pb2.Runtime(name=names.RUNTIME_LAYER)
    for intent in intents:
        for flavour in intent.topology.flavours:
            key = names.runtime_key(intent.topology, flavour)
            runtime.layer.fields[key].number_value = intent.weights[flavour.name]
    # Deterministic: the version is a hash of these bytes, and a map has no order of its own.
    content = runtime.SerializeToString(deterministic=True)
    return Resource.of(ResourceKey(TypeUrl.RUNTIME, names.RUNTIME_LAYER), content, ttl_s=ttl_s)
