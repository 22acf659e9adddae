"""The routes of one service: pinned flavours first, then the weighted split."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from envoy_data_plane.envoy.config.core.v3 import (
    DataSource,
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
)
from envoy_data_plane.envoy.config.route.v3 import (
    DirectResponseAction,
    HeaderMatcher,
    RetryPolicy,
    RetryPolicyRetryBackOff,
    RetryPolicyRetryPriority,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
    WeightedCluster,
    WeightedClusterClusterWeight,
)
from envoy_data_plane.envoy.extensions.retry.priority.previous_priorities.v3 import PreviousPrioritiesConfig
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher

from controlplane.intent import FLAVOUR_HEADER, PIN_HEADER, TOTAL_WEIGHT, FlavourTarget, Topology
from controlplane.publishers.envoy import names
from xds import pack

# RFC 9110, section 9.2.2. What is not on this list may have had its effect before the connection broke, so it is
# tried again only where the request surely was not processed.
_IDEMPOTENT = "GET|HEAD|OPTIONS|TRACE|PUT|DELETE"
_RETRY_IDEMPOTENT = "connect-failure,refused-stream,reset,gateway-error,retriable-status-codes"
_RETRY_OTHERS = "connect-failure,refused-stream,reset-before-request"
_ORCA_HEADERS = ["endpoint-load-metrics", "endpoint-load-metrics-bin"]


def virtual_host(topology: Topology) -> VirtualHost:
    """Everything the gateway does with the requests of one service."""
    return VirtualHost(
        name=names.service_name(topology),
        domains=list(topology.hosts),
        routes=list(_routes(topology)),
        response_headers_to_add=[_set_header(FLAVOUR_HEADER, f"%UPSTREAM_METADATA({names.METADATA}:flavour)%")],
        response_headers_to_remove=_ORCA_HEADERS,
    )


def _routes(topology: Topology) -> Iterator[Route]:
    for flavour in topology.flavours:
        pinned = RouteAction(cluster=names.flavour_cluster(topology, flavour))
        yield from _by_method(f"pin-{flavour.pin}", topology, pinned, _pinned_to(flavour))
    yield _unknown_pin(topology)
    yield from _by_method("split", topology, RouteAction(weighted_clusters=_split(topology)))


def _by_method(name: str, topology: Topology, action: RouteAction, *headers: HeaderMatcher) -> Iterator[Route]:
    """The same action twice: retried freely for idempotent methods, with care for the others."""
    method = HeaderMatcher(name=":method", string_match=StringMatcher(safe_regex=RegexMatcher(regex=_IDEMPOTENT)))
    for suffix, matchers, retry_on in (
        ("idempotent", [*headers, method], _RETRY_IDEMPOTENT),
        ("other", list(headers), _RETRY_OTHERS),
    ):
        yield Route(
            name=f"{name}/{suffix}",
            match=RouteMatch(prefix="/", headers=matchers),
            route=RouteAction(
                cluster=action.cluster,
                weighted_clusters=action.weighted_clusters,
                timeout=timedelta(seconds=topology.timeout_s),
                retry_policy=_retry_policy(topology, retry_on),
            ),
        )


def _pinned_to(flavour: FlavourTarget) -> HeaderMatcher:
    """An exact match: a client names a quality we offer, never a cluster. `precision-85` is the older spelling."""
    regex = f"(precision-)?{re.escape(flavour.pin)}"
    return HeaderMatcher(name=PIN_HEADER, string_match=StringMatcher(safe_regex=RegexMatcher(regex=regex)))


def _unknown_pin(topology: Topology) -> Route:
    offered = ", ".join(flavour.pin for flavour in topology.flavours)
    body = f"{PIN_HEADER} must name a precision in percent that {topology.service} offers: {offered}\n"
    return Route(
        name="pin-unknown",
        match=RouteMatch(prefix="/", headers=[HeaderMatcher(name=PIN_HEADER, present_match=True)]),
        direct_response=DirectResponseAction(status=400, body=DataSource(inline_string=body)),
    )


def _split(topology: Topology) -> WeightedCluster:
    """Safe weights, all on the best flavour; the runtime layer overrides them for as long as it is renewed."""
    return WeightedCluster(
        runtime_key_prefix=names.runtime_prefix(topology),
        clusters=[
            WeightedClusterClusterWeight(
                name=names.flavour_cluster(topology, flavour),
                weight=TOTAL_WEIGHT if flavour is topology.best else 0,
            )
            for flavour in topology.flavours
        ],
    )


def _retry_policy(topology: Topology, retry_on: str) -> RetryPolicy:
    """Each retry moves on to the next flavour in the fallback order."""
    return RetryPolicy(
        retry_on=retry_on,
        retriable_status_codes=[503],
        num_retries=max(2, len(topology.flavours)),
        retry_priority=RetryPolicyRetryPriority(
            name="envoy.retry_priorities.previous_priorities",
            typed_config=pack(PreviousPrioritiesConfig(update_frequency=1)),
        ),
        retry_back_off=RetryPolicyRetryBackOff(
            base_interval=timedelta(milliseconds=10), max_interval=timedelta(milliseconds=100)
        ),
    )


def _set_header(name: str, value: str) -> HeaderValueOption:
    return HeaderValueOption(
        header=HeaderValue(key=name, value=value),
        append_action=HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )
