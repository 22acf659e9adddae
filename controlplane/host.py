"""The engine and what it lives on: configuration, sources, stores, API. Proxies are somebody else's affair."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, Protocol

from controlplane.carbon import IssueArchive
from controlplane.catalogue import Catalogue, ServiceRequest, resolved
from controlplane.clock import Clock, clock_for
from controlplane.config import AnyConfig, AnyService, ConfigError
from controlplane.engine import Engine
from controlplane.feeds import Feeds
from controlplane.follow import Follower
from controlplane.intent import RoutingIntent
from controlplane.metrics import Instruments
from controlplane.planned import planned_service, planned_services
from controlplane.spec import ServiceSpec
from controlplane.statedir import StartError, make
from controlplane.store import FileStore, PreciousStore, StoreError
from controlplane.tasks import single_failures_bare
from xds import SyncRegistry

logger = logging.getLogger(__name__)

Put = Literal["created", "changed", "unchanged"]
_RESTART_FOR = ("gateway", "api", "state_dir", "rehearsal")


class DataPlane(Protocol):
    """What follows the engine's decisions."""

    @property
    def needs_endpoints(self) -> bool:
        """Whether it must know where flavours are and under which hosts a service is asked for."""
        ...

    @property
    def reports(self) -> bool:
        """Whether it reports what was served."""
        ...

    @property
    def sync(self) -> SyncRegistry:
        """Which proxies are connected, and how far each has come."""
        ...

    def publish(self, intents: Sequence[RoutingIntent], label: str) -> None:
        """Follow these."""
        ...

    def cluster_name(self, spec: ServiceSpec, flavour: str) -> str:
        """The name under which a proxy counts what a flavour served."""
        ...

    def counters(self) -> Mapping[str, int]:
        """Its own counters by name."""
        ...


class NoDataPlane:
    """Nobody follows but those who ask the API."""

    needs_endpoints = False
    reports = False

    def __init__(self) -> None:
        self.sync = SyncRegistry()

    def publish(self, intents: Sequence[RoutingIntent], label: str) -> None:
        """Nobody is told; whoever wants to know asks."""

    def cluster_name(self, spec: ServiceSpec, flavour: str) -> str:
        """No proxy reports; a name there must be."""
        return f"{spec.key}/{flavour}"

    def counters(self) -> Mapping[str, int]:
        """None."""
        return {}


class OwnedByFileError(Exception):
    """The service stands in the configuration file, and is changed there."""


class EngineHost:
    """The engine for the services of one configuration and those made over the API.

    Args:
        config: as loaded.
        plane: who follows.
        clock: the engine's time; by default the wall clock, or what the configuration rehearses.

    Raises:
        StartError: the state directory cannot be used.
        ConfigError: a file that is named cannot be used, or services do not go together.
    """

    def __init__(self, config: AnyConfig, plane: DataPlane, *, clock: Clock | None = None) -> None:
        self.config = config
        self.plane = plane
        self.follower: Follower | None = None
        self.listeners = 0
        self.clock = clock or clock_for(config.rehearsal)
        self.instruments = Instruments()
        make(config.state_dir)
        try:
            self._feeds = Feeds(
                self.clock,
                archive=IssueArchive(config.state_dir / "forecasts"),
                observed=FileStore(config.state_dir / "carbon"),
            )
            self.catalogue = Catalogue(PreciousStore(config.state_dir / "catalogue"))
            self.engine = Engine(
                clock=self.clock,
                publish=plane.publish,
                cluster_name=plane.cluster_name,
                store=FileStore(config.state_dir / "services"),
                refresh_s=config.gateway.refresh * self.clock.speed,
                instruments=self.instruments,
            )
        except OSError as error:
            raise StartError(f"state_dir {config.state_dir} cannot be used: {error.strerror}") from error
        except StoreError as error:
            raise StartError(str(error)) from error
        self._planned = planned_services(self._everything(config), config.gateway, self._feeds, clock=self.clock)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Decide while the context lasts; on the way out all books are saved and sources closed.

        Raises:
            StartError: saved books cannot be read.
        """
        try:
            self.engine.configure(self._planned)
        except StoreError as error:
            raise StartError(str(error)) from error
        try:
            with single_failures_bare():
                async with asyncio.TaskGroup() as tasks:
                    engine = tasks.create_task(self.engine.run())
                    try:
                        yield
                    finally:
                        engine.cancel()
        finally:
            await self._feeds.aclose()

    def counters(self) -> dict[str, int]:
        """Counters of what surrounds the engine, by name."""
        failures = 0 if self.follower is None else self.follower.failures
        return {"envoy_restarts": 0, **self.plane.counters(), "reload_failures": failures}

    async def reload(self, config: AnyConfig) -> None:
        """Go over to another configuration without touching what is unchanged.

        Raises:
            ConfigError: a named file cannot be used, or something changed that only a restart can change.
        """
        for section in _RESTART_FOR:
            if getattr(config, section) != getattr(self.config, section):
                raise ConfigError(f"{section} changed: restart carbonrouter for that; services are reloaded alone")
        services = self._everything(config)
        planned = planned_services(services, config.gateway, self._feeds, clock=self.clock)
        try:
            self.engine.configure(planned)
        except StoreError as error:
            raise ConfigError(str(error)) from error
        self.config = config
        self._close_unused()
        logger.info("configuration reloaded: %d service(s)", len(planned))

    def put_service(self, key: str, raw: dict[str, Any]) -> Put:
        """Make a service, or change one made before, as asked for in JSON; it outlives a restart.

        What was counted goes on under a changed service. Blocks for the disk.

        Raises:
            ValidationError: it is no request.
            ConfigError: it does not go together with what is configured.
            OwnedByFileError: it stands in the configuration file.
            OSError, StoreError: it cannot be kept, or its books cannot be read; nothing has changed then.
        """
        self._refuse_of_file(key)
        service = resolved(key, ServiceRequest.model_validate(raw), self.config.sources)
        sessions = self.engine.sessions.values()
        others = (each.spec.topology for each in sessions if each.spec.key != key)
        self._check_routed(service, taken={host.lower() for each in others for host in each.hosts})
        planned = planned_service(service, self.config.gateway, self._feeds, clock=self.clock)
        before = self.catalogue.get(key)
        changed = self.engine.put(planned, keep=lambda: self.catalogue.put(key, raw))
        self._close_unused()
        return "created" if before is None else "changed" if changed else "unchanged"

    def delete_service(self, key: str, *, forget: bool) -> None:
        """Serve it no more; its books are kept unless they are to be forgotten. Blocks for the disk.

        Raises:
            KeyError: there is no such service.
            OwnedByFileError: it stands in the configuration file.
            OSError: the disk refused.
        """
        if key not in self.engine.sessions:
            raise KeyError(key)
        self._refuse_of_file(key)
        if forget:
            # Before the catalogue: after a kill in between, the service is still there and can be forgotten again.
            self.engine.writer.delete(key)
        try:
            self.catalogue.delete(key)
        except OSError:
            self.engine.save(key)
            raise
        self.engine.drop(key, forget=forget)
        self._close_unused()

    def of_file(self, key: str) -> bool:
        """Whether the service stands in the configuration file."""
        return any(service.key == key for service in self.config.services)

    def _close_unused(self) -> None:
        named = {service.carbon for service in self.config.services}
        made = (self.config.sources.get(request.carbon) for request in self.catalogue)
        self._feeds.keep_only(named | {section for section in made if section is not None})

    def _everything(self, config: AnyConfig) -> list[AnyService]:
        ours = list(config.services)
        made = self.catalogue.services(config.sources, taken=[service.key for service in ours])
        taken = {host.lower() for service in ours for host in service.hosts}
        for service in made:
            self._check_routed(service, taken=taken)
            taken.update(host.lower() for host in service.hosts)
        return ours + made

    def _refuse_of_file(self, key: str) -> None:
        if self.of_file(key):
            raise OwnedByFileError(f"{key} stands in the configuration file; change it there")

    def _check_routed(self, service: AnyService, *, taken: set[str]) -> None:
        """Where a proxy of ours serves it, it must be found and must not be mistaken for those that have `taken`."""
        if not self.plane.needs_endpoints:
            return
        if lacking := [flavour.name for flavour in service.flavours if not flavour.endpoints]:
            raise ConfigError(
                f"{service.key}: flavours without endpoints: {', '.join(lacking)}; Envoy must know where to find them"
            )
        if doubled := sorted(taken & {host.lower() for host in service.hosts}):
            raise ConfigError(f"{service.key}: hosts {', '.join(doubled)} are another service's already")
