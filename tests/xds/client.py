"""A bare gRPC client of the discovery and load reporting services, one call at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio

from xds import TypeUrl
from xds.proto import wire_pb2

_ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
_LRS = "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats"

NODE = wire_pb2.Node(id="n1", cluster="c1")


class AdsCall:
    """One aggregated delta stream."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        make = channel.stream_stream(
            _ADS,
            request_serializer=wire_pb2.DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=wire_pb2.DeltaDiscoveryResponse.FromString,
        )
        self.call = make()

    async def send(self, type_url: str, *subscribe: str, **fields: object) -> None:
        """Send one request; other fields by name."""
        await self.call.write(
            wire_pb2.DeltaDiscoveryRequest(type_url=type_url, resource_names_subscribe=subscribe, **fields)
        )

    async def open(self, type_url: TypeUrl = TypeUrl.LISTENER, *subscribe: str, node_id: str = "n1") -> None:
        """Send a first request."""
        await self.send(type_url, *subscribe, node=wire_pb2.Node(id=node_id, cluster="c1"))

    async def receive(self) -> wire_pb2.DeltaDiscoveryResponse:
        """The next response, of which there must be one."""
        response = await self.call.read()
        assert isinstance(response, wire_pb2.DeltaDiscoveryResponse), "the server has ended the stream"
        return response

    async def ack(self, response: wire_pb2.DeltaDiscoveryResponse) -> None:
        """Accept `response`."""
        await self.send(response.type_url, response_nonce=response.nonce)

    async def nack(self, response: wire_pb2.DeltaDiscoveryResponse, message: str) -> None:
        """Reject `response`."""
        error = wire_pb2.Status(code=3, message=message)
        await self.send(response.type_url, response_nonce=response.nonce, error_detail=error)


def lrs_call(channel: grpc.aio.Channel) -> grpc.aio.StreamStreamCall:
    """One load reporting stream."""
    return channel.stream_stream(
        _LRS,
        request_serializer=wire_pb2.LoadStatsRequest.SerializeToString,
        response_deserializer=wire_pb2.LoadStatsResponse.FromString,
    )()


@asynccontextmanager
async def channel_to(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A connection of its own, without a limit on what it takes."""
    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield channel


def contents(response: wire_pb2.DeltaDiscoveryResponse) -> dict[str, bytes]:
    """What a response holds, by name."""
    resources = map(wire_pb2.Resource.FromString, response.resources)
    return {resource.name: resource.resource.value for resource in resources}
