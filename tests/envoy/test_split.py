"""Real requests through a real Envoy are split as commanded, pinned as asked, and counted exactly."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from scipy.stats import chisquare

from controlplane.intent import FLAVOUR_HEADER, PIN_HEADER, Endpoint, FlavourTarget, RoutingIntent, Topology
from controlplane.publishers.envoy import Bootstrap, Gateway, endpoint_cluster, envoy_snapshot
from tests.support.backends import Backend, running_backends
from tests.support.dirs import short_directory
from tests.support.envoy import running_envoy
from tests.support.ports import HOST, reserved_port
from tests.support.serving import Serving, serving
from tests.support.wait import eventually

PRECISIONS = {"high": 100.0, "mid": 95.5, "low": 86.6}
# The chance that a correct split fails a test: one in a hundred thousand.
UNLIKELY = 1e-5


@dataclass(frozen=True, slots=True)
class Gate:
    """A gateway in front of three flavours."""

    url: str
    topology: Topology
    gateway: Gateway
    serving: Serving
    session: aiohttp.ClientSession

    async def follow(self, label: str, **weights: int) -> None:
        """Command a split and wait until the proxy has accepted it."""
        intent = RoutingIntent(self.topology, weights, valid_until_s=0.0)
        self.serving.cache.publish(envoy_snapshot(self.gateway, [intent], label=label))
        await eventually(lambda: any(self._accepted(label)))

    def _accepted(self, label: str) -> list[bool]:
        return [status.acked == label for proxy in self.serving.proxies for status in proxy.types.values()]

    async def ask(self, count: int, *, headers: Mapping[str, str] | None = None, method: str = "GET") -> Counter[str]:
        """Who answered `count` requests, by the body, which only the backend writes."""
        answers: Counter[str] = Counter()

        async def one() -> None:
            async with self.session.request(method, self.url, headers=headers) as response:
                body = (await response.text()) if response.status == 200 else str(response.status)
                assert response.headers.get(FLAVOUR_HEADER, body) == body
                assert "endpoint-load-metrics" not in response.headers
                answers[body] += 1

        for _ in range(0, count, 50):
            await asyncio.gather(*(one() for _ in range(min(50, count))))
        return answers


@asynccontextmanager
async def gate() -> AsyncIterator[Gate]:
    """A real Envoy, fed by our xDS server, in front of three backends that report energy."""
    backends = [Backend(name, energy_j=2.5) for name in PRECISIONS]
    with short_directory() as folder, reserved_port() as port:
        async with running_backends(*backends), serving(folder, report_every_s=0.2) as served:
            topology = Topology("default", "shop", ("*",), tuple(_target(each) for each in backends))
            gateway = Gateway(listen=Endpoint(HOST, port), ttl_s=60.0)
            bootstrap = Bootstrap(node_id="one", xds_socket=served.socket, admin_socket=str(folder / "admin.sock"))
            async with running_envoy(bootstrap, folder), aiohttp.ClientSession() as session:
                opened = Gate(f"http://{HOST}:{port}/", topology, gateway, served, session)
                await opened.follow("first", high=10_000, mid=0, low=0)
                await eventually(lambda: served.accepted("first"))
                yield opened


def _target(backend: Backend) -> FlavourTarget:
    endpoint = Endpoint(HOST, backend.port)
    return FlavourTarget(name=backend.name, precision_pct=PRECISIONS[backend.name], endpoints=(endpoint,))


async def test_the_measured_split_is_the_commanded_one() -> None:
    async with gate() as opened:
        for label, weights in (
            ("mixed", {"high": 2000, "mid": 3000, "low": 5000}),
            ("other", {"high": 7000, "mid": 2500, "low": 500}),
        ):
            await opened.follow(label, **weights)
            answers = await opened.ask(4000)
            observed = [answers[name] for name in weights]
            test = chisquare(observed, [4000 * weight / 10_000 for weight in weights.values()])
            print(f"commanded {weights}, measured {observed}, chi-square {test.statistic:.2f}, p {test.pvalue:.3f}")
            assert test.pvalue > UNLIKELY
        await opened.follow("all", high=0, mid=0, low=10_000)
        assert await opened.ask(200) == {"low": 200}


async def test_load_reports_hold_every_answer_and_its_energy() -> None:
    async with gate() as opened:
        await opened.follow("mixed", high=2000, mid=3000, low=5000)
        answers = await opened.ask(500)

        def reported() -> Counter[str]:
            counts: Counter[str] = Counter()
            for report in opened.serving.reports:
                for flavour in opened.topology.flavours:
                    load = report.clusters.get(endpoint_cluster(opened.topology, flavour))
                    if load is not None:
                        counts[flavour.name] += load.succeeded
            return counts

        await eventually(lambda: reported() == answers)
        joules = sum(
            total
            for report in opened.serving.reports
            for load in report.clusters.values()
            for _, total in load.metrics.values()
        )
        assert joules == pytest.approx(2.5 * 500)


PINS = {
    "100": "high",
    "95.5": "mid",
    "86.6": "low",
    "precision-86.6": "low",
    "86": "400",
    "low": "400",
    "default/shop/low": "400",
    "86.6,100": "400",
    "8606": "400",
    "": "400",
}


async def test_a_client_may_pin_a_precision_that_is_offered_and_nothing_else() -> None:
    async with gate() as opened:
        for pin, answer in PINS.items():
            for method in ("GET", "POST"):
                answers = await opened.ask(3, headers={PIN_HEADER: pin}, method=method)
                assert answers == {answer: 3}, f"{method} pinned to {pin!r}"
