"""What may be published, and what a publication tells streams. Behaviours 12, 38, 40."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import xds
from tests.support.properties import deterministic
from tests.xds.worlds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, RUNTIME, cluster, publish, resource, world
from xds import InconsistentSnapshotError, Resource, ResourceKey, Snapshot, SnapshotCache, TypeUrl


def test_a_snapshot_holds_what_it_was_given() -> None:
    resources = [cluster("a"), resource(ENDPOINTS, "a"), resource(ROUTE, "a")]
    snapshot = Snapshot(resources, label="g1")
    assert len(snapshot) == 3
    assert snapshot.label == "g1"
    assert snapshot.resources(CLUSTER) == {"a": resources[0]}
    assert snapshot.resources(LISTENER) == {}


def test_a_snapshot_cannot_be_changed() -> None:
    resources = world(route={"a": 1}).resources(ROUTE)
    with pytest.raises(TypeError):
        resources["b"] = resource(ROUTE, "b")


def test_dangling_references_are_refused_and_all_are_named() -> None:
    """38: the same name in another type does not count."""
    with pytest.raises(InconsistentSnapshotError) as caught:
        Snapshot([cluster("a"), cluster("b"), cluster("fine"), resource(ENDPOINTS, "fine"), resource(ROUTE, "a")])
    assert str(caught.value) == (
        "Cluster 'a' needs ClusterLoadAssignment 'a', which is missing; "
        "Cluster 'b' needs ClusterLoadAssignment 'b', which is missing"
    )


def test_duplicates_are_refused_and_all_are_named() -> None:
    """18, 38: equal content is no excuse."""
    with pytest.raises(InconsistentSnapshotError) as caught:
        Snapshot([resource(ROUTE, "a"), resource(ROUTE, "a"), resource(ROUTE, "b"), resource(ROUTE, "b", 2)])
    assert str(caught.value) == (
        "two resources are named RouteConfiguration 'a'; two resources are named RouteConfiguration 'b'"
    )


def test_duplicates_and_dangling_references_are_named_together() -> None:
    """38: one look is enough to repair it."""
    with pytest.raises(InconsistentSnapshotError, match=r"needs .* which is missing; two resources are named"):
        Snapshot([cluster("a"), resource(ROUTE, "a"), resource(ROUTE, "a")])


def test_one_name_in_two_types_is_no_duplicate() -> None:
    assert len(world(route={"a": 1}, listener={"a": 1})) == 2


def test_references_may_come_in_any_order_and_form_circles() -> None:
    there, back = ResourceKey(ROUTE, "a"), ResourceKey(LISTENER, "a")
    snapshot = Snapshot([resource(LISTENER, "a", needs=[there]), resource(ROUTE, "a", needs=[back])])
    assert len(snapshot) == 2


def test_nothing_is_published_before_the_first_time() -> None:
    """3: which is not the same as an empty world."""
    cache = SnapshotCache()
    assert cache.current is None
    assert publish(cache).tokens == {type_url: {} for type_url in TypeUrl}


def test_types_in_which_nothing_changed_keep_their_tokens() -> None:
    """Streams skip a type by the identity of this mapping, so an equal copy would cost every stream a comparison."""
    cache = SnapshotCache()
    before = publish(cache, listener={"a": 1}, route={"a": 1}, runtime={"a": 1}).tokens
    after = publish(cache, listener={"a": 1}, route={"a": 2}, runtime={"a": 1}).tokens
    for type_url in (LISTENER, CLUSTER, ENDPOINTS):
        assert after[type_url] is before[type_url]
    assert after[ROUTE].keys() == before[ROUTE].keys()
    assert after[ROUTE] != before[ROUTE]
    assert before[RUNTIME] != after[RUNTIME], "40: publishing renews what has a TTL"


@pytest.mark.parametrize("changed", [{}, {"a": 1, "b": 1}, {"b": 1}, {"a": 2}])
def test_a_change_back_is_a_change(changed: dict[str, object]) -> None:
    cache = SnapshotCache()
    tokens = [publish(cache, route=each).tokens[ROUTE] for each in ({"a": 1}, changed, {"a": 1})]
    assert tokens[0] == tokens[2] != tokens[1]
    assert all(earlier is not later for earlier, later in pairwise(tokens))


def test_watchers_are_woken_while_they_watch() -> None:
    cache = SnapshotCache()
    woken: list[str] = []
    with cache.watched(lambda: woken.append("outer")):
        with cache.watched(lambda: woken.append("inner")):
            publish(cache)
        publish(cache)
    publish(cache)
    assert sorted(woken) == ["inner", "outer", "outer"]


def test_a_watcher_may_leave_when_woken() -> None:
    """A stream that ends in answer to a publication must not disturb the others."""
    cache = SnapshotCache()
    woken: list[int] = []
    contexts = [cache.watched(lambda i=i: (woken.append(i), contexts[i].__exit__(None, None, None))) for i in range(3)]
    for context in contexts:
        context.__enter__()
    publish(cache)
    publish(cache)
    assert sorted(woken) == [0, 1, 2]


@deterministic
@given(content=st.binary(), name=st.text(), ttl_s=st.none() | st.floats(0.001, 1e6))
def test_the_envelope_holds_what_it_was_given(content: bytes, name: str, ttl_s: float | None) -> None:
    made = Resource.of(ResourceKey(ROUTE, name), content, ttl_s=ttl_s)
    read = made.read()
    assert (read.name, read.version, read.resource.type_url, read.resource.value) == (
        name,
        made.version,
        ROUTE,
        content,
    )
    assert read.HasField("ttl") is (ttl_s is not None)
    if ttl_s is not None:
        assert read.ttl.ToNanoseconds() / 1e9 == pytest.approx(ttl_s, abs=1e-9)


@deterministic
@given(st.sets(st.binary(), min_size=2, max_size=20))
def test_versions_tell_contents_apart(contents: set[bytes]) -> None:
    """12."""
    versions = {Resource.of(ResourceKey(ROUTE, "a"), content).version for content in contents}
    assert len(versions) == len(contents)


def test_a_version_depends_on_the_content_alone() -> None:
    """12: not on name, time-to-live or what it needs."""
    versions = {
        Resource.of(ResourceKey(CLUSTER, name), b"content", needs=needs, ttl_s=ttl_s).version
        for name in ("a", "b")
        for ttl_s in (None, 3.0)
        for needs in ((), [ResourceKey(ENDPOINTS, "a")])
    }
    assert len(versions) == 1


def test_a_version_is_the_same_in_every_process() -> None:
    """12: after a restart and on another replica; Python's own hashes are not."""
    source = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from xds import *\n"
        "print(Resource.of(ResourceKey(TypeUrl.ROUTE, 'a'), b'content').version)"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(xds.__file__).parents[1],
        env={"PYTHONHASHSEED": "7"},
    )
    assert elsewhere.stdout.strip() == Resource.of(ResourceKey(ROUTE, "a"), b"content").version
