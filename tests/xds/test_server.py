"""The gRPC server against a bare gRPC client, over a Unix socket.

Behaviours 1, 2, 3, 4, 5, 9, 41, 42, 43, and load reports.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import grpc
import grpc.aio
import pytest

from tests.support.dirs import short_directory
from tests.support.serving import Serving, serving
from tests.support.wait import eventually
from tests.xds.client import NODE, AdsCall, channel_to, contents, lrs_call
from tests.xds.worlds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, publish
from xds import SnapshotCache, XdsServer
from xds.proto import wire_pb2


@pytest.fixture
async def empty() -> AsyncIterator[Serving]:
    """A server that has nothing to serve yet."""
    with short_directory() as directory:
        async with serving(directory, report_every_s=2.5) as server:
            yield server
            # Whatever a test did, when its streams are gone nothing of them stays.
            await eventually(lambda: not server.proxies and not server.cache._watchers)


@pytest.fixture
def server(empty: Serving) -> Serving:
    """A server with one listener and one cluster."""
    publish(empty.cache, "first", listener={"a": 1}, cluster={"a": 1})
    return empty


@pytest.fixture
async def channel(empty: Serving) -> AsyncIterator[grpc.aio.Channel]:
    """A connection to that server."""
    async with channel_to(empty.address) as channel:
        yield channel


async def ended(call: grpc.aio.StreamStreamCall) -> tuple[grpc.StatusCode, str]:
    """How the server ends the stream; what it says before is read, since gRPC tells the end only then."""
    with suppress(grpc.aio.AioRpcError):
        while await call.read() is not grpc.aio.EOF:
            pass
    return await call.code(), await call.details()


async def test_the_node_is_named_once(server: Serving, channel: grpc.aio.Channel) -> None:
    """1: in the first request; later ones may omit it."""
    call = AdsCall(channel)
    await call.open(LISTENER)
    await call.ack(await call.receive())
    await call.send(CLUSTER)
    assert (await call.receive()).type_url == CLUSTER
    (proxy,) = server.proxies
    assert (proxy.node_id, proxy.node_cluster) == ("n1", "c1")


async def test_a_first_request_without_node_id_is_refused(server: Serving, channel: grpc.aio.Channel) -> None:
    """1: there would be nobody to speak of."""
    call = AdsCall(channel)
    await call.send(LISTENER)
    code, details = await ended(call.call)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "node.id" in details
    assert server.counters.refused_streams == 1


@pytest.mark.parametrize("later", [False, True])
async def test_a_request_without_type_url_is_refused(server: Serving, channel: grpc.aio.Channel, later: bool) -> None:
    """2: on an aggregated stream nothing else tells the type."""
    call = AdsCall(channel)
    if later:
        await call.open(LISTENER)
        await call.receive()
    await call.send("", node=NODE)
    code, details = await ended(call.call)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "type_url" in details


async def test_before_the_first_snapshot_the_server_is_unavailable(empty: Serving, channel: grpc.aio.Channel) -> None:
    """3: an empty world would delete everything a proxy has."""
    call = AdsCall(channel)
    code, _ = await ended(call.call)
    assert code is grpc.StatusCode.UNAVAILABLE
    publish(empty.cache, "first", listener={"a": 1})
    call = AdsCall(channel)
    await call.open(LISTENER)
    assert contents(await call.receive()) == {"a": b"1"}


async def test_an_unknown_type_is_counted_and_gets_no_reply(server: Serving, channel: grpc.aio.Channel) -> None:
    """4: and does not disturb the stream."""
    call = AdsCall(channel)
    await call.open("type.googleapis.com/envoy.extensions.Secret", "a")
    await call.send("type.googleapis.com/envoy.extensions.Secret", response_nonce="1")
    await call.send(LISTENER)
    assert (await call.receive()).type_url == LISTENER
    assert server.counters.unknown_types == 2
    assert server.counters.responses == 1


@pytest.mark.parametrize("politely", [True, False])
async def test_closing_a_stream_frees_all_of_it(server: Serving, channel: grpc.aio.Channel, politely: bool) -> None:
    """5: whether the client says so or just goes."""
    call = AdsCall(channel)
    await call.open(LISTENER)
    await call.receive()
    assert len(server.proxies) == len(server.cache._watchers) == 1
    if politely:
        await call.call.done_writing()
        assert (await ended(call.call))[0] is grpc.StatusCode.OK
    else:
        call.call.cancel()
    await eventually(lambda: not server.proxies and not server.cache._watchers)


async def test_a_connection_that_breaks_during_a_write_leaves_nothing(server: Serving) -> None:
    """5, 41: the server is in the midst of a response that nobody takes."""
    publish(server.cache, listener={f"n{i}": "x" * 2**20 for i in range(32)})
    async with channel_to(server.address) as channel:
        call = AdsCall(channel)
        await call.open(LISTENER)
        await eventually(lambda: server.counters.responses)
    await eventually(lambda: not server.proxies and not server.cache._watchers)


async def test_a_request_that_is_no_message_ends_its_stream_only(server: Serving, channel: grpc.aio.Channel) -> None:
    """5: garbage takes nothing else down."""
    healthy = AdsCall(channel)
    await healthy.open(LISTENER)
    await healthy.ack(await healthy.receive())
    path = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
    garbage = channel.stream_stream(path)()
    await garbage.write(b"\xff\xff\xff")
    assert await garbage.read() is grpc.aio.EOF
    publish(server.cache, "second", listener={"a": 2})
    assert (await healthy.receive()).system_version_info == "second"


async def test_two_streams_of_one_node_are_two(server: Serving) -> None:
    """5: a proxy reconnects while its old stream lingers; the old one's end must not take the new one with it."""
    async with channel_to(server.address) as new_channel:
        async with channel_to(server.address) as old_channel:
            calls = [AdsCall(old_channel), AdsCall(new_channel)]
            for call in calls:
                await call.open(LISTENER)
                await call.ack(await call.receive())
            assert [proxy.node_id for proxy in server.proxies] == ["n1", "n1"]
        await eventually(lambda: len(server.proxies) == 1)
        publish(server.cache, "second", listener={"a": 2})
        response = await calls[1].receive()
        assert contents(response) == {"a": b"2"}
        await calls[1].ack(response)
        await eventually(lambda: server.proxies[0].types[LISTENER].acked == "second")


async def test_a_rejection_is_kept_with_its_node_and_counted(server: Serving, channel: grpc.aio.Channel) -> None:
    """9: message, type and node, until something is accepted."""
    call = AdsCall(channel)
    await call.open(LISTENER)
    await call.nack(await call.receive(), "no such filter")
    await eventually(lambda: server.counters.nacks)
    (proxy,) = server.proxies
    assert proxy.rejected == {LISTENER: "no such filter"}
    publish(server.cache, "second", listener={"a": 2})
    await call.ack(await call.receive())
    await eventually(lambda: server.counters.acks)
    assert server.proxies[0].rejected == {}
    assert server.counters.nacks == 1


async def test_a_rejection_without_a_message_is_one(server: Serving, channel: grpc.aio.Channel) -> None:
    """9: the presence of error_detail decides; people are told that there is nothing to tell."""
    call = AdsCall(channel)
    await call.open(LISTENER)
    await call.nack(await call.receive(), "")
    await eventually(lambda: server.counters.nacks)
    assert server.proxies[0].rejected == {LISTENER: "no reason given"}
    assert server.counters.acks == 0


async def test_status_is_a_copy(server: Serving, channel: grpc.aio.Channel) -> None:
    """9: what was asked for once does not change in the hands of who asked."""
    call = AdsCall(channel)
    await call.open(LISTENER)
    response = await call.receive()
    before = server.proxies[0]
    await call.ack(response)
    await eventually(lambda: server.counters.acks)
    assert before.types[LISTENER].acked == ""


async def test_a_stalled_reader_gets_the_newest_and_not_all(server: Serving, channel: grpc.aio.Channel) -> None:
    """41: a second client, which reads, paces the publications; what the first has not taken is not queued."""
    size, publications = 2**18, 120
    stalled = AdsCall(channel)
    await stalled.open(LISTENER)
    async with channel_to(server.address) as other:
        reading = AdsCall(other)
        await reading.open(LISTENER)
        await reading.receive()
        for number in range(publications):
            publish(server.cache, str(number), listener={"a": f"{number:0{size}}"})
            await reading.ack(await reading.receive())
        await eventually(lambda: server.counters.acks == publications)
        for_stalled = server.counters.responses - publications - 1
        assert for_stalled < publications / 2, "the transport's own buffers hold a few"
        labels = []
        while labels[-1:] != [str(publications - 1)]:
            labels.append((await stalled.receive()).system_version_info)
        assert len(labels) <= for_stalled + 1, "what it takes now is what had left before, and the newest"
        assert len(set(labels)) == len(labels)


async def test_large_responses_arrive(server: Serving, channel: grpc.aio.Channel) -> None:
    """42: gRPC's default limit of 4 MB is the receiver's; we set none."""
    large = "x" * (6 * 2**20)
    publish(server.cache, listener={"a": large})
    call = AdsCall(channel)
    await call.open(LISTENER)
    assert contents(await call.receive()) == {"a": repr(large).encode()}


async def test_large_requests_are_taken(server: Serving, channel: grpc.aio.Channel) -> None:
    """42: a reconnecting proxy with thousands of resources names each of them."""
    versions = {f"name-{i:0100}": "0123456789abcdef" for i in range(50_000)}
    call = AdsCall(channel)
    await call.send(LISTENER, node=NODE, initial_resource_versions=versions)
    assert contents(await call.receive()) == {"a": b"1"}


async def test_stopping_ends_the_streams(server: Serving, channel: grpc.aio.Channel) -> None:
    """43: at once if told so, and nothing stays behind."""
    calls = [AdsCall(channel), AdsCall(channel)]
    for call in calls:
        await call.open(LISTENER)
        await call.receive()
    await server.server.stop(grace_s=0)
    for call in calls:
        assert (await ended(call.call))[0] in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    await eventually(lambda: not server.proxies and not server.cache._watchers)


async def test_streams_end_at_a_maximum_age(empty: Serving) -> None:
    """43: so that proxies spread over replicas; the client may come again at once."""
    with short_directory() as directory:
        async with serving(directory, max_age_s=0.05) as server, channel_to(server.address) as channel:
            publish(server.cache, listener={"a": 1})
            call = AdsCall(channel)
            await call.open(LISTENER)
            await call.receive()
            # gRPC asks the client to go; streams that stay are ended after a grace period, or with the connection.
            await eventually(lambda: channel.get_state() is not grpc.ChannelConnectivity.READY)
            again = AdsCall(channel)
            await again.open(LISTENER)
            assert contents(await again.receive()) == {"a": b"1"}


def test_an_address_that_is_taken_or_impossible_is_an_os_error() -> None:
    """The caller need not know gRPC's errors."""

    async def listen() -> None:
        server = XdsServer(SnapshotCache(), on_report=lambda _: None)
        with pytest.raises(OSError, match="cannot listen for proxies on unix:/nonexistent"):
            server.listen("unix:/nonexistent/directory/xds.sock")
        await server.stop(grace_s=0)

    asyncio.run(listen())


@pytest.mark.parametrize("interval_s", [0.0, -1.0])
def test_reporting_without_pause_is_refused(interval_s: float) -> None:
    """At an interval of 0 Envoy spins."""
    with pytest.raises(ValueError, match="report_every_s"):
        XdsServer(SnapshotCache(), on_report=lambda _: None, report_every_s=interval_s)


# --- load reports


def stats(cluster: str, *localities: tuple[int, int, int], seconds: int = 10) -> wire_pb2.ClusterStats:
    made = wire_pb2.ClusterStats(cluster_name=cluster)
    made.load_report_interval.FromSeconds(seconds)
    for succeeded, failed, in_progress in localities:
        locality = made.upstream_locality_stats.add(
            total_successful_requests=succeeded, total_error_requests=failed, total_requests_in_progress=in_progress
        )
        locality.load_metric_stats.add(
            metric_name="energy_j", num_requests_finished_with_metric=succeeded, total_metric_value=2.5 * succeeded
        )
    return made


async def test_proxies_are_asked_for_reports(empty: Serving, channel: grpc.aio.Channel) -> None:
    """The interval and all clusters, at once: it does not depend on there being a snapshot."""
    call = lrs_call(channel)
    await call.write(wire_pb2.LoadStatsRequest(node=NODE))
    answer = await call.read()
    assert answer.load_reporting_interval.ToTimedelta().total_seconds() == 2.5
    assert answer.send_all_clusters
    assert empty.reports == []


async def test_counting_begins_when_a_cluster_is_complete_and_before_it_is_used(
    server: Serving, channel: grpc.aio.Channel
) -> None:
    """A proxy counts a new cluster from the next period on, so one is begun for it."""
    publish(server.cache, cluster={"a": 1}, endpoints={"a": 1}, listener={"a": 1})
    load = lrs_call(channel)
    await load.write(wire_pb2.LoadStatsRequest(node=NODE))
    first = await load.read()
    call = AdsCall(channel)
    await call.open(CLUSTER)
    await call.send(LISTENER)
    await call.send(ENDPOINTS, "a")
    for made in (CLUSTER, ENDPOINTS):
        response = await call.receive()
        assert response.type_url == made
        await call.ack(response)
    assert await load.read() == first
    assert (await call.receive()).type_url == LISTENER


async def test_periods_may_be_begun_from_several_sides_at_once(empty: Serving, channel: grpc.aio.Channel) -> None:
    """gRPC allows one write at a time; a failed one would end the discovery stream that asked for it."""
    load = lrs_call(channel)
    await load.write(wire_pb2.LoadStatsRequest(node=NODE))
    await load.read()
    streams = empty.server._load_streams
    await asyncio.gather(*(streams.begin_period("n1") for _ in range(5)))
    for _ in range(5):
        assert (await load.read()).send_all_clusters


async def test_a_load_report_stream_that_ends_takes_nothing_else_down(
    empty: Serving, channel: grpc.aio.Channel
) -> None:
    """5: the discovery stream of the same proxy may write to it at that very moment."""
    load = lrs_call(channel)
    await load.write(wire_pb2.LoadStatsRequest(node=NODE))
    answer = await load.read()
    streams = empty.server._load_streams
    (write,) = streams._writers["n1"]
    load.cancel()
    await eventually(lambda: not streams._writers)
    await write(answer)
    await streams.begin_period("n1")


async def test_counts_are_summed_over_localities(empty: Serving, channel: grpc.aio.Channel) -> None:
    """Per cluster; metrics with their counts."""
    call = lrs_call(channel)
    request = wire_pb2.LoadStatsRequest(node=NODE, cluster_stats=[stats("a", (3, 1, 2), (4, 0, 1)), stats("b")])
    await call.write(request)
    await eventually(lambda: empty.reports)
    (report,) = empty.reports
    assert (report.node_id, report.interval_s) == ("n1", 10.0)
    load = report.clusters["a"]
    assert (load.succeeded, load.failed, load.in_progress) == (7, 1, 3)
    assert load.metrics == {"energy_j": (7, 17.5)}
    assert report.clusters["b"].succeeded == 0


async def test_the_node_of_the_first_report_is_remembered(empty: Serving, channel: grpc.aio.Channel) -> None:
    """Later ones may leave it out; each report stands for itself."""
    call = lrs_call(channel)
    await call.write(wire_pb2.LoadStatsRequest(node=NODE))
    for count in (1, 2):
        await call.write(wire_pb2.LoadStatsRequest(cluster_stats=[stats("a", (count, 0, 0))]))
    await eventually(lambda: len(empty.reports) == 2)
    assert [(each.node_id, each.clusters["a"].succeeded) for each in empty.reports] == [("n1", 1), ("n1", 2)]


async def test_a_report_of_nobody_is_refused(empty: Serving, channel: grpc.aio.Channel) -> None:
    """Its counts could not be told from another proxy's."""
    call = lrs_call(channel)
    await call.write(wire_pb2.LoadStatsRequest(cluster_stats=[stats("a", (1, 0, 0))]))
    assert (await ended(call))[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert empty.reports == []


async def test_reports_end_with_their_stream(empty: Serving) -> None:
    """Without a trace, and the next stream begins anew."""
    async with channel_to(empty.address) as channel:
        call = lrs_call(channel)
        await call.write(wire_pb2.LoadStatsRequest(node=NODE, cluster_stats=[stats("a", (1, 0, 0))]))
        await eventually(lambda: empty.reports)
    async with channel_to(empty.address) as channel:
        call = lrs_call(channel)
        await call.write(wire_pb2.LoadStatsRequest(cluster_stats=[stats("a", (1, 0, 0))]))
        assert (await ended(call))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_only_what_is_asked_for_is_served(server: Serving, channel: grpc.aio.Channel) -> None:
    """25: a name that does not exist is answered over the wire as removed."""
    call = AdsCall(channel)
    await call.open(ROUTE, "z")
    response = await call.receive()
    assert (list(response.removed_resources), list(response.resources)) == (["z"], [])
