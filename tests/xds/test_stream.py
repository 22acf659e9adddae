"""One stream between a session and a transport that does what the test says: stalls, floods, ends.

Behaviours 5, 13, 41, and the moment in which deletions begin (34). The transport is a pair of queues, so each
situation is brought about exactly; test_server.py has the same over gRPC.
"""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.wait import eventually
from tests.xds.worlds import CLUSTER, LISTENER, publish
from xds import BadRequestError, Snapshot, SnapshotCache
from xds.proto import wire_pb2
from xds.stream import DeltaStream
from xds.syncstatus import SyncRegistry

NODE = wire_pb2.Node(id="n1")


class Transport:
    """The client's side of a stream; `flowing` is cleared to stall its reading."""

    def __init__(self) -> None:
        self.requests: asyncio.Queue[wire_pb2.DeltaDiscoveryRequest | None] = asyncio.Queue()
        self.responses: asyncio.Queue[wire_pb2.DeltaDiscoveryResponse] = asyncio.Queue()
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.writing = asyncio.Event()

    async def read(self) -> wire_pb2.DeltaDiscoveryRequest | None:
        return await self.requests.get()

    async def write(self, response: wire_pb2.DeltaDiscoveryResponse) -> None:
        self.writing.set()
        await self.flowing.wait()
        self.responses.put_nowait(response)

    def send(self, type_url: str = LISTENER, **fields: object) -> None:
        self.requests.put_nowait(wire_pb2.DeltaDiscoveryRequest(type_url=type_url, **fields))

    def ack(self, response: wire_pb2.DeltaDiscoveryResponse) -> None:
        self.send(response.type_url, response_nonce=response.nonce)


class Served:
    """A stream being served, and the world it serves."""

    def __init__(self) -> None:
        self.cache = SnapshotCache()
        self.registry = SyncRegistry()
        self.transport = Transport()
        self.new_clusters: list[str] = []
        publish(self.cache, "first", listener={"a": 1}, cluster={"a": 1})

    async def serve(self) -> None:
        await DeltaStream(self.transport, self.cache, self.registry, on_new_clusters=self.note_new_clusters).serve()

    async def note_new_clusters(self, node_id: str) -> None:
        assert self.transport.responses.empty(), "traffic is sent to clusters before they are told of"
        self.new_clusters.append(node_id)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["asyncio.Task[None]"]:
        task = asyncio.create_task(self.serve())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def is_forgotten(self) -> bool:
        return not self.registry.proxies() and not self.cache._watchers


@pytest.fixture
def served() -> Served:
    return Served()


def snapshots_alive() -> int:
    gc.collect()
    return sum(isinstance(each, Snapshot) for each in gc.get_objects())


async def test_a_stream_ends_when_the_client_has_nothing_more_to_say(served: Served) -> None:
    """5: what it has asked until then is answered; nothing of it stays."""
    served.transport.send(node=NODE)
    served.transport.requests.put_nowait(None)
    await served.serve()
    assert served.transport.responses.get_nowait().type_url == LISTENER
    assert served.is_forgotten()


async def test_a_stream_ends_when_its_last_words_arrive_while_it_waits(served: Served) -> None:
    """5: request and end come in one go, long after the beginning; nothing else would wake the stream again."""
    loop = asyncio.get_running_loop()
    served.transport.send(node=NODE)
    async with served.running() as task:
        served.transport.ack(await served.transport.responses.get())
        publish(served.cache, "without", cluster={"a": 1})
        served.transport.ack(await served.transport.responses.get())  # the deletion: the first moments are over
        await eventually(lambda: served.registry.counters.acks == 2)
        served.transport.send(CLUSTER)
        served.transport.requests.put_nowait(None)
        async with asyncio.timeout_at(loop.time() + 5):
            await task
    assert served.is_forgotten()


async def test_a_stream_that_is_cancelled_leaves_nothing(served: Served) -> None:
    """5: as when the connection breaks, in the midst of a write too."""
    served.transport.flowing.clear()
    served.transport.send(node=NODE)
    async with served.running():
        await served.transport.writing.wait()
        assert served.registry.proxies()
    assert served.is_forgotten()


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ({"type_url": LISTENER}, "node.id"),
        ({"type_url": LISTENER, "node": wire_pb2.Node(cluster="c")}, "node.id"),
        ({"type_url": "", "node": NODE}, "type_url"),
    ],
)
async def test_a_client_that_breaks_the_protocol_leaves_nothing(
    served: Served, first: dict[str, object], message: str
) -> None:
    """1, 2, 5: it is told what was wrong."""
    served.transport.send(**first)
    with pytest.raises(BadRequestError, match=message):
        await served.serve()
    assert served.is_forgotten()


async def test_a_stalled_reader_has_one_response_pending_and_then_gets_the_newest(served: Served) -> None:
    """13, 41: publications are not queued; what they held is not kept."""
    served.transport.send(node=NODE)
    async with served.running():
        served.transport.ack(await served.transport.responses.get())
        await eventually(lambda: served.registry.counters.acks)
        served.transport.flowing.clear()
        served.transport.writing.clear()
        publish(served.cache, listener={"a": 2})
        await served.transport.writing.wait()
        before = snapshots_alive()
        for content in range(3, 200):
            publish(served.cache, str(content), listener={"a": content})
            await asyncio.sleep(0)  # let the stream do what it can
        assert served.registry.counters.responses == 2, "the first, and the one that waits"
        assert snapshots_alive() <= before + 1
        served.transport.flowing.set()
        await served.transport.responses.get()
        newest = await served.transport.responses.get()
        assert newest.system_version_info == "199"
        assert served.registry.counters.responses == 3


async def test_a_stalled_reader_that_goes_on_asking_is_slowed_down(served: Served) -> None:
    """41: its requests are not hoarded either."""
    served.transport.flowing.clear()
    served.transport.send(node=NODE)
    async with served.running():
        await served.transport.writing.wait()
        for _ in range(1000):
            served.transport.send(resource_names_subscribe=["a"])
        await eventually(lambda: served.transport.requests.qsize() < 1000)
        for _ in range(100):
            await asyncio.sleep(0)
        assert served.transport.requests.qsize() > 900
        served.transport.flowing.set()
        await eventually(served.transport.requests.empty)


async def test_an_unsubscription_that_arrives_during_a_write_saves_the_response(served: Served) -> None:
    """22: requests are taken between any two responses."""
    transport = served.transport
    transport.flowing.clear()
    transport.send(LISTENER, node=NODE)
    async with served.running():
        await transport.writing.wait()
        transport.send(CLUSTER, resource_names_subscribe=["a"])
        transport.send(CLUSTER, resource_names_unsubscribe=["a"])
        transport.send("unknown")
        await eventually(transport.requests.empty)
        transport.flowing.set()
        await eventually(lambda: served.registry.counters.unknown_types)
        assert (await transport.responses.get()).type_url == LISTENER
        assert transport.responses.empty()


async def test_deletions_wait_for_the_first_moments_to_pass_and_then_come_by_themselves(served: Served) -> None:
    """34: a reconnecting proxy repeats its subscriptions type by type; nothing else happens meanwhile."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    served.transport.send(node=NODE, initial_resource_versions={"gone": "1"})
    async with served.running():
        first = await served.transport.responses.get()
        assert not first.removed_resources
        served.transport.ack(first)
        second = await served.transport.responses.get()
        assert list(second.removed_resources) == ["gone"]
        assert loop.time() - began >= 0.25


async def test_new_clusters_are_told_of_before_anything_uses_them(served: Served) -> None:
    """34: once they are accepted, and before the listener leaves."""
    transport = served.transport
    transport.send(CLUSTER, node=NODE)
    transport.send(LISTENER)
    async with served.running():
        response = await transport.responses.get()
        assert (response.type_url, served.new_clusters) == (CLUSTER, [])
        transport.ack(response)
        response = await transport.responses.get()
        assert (response.type_url, served.new_clusters) == (LISTENER, ["n1"])
