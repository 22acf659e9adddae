"""The intents whose publication is kept in golden files, and a factory for others."""

from controlplane.intent import Endpoint, FlavourTarget, RoutingIntent, Topology
from controlplane.publishers.envoy import Gateway

LISTEN = Endpoint("127.0.0.1", 8080)
FOREVER_S = 4_102_444_800.0


def gateway(port: int = LISTEN.port) -> Gateway:
    """A gateway on the loopback."""
    return Gateway(listen=Endpoint(LISTEN.address, port), ttl_s=30.0)


def flavour(name: str, precision_pct: float, *addresses: str) -> FlavourTarget:
    """A flavour with one endpoint on port 9000 per address."""
    return FlavourTarget(
        name=name, precision_pct=precision_pct, endpoints=tuple(Endpoint(address, 9000) for address in addresses)
    )


def intent(topology: Topology, *weights: int) -> RoutingIntent:
    """Weights in the order of the topology's flavours, best first."""
    names = [each.name for each in topology.flavours]
    return RoutingIntent(topology, dict(zip(names, weights, strict=True)), FOREVER_S)


def topology(namespace: str, service: str, *hosts: str, flavours: tuple[FlavourTarget, ...] = ()) -> Topology:
    """Two flavours unless told otherwise."""
    return Topology(
        namespace, service, hosts, flavours or (flavour("high", 100, "10.0.0.1"), flavour("low", 80, "10.0.0.2"))
    )


GOLDEN = {
    "three_flavours": [
        intent(
            topology(
                "default",
                "carbonstat",
                "*",
                flavours=(
                    flavour("low", 86.6, "10.0.0.5"),
                    flavour("high", 100, "10.0.0.1", "10.0.0.2"),
                    flavour("mid", 95.5, "10.0.0.3"),
                ),
            ),
            2000,
            3000,
            5000,
        )
    ],
    "two_services": [
        intent(topology("shop.eu", "cart~v2/ü", "cart.example", "*.cart.example"), 10_000, 0),
        intent(
            topology(
                "default",
                "search",
                "search.example",
                flavours=(flavour("best", 99.5, "fd00::1"), flavour("v1.small_50%", 50, "::1", "10.0.0.9")),
            ),
            1,
            9_999,
        ),
    ],
    "no_endpoints": [
        intent(
            topology("default", "starting", "*", flavours=(flavour("high", 100), flavour("low", 80, "10.0.0.2"))),
            10_000,
            0,
        )
    ],
}
