"""Envoy: clusters, routes and a runtime layer, served over xDS."""

from controlplane.publishers.envoy.bootstrap import Bootstrap
from controlplane.publishers.envoy.names import endpoint_cluster
from controlplane.publishers.envoy.world import Gateway, envoy_snapshot

__all__ = ["Bootstrap", "Gateway", "endpoint_cluster", "envoy_snapshot"]
