"""The file with which an Envoy starts: who it is and where its control plane is. Everything else comes over xDS."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from controlplane.publishers.envoy import names

_XDS_CLUSTER = "carbonrouter-control-plane"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """What one Envoy needs to know before it can ask.

    Attributes:
        node_id: names the proxy; its load reports are kept apart by it.
        xds_socket: path of the control plane's Unix socket.
        admin_socket: path at which Envoy's own admin interface listens; a Unix socket, since it has no access
            control of its own.
    """

    node_id: str
    xds_socket: str
    admin_socket: str

    def render(self) -> str:
        """The bootstrap as JSON, which Envoy takes as well as YAML."""
        return json.dumps(self._content(), indent=2) + "\n"

    def _content(self) -> dict[str, Any]:
        ads = {"ads": {}, "resource_api_version": "V3"}
        return {
            "node": {"id": self.node_id, "cluster": "carbonrouter"},
            "admin": {"address": {"pipe": {"path": self.admin_socket, "mode": 0o600}}},
            "dynamic_resources": {
                "ads_config": _grpc_source("DELTA_GRPC", set_node_on_first_message_only=True),
                "cds_config": ads,
                "lds_config": ads,
            },
            "cluster_manager": {"load_stats_config": _grpc_source("GRPC")},
            "layered_runtime": {
                "layers": [
                    {"name": names.RUNTIME_LAYER, "rtds_layer": {"name": names.RUNTIME_LAYER, "rtds_config": ads}}
                ]
            },
            "static_resources": {"clusters": [self._control_plane()]},
        }

    def _control_plane(self) -> dict[str, Any]:
        endpoint = {"endpoint": {"address": {"pipe": {"path": self.xds_socket}}}}
        http2 = {
            "explicit_http_config": {
                # Finds a control plane that has stopped without closing its connections.
                "http2_protocol_options": {"connection_keepalive": {"interval": "10s", "timeout": "5s"}}
            }
        }
        return {
            "name": _XDS_CLUSTER,
            "type": "STATIC",
            "connect_timeout": "1s",
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    **http2,
                }
            },
            "load_assignment": {"cluster_name": _XDS_CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
        }


def _grpc_source(api_type: str, **options: Any) -> dict[str, Any]:
    return {
        "api_type": api_type,
        "transport_api_version": "V3",
        "grpc_services": [
            {
                "envoy_grpc": {
                    "cluster_name": _XDS_CLUSTER,
                    # Envoy's own back-off grows to 30 s; after a restart of ours it should be back within one.
                    "retry_policy": {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}},
                }
            }
        ],
        **options,
    }
