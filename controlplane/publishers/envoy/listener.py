"""The gateway's listener; its routes come over RDS."""

from __future__ import annotations

from datetime import timedelta

from envoy_data_plane.envoy.config.core.v3 import Address, SocketAddress
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerServerHeaderTransformation,
    HttpFilter,
    Rds,
)

from controlplane.intent import Endpoint
from controlplane.publishers.envoy import names
from controlplane.publishers.envoy.sources import over_ads
from xds import Resource, ResourceKey, TypeUrl, encode, pack


def listener_resource(listen: Endpoint) -> Resource:
    """One plain-HTTP listener for all services."""
    manager = HttpConnectionManager(
        stat_prefix=names.LISTENER,
        rds=Rds(config_source=over_ads(), route_config_name=names.ROUTES),
        # suppress_envoy_headers: a client's x-envoy-* headers must not change retries and time-outs.
        http_filters=[
            HttpFilter(name="envoy.filters.http.router", typed_config=pack(Router(suppress_envoy_headers=True)))
        ],
        use_remote_address=True,
        normalize_path=True,
        strip_any_host_port=True,
        server_header_transformation=HttpConnectionManagerServerHeaderTransformation.PASS_THROUGH,
        request_headers_timeout=timedelta(seconds=10),
    )
    listener = Listener(
        name=names.LISTENER,
        address=Address(socket_address=SocketAddress(address=listen.address, port_value=listen.port)),
        filter_chains=[
            FilterChain(
                filters=[Filter(name="envoy.filters.network.http_connection_manager", typed_config=pack(manager))]
            )
        ],
    )
    needs = [ResourceKey(TypeUrl.ROUTE, names.ROUTES)]
    return Resource.of(ResourceKey(TypeUrl.LISTENER, names.LISTENER), encode(listener), needs=needs)
