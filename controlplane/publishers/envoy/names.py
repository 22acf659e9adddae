"""The names of everything we make in Envoy: functions of identity, escaped here and nowhere else.

A name never holds a list index: an object that keeps its identity keeps its name, whatever comes before it.
"""

from __future__ import annotations

from urllib.parse import quote

from controlplane.intent import FlavourTarget, Topology

LISTENER = "carbonrouter"
ROUTES = "carbonrouter"
RUNTIME_LAYER = "carbonrouter"
METADATA = "carbonrouter"


def service_name(topology: Topology) -> str:
    """`namespace/service`."""
    return f"{_escape(topology.namespace)}/{_escape(topology.service)}"


def flavour_cluster(topology: Topology, flavour: FlavourTarget) -> str:
    """The cluster that routes point to: the flavour, then its fallbacks."""
    return f"{service_name(topology)}/{_escape(flavour.name)}"


def endpoint_cluster(topology: Topology, flavour: FlavourTarget) -> str:
    """The cluster that holds the flavour's own endpoints, and under which proxies count what it served."""
    return f"{flavour_cluster(topology, flavour)}/endpoints"


def runtime_prefix(topology: Topology) -> str:
    """Envoy reads a route's weights at `<prefix>.<cluster>`."""
    return f"{METADATA}.weight.{service_name(topology)}"


def runtime_key(topology: Topology, flavour: FlavourTarget) -> str:
    """Where Envoy looks for the weight of one flavour."""
    return f"{runtime_prefix(topology)}.{flavour_cluster(topology, flavour)}"


def _escape(part: str) -> str:
    """Percent-encode all but letters, digits, `-` and `_`; a dot would split a runtime key and a statistic's name."""
    return quote(part, safe="").replace(".", "%2E").replace("~", "%7E")
