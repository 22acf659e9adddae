"""`carbonrouter up`: configuration, engine, xDS server, Envoy and status endpoint, from start to clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_fixed
from watchfiles import awatch

from controlplane.api.app import create_app
from controlplane.api.server import serving
from controlplane.carbon import IssueArchive
from controlplane.clock import Clock, SystemClock
from controlplane.config import Config, ConfigError, load_config
from controlplane.engine import Engine, Planned
from controlplane.feeds import Feeds
from controlplane.intent import RoutingIntent
from controlplane.local.envoy import EnvoyFiles, EnvoyProcess, find_left_over
from controlplane.metrics import registry_for
from controlplane.planned import endpoint, planned_services
from controlplane.publishers.envoy import Bootstrap, Gateway, endpoint_cluster, envoy_snapshot
from controlplane.session import ServiceSpec
from controlplane.status import engine_status
from controlplane.store import FileStore, StoreError
from xds import LoadReport, SnapshotCache, TypeStatus, TypeUrl, XdsServer

logger = logging.getLogger(__name__)

# The kernel's limit on the path of a Unix socket, less the longest name we put into the directory.
_MAX_STATE_DIR = 107 - len("/envoy-admin.sock")


_LISTENING_S = 10.0
_LAST_REPORT_S = 2.0


# What tells one version of a file from another; None while there is no file.
FileVersion = tuple[int, int, int] | None


class RuntimeStartError(Exception):
    """The runtime cannot start; the message says what to do."""


class Runtime:
    """Everything that runs on one machine for one configuration.

    Args:
        config: as loaded.
        clock: the engine's time, which slots, windows and carbon follow. What concerns the proxy (refresh, TTL,
            report interval) is in real seconds.
    """

    def __init__(self, config: Config, *, clock: Clock | None = None) -> None:
        self.config = config
        self.reload_failures = 0
        self._clock = clock or SystemClock()
        self._cache = SnapshotCache()
        self._feeds = Feeds(
            self._clock,
            archive=IssueArchive(config.state_dir / "forecasts"),
            observed=FileStore(config.state_dir / "carbon"),
        )
        self._planned = planned_services(config, self._feeds, clock_speed=self._clock.speed)
        _make(config.state_dir)
        self._gateway = Gateway(listen=endpoint(config.gateway.listen), ttl_s=config.gateway.ttl)
        self.engine = Engine(
            clock=self._clock,
            publish=self._publish,
            cluster_name=_cluster_name,
            store=FileStore(config.state_dir / "services"),
            refresh_s=config.gateway.refresh * self._clock.speed,
        )
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

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve traffic while the context lasts; on the way out requests in flight are finished and books saved.

        Raises:
            RuntimeStartError, EnvoyError: before anything is left running.
        """
        with exclusive(self.config.state_dir):
            self._configure(self._planned)
            async with contextlib.AsyncExitStack() as stack:
                stack.enter_context(_single_failures_bare())
                stack.push_async_callback(self._feeds.keep_only, set())
                await self._serve_xds(stack)
                await self._serve_status(stack)
                stack.push_async_callback(self.envoy.stop)
                async with asyncio.TaskGroup() as tasks:
                    engine = tasks.create_task(self.engine.run())
                    try:
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
                    finally:
                        engine.cancel()

    async def reload_on_change(self, path: Path, *, loaded: FileVersion) -> None:
        """Follow the configuration file; one that is broken is reported and the last good one stays in force.

        `loaded` is the version in force. Besides the system's notices, which do not come from every file system, nor
        for what happens before we listen, the file is looked at every second.
        """
        watched = awatch(path.parent, recursive=False, rust_timeout=1000, yield_on_timeout=True, debounce=200)
        async for _ in watched:
            found = file_version(path)
            if found == loaded:
                continue
            loaded = found
            try:
                await self.reload(load_config(path))
            except ConfigError as error:
                self.reload_failures += 1
                logger.error("the changed configuration is not used:\n%s", error)  # noqa: TRY400
            except Exception:
                # A mistake of ours in reading a file must not end the traffic of those that are right.
                self.reload_failures += 1
                logger.exception("the changed configuration is not used")

    async def reload(self, config: Config) -> None:
        """Go over to another configuration without touching what is unchanged.

        Raises:
            ConfigError: a named file cannot be used, or something changed that only a restart can change.
        """
        for section in ("gateway", "status", "state_dir"):
            if getattr(config, section) != getattr(self.config, section):
                raise ConfigError(f"{section} changed: restart `carbonrouter up` for that; services are reloaded alone")
        planned = planned_services(config, self._feeds, clock_speed=self._clock.speed)
        try:
            self.engine.configure(planned)
        except StoreError as error:
            raise ConfigError(str(error)) from error
        self.config = config
        await self._feeds.keep_only({service.carbon for service in config.services})
        logger.info("configuration reloaded: %d service(s)", len(planned))

    def _configure(self, planned: Sequence[Planned]) -> None:
        try:
            self.engine.configure(planned)
        except StoreError as error:
            raise RuntimeStartError(str(error)) from error

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

    def _publish(self, intents: Sequence[RoutingIntent], label: str) -> None:
        self._cache.publish(envoy_snapshot(self._gateway, intents, label=label))

    def _check_port(self) -> None:
        """Envoys share a port without complaint, so another's must be found before ours starts."""
        if find_left_over(EnvoyFiles(self.config.state_dir)) is not None:
            return
        listen = self._gateway.listen
        family = socket.AF_INET6 if ":" in listen.address else socket.AF_INET
        try:
            socket.create_server((listen.address, listen.port), family=family).close()
        except OSError as error:
            raise RuntimeStartError(
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
            raise RuntimeStartError(
                f"envoy does not listen on {self._gateway.listen} after {_LISTENING_S:g} s"
            ) from None
        if status.nack:
            raise RuntimeStartError(f"envoy cannot listen on {self._gateway.listen}, set gateway.listen: {status.nack}")

    async def _answered_listener(self) -> TypeStatus | None:
        types = [proxy.types.get(TypeUrl.LISTENER) for proxy in self.server.registry.proxies()]
        return next((status for status in types if status is not None and (status.acked or status.nack)), None)

    def _own_counters(self) -> dict[str, int]:
        return {"envoy_restarts": self.envoy.restarts, "reload_failures": self.reload_failures}

    async def _serve_xds(self, stack: contextlib.AsyncExitStack) -> None:
        path = self.config.state_dir / "xds.sock"
        path.unlink(missing_ok=True)
        try:
            self.server.listen(f"unix:{path}")
        except OSError as error:
            raise RuntimeStartError(str(error)) from error
        await self.server.start()
        stack.push_async_callback(self.server.stop)

    async def _serve_status(self, stack: contextlib.AsyncExitStack) -> None:
        app = create_app(
            status=lambda: engine_status(self.engine, self.server.registry.proxies()),
            registry=registry_for(self.engine, self.server, runtime=self._own_counters),
            ready=lambda: self._cache.current is not None,
        )
        listen = endpoint(self.config.status.listen)
        try:
            await stack.enter_async_context(serving(app, listen))
        except OSError as error:
            raise RuntimeStartError(f"cannot serve status on {listen}: {error.strerror}; set status.listen") from error


def file_version(path: Path) -> FileVersion:
    """The version of a file as it is now."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@contextlib.contextmanager
def _single_failures_bare() -> Iterator[None]:
    """A task group wraps even a single failure; whoever starts us wants that failure itself."""
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise


def _make(state_dir: Path) -> None:
    if len(str(state_dir)) > _MAX_STATE_DIR:
        raise RuntimeStartError(
            f"state_dir {state_dir} is too long: sockets are made in it, and their paths may have 107 characters"
        )
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RuntimeStartError(f"state_dir {state_dir} cannot be used: {error.strerror}") from error


@contextlib.contextmanager
def exclusive(state_dir: Path) -> Iterator[None]:
    """Keep a second control plane from the same books and the same Envoy.

    Raises:
        RuntimeStartError: another one has them.
    """
    try:
        descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise RuntimeStartError(f"state_dir {state_dir} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RuntimeStartError(
            f"another carbonrouter runs with state_dir {state_dir}; stop it, or set another state_dir"
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def _cluster_name(spec: ServiceSpec, flavour: str) -> str:
    target = next(each for each in spec.topology.flavours if each.name == flavour)
    return endpoint_cluster(spec.topology, target)
