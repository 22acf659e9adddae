"""What must hold of every publication: names, weights, references, refusals, and that little work is done twice."""

import re
import string
from collections.abc import Mapping
from typing import Any

import betterproto2
import pytest
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.clusters.aggregate.v3 import ClusterConfig
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controlplane.intent import PIN_HEADER, TOTAL_WEIGHT, IntentError, RoutingIntent, Topology, best_only
from controlplane.publishers.envoy import clusters, envoy_snapshot, names, routes, world
from controlplane.publishers.envoy.runtime import runtime_resource
from tests.publishers.intents import FOREVER_S, flavour, gateway, intent, topology
from tests.support.properties import deterministic
from xds import Snapshot, TypeUrl, encode
from xds.proto import wire_pb2

parts = st.text(min_size=1, max_size=253) | st.text(alphabet="ab./~%-_2EF", min_size=1, max_size=8)
identities = st.tuples(parts, parts, parts)
label_names = st.text(alphabet=string.ascii_lowercase + string.digits + ".-", min_size=1, max_size=20)


def names_of(namespace: str, service: str, name: str) -> dict[str, str]:
    which = flavour(name, 100)
    of = topology(namespace, service, "*", flavours=(which,))
    return {
        "cluster": names.flavour_cluster(of, which),
        "endpoints": names.endpoint_cluster(of, which),
        "runtime": names.runtime_key(of, which),
    }


@deterministic
@given(one=identities, other=identities)
@example(one=("a", "b/c", "d"), other=("a/b", "c", "d"))
@example(one=("a", "b.c", "d"), other=("a", "b%2Ec", "d"))
@example(one=("a", "b", "c/endpoints"), other=("a", "b/c", "endpoints"))
@example(one=("a", "b~c", "d"), other=("a", "b%7Ec", "d"))
@example(one=("ü" * 253, "b", "c"), other=("ü" * 252, "b", "c"))
def test_names_are_unique_for_distinct_identities(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    """39."""
    first, second = names_of(*one), names_of(*other)
    assert (first == second) is (one == other)
    if one != other:
        assert not set(first.values()) & set(second.values())
    assert len(set(first.values())) == 3


@deterministic
@given(identities)
def test_names_hold_nothing_that_means_something_to_envoy(identity: tuple[str, str, str]) -> None:
    """A dot would split a runtime key or a statistic's name."""
    made = names_of(*identity)
    for name in (made["cluster"], made["endpoints"]):
        assert re.fullmatch(r"[A-Za-z0-9_%/-]+", name)
    assert made["runtime"].count(".") == 3


def test_names_do_not_depend_on_what_stands_beside() -> None:
    """39: an index would give them to others when the list changes."""
    high, low = flavour("high", 100), flavour("low", 80)
    alone, both = (topology("d", "s", "*", flavours=each) for each in ((low,), (high, low)))
    assert names.endpoint_cluster(alone, low) == names.endpoint_cluster(both, low)
    assert names.runtime_key(alone, low) == names.runtime_key(both, low)


@st.composite
def intents(draw: st.DrawFn) -> list[RoutingIntent]:
    """Up to four services, each with hosts of its own and up to four flavours."""
    made = []
    services = draw(st.lists(st.tuples(label_names, label_names), min_size=1, max_size=4, unique=True))
    for number, (namespace, service) in enumerate(services):
        flavours = draw(
            st.lists(
                st.builds(
                    flavour,
                    label_names,
                    st.integers(1, 1000).map(lambda tenths: tenths / 10),
                    st.sampled_from(["10.0.0.1", "fd00::1"]),
                ),
                min_size=1,
                max_size=4,
                unique_by=(lambda each: each.name, lambda each: each.precision_pct),
            )
        )
        cuts = sorted(
            draw(st.lists(st.integers(0, TOTAL_WEIGHT), min_size=len(flavours) - 1, max_size=len(flavours) - 1))
        )
        weights = [high - low for low, high in zip([0, *cuts], [*cuts, TOTAL_WEIGHT], strict=True)]
        made.append(intent(topology(namespace, service, f"{number}.example", flavours=tuple(flavours)), *weights))
    return made


def runtime_layer(snapshot: Snapshot) -> dict[str, float]:
    (resource,) = snapshot.resources(TypeUrl.RUNTIME).values()
    layer = wire_pb2.Runtime.FromString(resource.read().resource.value).layer
    return {key: value.number_value for key, value in layer.fields.items()}


def route_configuration(snapshot: Snapshot) -> RouteConfiguration:
    (resource,) = snapshot.resources(TypeUrl.ROUTE).values()
    return RouteConfiguration.parse(resource.read().resource.value)


def named_clusters(configuration: RouteConfiguration) -> set[str]:
    """Every cluster that any route may choose."""
    found = set()
    for host in configuration.virtual_hosts:
        for action in (route.route for route in host.routes):
            if action is not None and action.cluster:
                found.add(action.cluster)
            if action is not None and action.weighted_clusters is not None:
                found |= {each.name for each in action.weighted_clusters.clusters}
    return found


@settings(deterministic, max_examples=40)
@given(intents())
def test_weights_in_the_runtime_layer_are_the_intents(made: list[RoutingIntent]) -> None:
    """All of them, zeros too, at the very keys that Envoy derives from the routes."""
    snapshot = envoy_snapshot(gateway(), made, label="")
    layer = runtime_layer(snapshot)
    by_host = {host.name: host for host in route_configuration(snapshot).virtual_hosts}
    assert sum(layer.values()) == TOTAL_WEIGHT * len(made)
    for each in made:
        splits = [
            route.route.weighted_clusters
            for route in by_host[names.service_name(each.topology)].routes
            if route.route is not None and route.route.weighted_clusters is not None
        ]
        assert splits
        for split in splits:
            read_by_envoy = [layer[f"{split.runtime_key_prefix}.{cluster.name}"] for cluster in split.clusters]
            assert read_by_envoy == [each.weights[flavour.name] for flavour in each.topology.flavours]
            assert [cluster.weight for cluster in split.clusters][1:] == [0] * (len(split.clusters) - 1)
            assert split.clusters[0].weight == TOTAL_WEIGHT, "without the layer, all goes to the best"


@settings(deterministic, max_examples=40)
@given(intents())
def test_everything_referred_to_exists(made: list[RoutingIntent]) -> None:
    """38: read from the content, not from what our resources say they need."""
    snapshot = envoy_snapshot(gateway(), made, label="")
    existing = snapshot.resources(TypeUrl.CLUSTER)
    configuration = route_configuration(snapshot)
    assert len(configuration.virtual_hosts) == len(made), "concatenated, all are there"
    referred = named_clusters(configuration)
    for name, resource in existing.items():
        cluster = Cluster.parse(resource.read().resource.value)
        assert cluster.name == name
        if cluster.eds_cluster_config is not None:
            assert name in snapshot.resources(TypeUrl.ENDPOINTS)
        if cluster.cluster_type is not None:
            aggregate = cluster.cluster_type.typed_config.unpack()
            assert isinstance(aggregate, ClusterConfig)
            referred |= set(aggregate.clusters)
    assert referred == set(existing), "and nothing exists that nobody refers to"


def test_fallbacks_go_to_the_better_first() -> None:
    """A failure must not break the promise made to users."""
    of = topology("d", "s", "*", flavours=tuple(flavour(name, pct) for name, pct in (("a", 99), ("b", 90), ("c", 80))))
    snapshot = envoy_snapshot(gateway(), [best_only(of, valid_until_s=FOREVER_S)], label="")
    orders = {}
    for name in "abc":
        resource = snapshot.resources(TypeUrl.CLUSTER)[f"d/s/{name}"]
        cluster_type = Cluster.parse(resource.read().resource.value).cluster_type
        assert cluster_type is not None
        orders[name] = [member.split("/")[2] for member in cluster_type.typed_config.unpack().clusters]
    assert orders == {"a": ["a", "b", "c"], "b": ["b", "a", "c"], "c": ["c", "b", "a"]}


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"high": 10_000},
        {"high": 10_000, "other": 0},
        {"high": 5_000, "low": 5_000, "other": 0},
        {"high": 10_001, "low": -1},
        {"high": float("nan"), "low": 10_000},
        {"high": 5_000.0, "low": 5_000},
        {"high": True, "low": 9_999},
        {"high": 0, "low": 0},
        {"high": 5_000, "low": 4_999},
        {"high": 5_000, "low": 5_001},
        {"high": None, "low": 10_000},
        {"high": "5000", "low": 5_000},
    ],
    ids=str,
)
def test_bad_weights_never_leave(weights: Mapping[str, Any]) -> None:
    """A sum of 0 gives 404s and is acknowledged all the same, so it has to be caught here."""
    with pytest.raises(IntentError):
        RoutingIntent(topology("d", "s", "*"), weights, FOREVER_S)


@pytest.mark.parametrize(
    ("first", "second"),
    [(("*",), ("*",)), (("a", "b"), ("c", "b")), (("A.example",), ("a.EXAMPLE",)), (("a", "A"), ("b",))],
)
def test_two_claims_on_one_host_are_refused(first: tuple[str, ...], second: tuple[str, ...]) -> None:
    """Envoy would reject the routes of all services; it compares in lower case."""
    made = [intent(topology("d", "one", *first), 10_000, 0), intent(topology("d", "two", *second), 10_000, 0)]
    with pytest.raises(IntentError, match=r"claimed.*d/one"):
        envoy_snapshot(gateway(), made, label="")


def test_the_same_weights_are_the_same_version() -> None:
    """12: in whatever order they come; a map on the wire has no order of its own."""
    made = [intent(topology("d", f"s{i}", f"s{i}.example"), i, TOTAL_WEIGHT - i) for i in range(50)]
    turned = [RoutingIntent(each.topology, dict(reversed(each.weights.items())), FOREVER_S) for each in reversed(made)]
    assert runtime_resource(made, ttl_s=1).version == runtime_resource(turned, ttl_s=1).version


def test_one_change_among_a_thousand_costs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights cost no serialisation at all, a topology only its own; all else is the very same object."""
    encoded: list[object] = []

    def counting(message: betterproto2.Message) -> bytes:
        encoded.append(message)
        return encode(message)

    monkeypatch.setattr(clusters, "encode", counting)
    monkeypatch.setattr(world, "encode", counting)
    only = (flavour("high", 100, "10.0.0.1"),)
    many = [topology("thousand", f"s{i}", f"s{i}.example", flavours=only) for i in range(1000)]

    def publish(topologies: list[Topology]) -> Snapshot:
        encoded.clear()
        return envoy_snapshot(gateway(), [best_only(each, valid_until_s=FOREVER_S) for each in topologies], label="")

    first = publish(many)
    a_service = 4  # aggregate, cluster, assignment, virtual host
    shared = 1  # the head of the route configuration
    assert len(encoded) == 1000 * a_service + shared
    again = publish([topology("thousand", f"s{i}", f"s{i}.example", flavours=only) for i in range(1000)])
    assert len(encoded) == shared, "equal topologies, made anew"
    changed = many.copy()
    changed[500] = topology("thousand", "s500", "s500.example", flavours=(flavour("high", 100, "10.0.0.7"),))
    after = publish(changed)
    assert len(encoded) == a_service + shared
    for type_url in (TypeUrl.CLUSTER, TypeUrl.ENDPOINTS):
        before_, again_, after_ = (each.resources(type_url) for each in (first, again, after))
        assert all(again_[name] is each for name, each in before_.items())
        moved = [name for name, each in before_.items() if after_[name].version != each.version]
        assert moved == (["thousand/s500/high/endpoints"] if type_url is TypeUrl.ENDPOINTS else [])


def test_pins_are_exact() -> None:
    """A client names a quality we offer; the dot of 95.5 is no wildcard."""
    of = topology("d", "s", "*", flavours=(flavour("high", 100), flavour("mid", 95.5)))
    patterns = {
        header.string_match.safe_regex.regex
        for route in routes.virtual_host(of).routes
        for header in (route.match.headers if route.match else [])
        if header.name == PIN_HEADER and header.string_match and header.string_match.safe_regex
    }
    values = ("100", "95.5", "precision-95.5", "95x5", "1000", "d/s/mid")
    accepted = [value for value in values if any(re.fullmatch(pattern, value) for pattern in patterns)]
    assert accepted == ["100", "95.5", "precision-95.5"]
