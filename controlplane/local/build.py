"""From the configuration file to what the engine works with."""

from __future__ import annotations

from pathlib import Path

from controlplane.carbon import CarbonFeed, CarbonSource, FileSource, GbSource, IssueArchive
from controlplane.clock import Clock
from controlplane.demand import DemandForecast
from controlplane.engine import Planned
from controlplane.intent import Endpoint, FlavourTarget, Topology
from controlplane.local import config
from controlplane.local.config import ConfigError
from controlplane.session import ServiceSpec
from controlplane.traces import read_trace
from scheduler import ControllerSettings, Flavour, Trace, TraceError

# Real proxies split at random. Three deviations of one step's sampling noise are kept in reserve, which matters at
# the end of a window, when nothing later could make up for bad luck.
_SAMPLING_SIGMAS = 3.0


class Feeds:
    """One feed per distinct carbon section, shared by the services that name it and kept over reloads."""

    def __init__(self, clock: Clock, *, archive: IssueArchive | None = None) -> None:
        self._clock = clock
        self._archive = archive
        self._feeds: dict[config.FileCarbon | config.GbCarbon, CarbonFeed] = {}

    def get(self, section: config.FileCarbon | config.GbCarbon) -> CarbonFeed:
        """The feed for one section, made when first asked for."""
        if section not in self._feeds:
            self._feeds[section] = CarbonFeed(_source(section), clock=self._clock, archive=self._archive_for(section))
        return self._feeds[section]

    def _archive_for(self, section: config.FileCarbon | config.GbCarbon) -> IssueArchive | None:
        """A recorded file was issued long ago; only what comes from a provider is worth keeping."""
        return None if isinstance(section, config.FileCarbon) else self._archive

    async def keep_only(self, sections: set[config.FileCarbon | config.GbCarbon]) -> None:
        """Close the feeds nobody names any more."""
        for section in self._feeds.keys() - sections:
            await self._feeds.pop(section).aclose()


def planned_services(settings: config.Config, feeds: Feeds, *, clock_speed: float = 1.0) -> list[Planned]:
    """Every service with its feed; `clock_speed` is that of the engine's clock.

    Raises:
        ConfigError: a file that is named cannot be used, or values do not go together.
    """
    valid_for_s = settings.gateway.ttl * clock_speed
    return [_planned(service, feeds, valid_for_s=valid_for_s) for service in settings.services]


def endpoint(address: str) -> Endpoint:
    """`address:port`, already checked, in two parts."""
    host, _, port = address.rpartition(":")
    return Endpoint(host.removeprefix("[").removesuffix("]"), int(port))


def _planned(service: config.Service, feeds: Feeds, *, valid_for_s: float) -> Planned:
    try:
        return Planned(_spec(service, valid_for_s=valid_for_s), feeds.get(service.carbon))
    except ValueError as error:
        raise ConfigError(f"service {service.namespace}/{service.name}: {error}") from error


def _spec(service: config.Service, *, valid_for_s: float) -> ServiceSpec:
    budget = service.budget
    settings = ControllerSettings(
        max_error=budget.max_error_pct / 100,
        window=budget.budget_window(),
        policy=service.policy,
        constraints=None if service.constraints is None else service.constraints.demanded(),
        guard=None if budget.guard_pct is None else budget.guard_pct / 100,
        sampling_sigmas=_SAMPLING_SIGMAS,
    )
    targets = tuple(
        FlavourTarget(
            name=flavour.name,
            precision_pct=flavour.precision_pct,
            endpoints=tuple(endpoint(address) for address in flavour.endpoints),
        )
        for flavour in service.flavours
    )
    return ServiceSpec(
        topology=Topology(service.namespace, service.name, service.hosts, targets, service.timeout),
        flavours=tuple(
            Flavour(name=flavour.name, error=1 - flavour.precision_pct / 100, energy_j=flavour.energy_j)
            for flavour in service.flavours
        ),
        settings=settings,
        valid_for_s=valid_for_s,
        demand=None if service.demand is None else load_demand(service.demand.path, scale=service.demand.scale),
    )


def load_demand(path: Path, *, scale: float) -> DemandForecast:
    """The recorded pattern in `path`.

    Raises:
        ConfigError: the file cannot be used.
    """
    trace = _checked_trace(path)
    requests = trace.requests_actual if trace.requests_forecast is None else trace.requests_forecast
    if requests is None:
        raise ConfigError(f"{path}: has neither a requests_forecast nor a requests_actual column")
    return DemandForecast(trace.start_s, trace.slot_s, tuple(requests.tolist())).scaled(scale)


def _checked_trace(path: Path) -> Trace:
    try:
        return read_trace(path)
    except TraceError as error:
        raise ConfigError(str(error)) from error


def _source(section: config.FileCarbon | config.GbCarbon) -> CarbonSource:
    if isinstance(section, config.FileCarbon):
        _checked_trace(section.path)  # a mistake in the configuration is said at once, not in a status later
        return FileSource(section.path, repeat=section.repeat)
    return GbSource(region_id=section.region_id, postcode=section.postcode, base_url=section.base_url)
