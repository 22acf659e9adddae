"""`carbonrouter up`: the engine, the xDS server and an Envoy on one machine, from start to clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_fixed

from controlplane.api import serve_api
from controlplane.clock import Clock
from controlplane.config import Config, load_config
from controlplane.engine import Engine
from controlplane.host import EngineHost
from controlplane.intent import RoutingIntent
from controlplane.local.envoy import EnvoyFiles, EnvoyProcess, find_left_over
from controlplane.planned import endpoint
from controlplane.publishers.envoy import Bootstrap, Gateway, endpoint_cluster, envoy_snapshot
from controlplane.spec import ServiceSpec
from controlplane.statedir import StartError, exclusive, make
from controlplane.tasks import single_failures_bare
from xds import LoadReport, SnapshotCache, SyncRegistry, TypeStatus, TypeUrl, XdsServer

logger = logging.getLogger(__name__)

_LISTENING_S = 10.0
_LAST_REPORT_S = 2.0


class Runtime:
    """Everything that runs on one machine for one configuration; to the engine, the data plane.

    Args:
        config: as loaded.
        clock: the engine's time, which slots, windows and carbon follow. What concerns the proxy (refresh, TTL,
            report interval) is in real seconds.
    """

    needs_endpoints = True
    reports = True

    def __init__(self, config: Config, *, clock: Clock | None = None) -> None:
        self.config = config
        self._cache = SnapshotCache()
        self._gateway = Gateway(listen=endpoint(config.gateway.listen), ttl_s=config.gateway.ttl)
        self._reported = asyncio.Event()
        self.server = XdsServer(self._cache, on_report=self._on_report, report_every_s=config.gateway.report_every)
        self.envoy = EnvoyProcess(
            EnvoyFiles(config.state_dir),
            Bootstrap(
                node_id="carbonrouter-local",
                xds_socket=str(config.state_dir / "xds.sock"),
                admin_socket=str(config.state_dir / "envoy-admin.sock"),
            ),
            concurrency=config.gateway.concurrency,
        )
        self._clock = clock
        self._host: EngineHost | None = None

    @property
    def host(self) -> EngineHost:
        """The engine and what it lives on; there while it runs."""
        if self._host is None:
            raise RuntimeError("the runtime is not running")
        return self._host

    @property
    def engine(self) -> Engine:
        """Who decides; there while it runs."""
        return self.host.engine

    @property
    def sync(self) -> SyncRegistry:
        """Which proxies are connected, and how far each has come."""
        return self.server.registry

    def publish(self, intents: Sequence[RoutingIntent], label: str) -> None:
        """Have Envoy follow these."""
        self._cache.publish(envoy_snapshot(self._gateway, intents, label=label))

    def cluster_name(self, spec: ServiceSpec, flavour: str) -> str:
        """The name under which Envoy counts what a flavour served."""
        target = next(each for each in spec.topology.flavours if each.name == flavour)
        return endpoint_cluster(spec.topology, target)

    def counters(self) -> Mapping[str, int]:
        """How often Envoy had to be started again."""
        return {"envoy_restarts": self.envoy.restarts}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve traffic while the context lasts; on the way out requests in flight are finished and books saved.

        Raises:
            ConfigError, StartError, EnvoyError: before anything is left running.
        """
        make(self.config.state_dir)
        with exclusive(self.config.state_dir):
            # Within: what it reads here, another that is just ending must not write any more.
            self._host = EngineHost(self.config, self, clock=self._clock)
            async with contextlib.AsyncExitStack() as stack:
                stack.enter_context(single_failures_bare())
                await self._serve_xds(stack)
                stack.push_async_callback(self.envoy.stop)
                await stack.enter_async_context(self.host.running())
                await stack.enter_async_context(serve_api(self.host))
                async with asyncio.TaskGroup() as tasks:
                    self._check_port()
                    await self.envoy.start()
                    if self.envoy.adopted:
                        self.engine.resume()
                    await self.envoy.wait_ready()
                    await self._listening()
                    keeper = tasks.create_task(self.envoy.keep_running())
                    try:
                        yield
                    finally:
                        keeper.cancel()
                        await self._wind_down()

    async def reload(self, path: Path) -> None:
        """Go over to what the file says now; ConfigError if that cannot be."""
        config = load_config(path, Config)
        await self.host.reload(config)
        self.config = config

    def _on_report(self, report: LoadReport) -> None:
        self.engine.on_report(report)
        self._reported.set()

    async def _wind_down(self) -> None:
        """Let requests in flight finish, and enter them into the books before Envoy and the engine end."""
        await self.envoy.drain()
        if not self.server.registry.proxies():
            return
        self._reported.clear()
        await self.server.ask_for_reports()
        try:
            async with asyncio.timeout(_LAST_REPORT_S):
                await self._reported.wait()
        except TimeoutError:
            logger.warning("envoy's last report does not come; what it served since the one before is not counted")

    def _check_port(self) -> None:
        """Envoys share a port without complaint, so another's must be found before ours starts."""
        if find_left_over(EnvoyFiles(self.config.state_dir)) is not None:
            return
        listen = self._gateway.listen
        family = socket.AF_INET6 if ":" in listen.address else socket.AF_INET
        try:
            socket.create_server((listen.address, listen.port), family=family).close()
        except OSError as error:
            raise StartError(
                f"envoy cannot listen on {listen}, set gateway.listen: {os.strerror(error.errno or 0)}"
            ) from error

    async def _listening(self) -> None:
        """Wait for Envoy to accept its listener, or say why it does not: most often the port is taken."""
        answered = AsyncRetrying(
            retry=retry_if_result(lambda status: status is None),
            stop=stop_after_delay(_LISTENING_S),
            wait=wait_fixed(0.02),
        )
        try:
            status: TypeStatus = await answered(self._answered_listener)
        except RetryError:
            raise StartError(f"envoy does not listen on {self._gateway.listen} after {_LISTENING_S:g} s") from None
        if status.nack:
            raise StartError(f"envoy cannot listen on {self._gateway.listen}, set gateway.listen: {status.nack}")

    async def _answered_listener(self) -> TypeStatus | None:
        types = [proxy.types.get(TypeUrl.LISTENER) for proxy in self.server.registry.proxies()]
        return next((status for status in types if status is not None and (status.acked or status.nack)), None)

    async def _serve_xds(self, stack: contextlib.AsyncExitStack) -> None:
        path = self.config.state_dir / "xds.sock"
        path.unlink(missing_ok=True)
        try:
            self.server.listen(f"unix:{path}")
        except OSError as error:
            raise StartError(str(error)) from error
        await self.server.start()
        stack.push_async_callback(self.server.stop)
