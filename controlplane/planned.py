"""From the configuration to what the engine works with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from controlplane import config
from controlplane.clock import Clock
from controlplane.config import ConfigError
from controlplane.demand import DemandForecast
from controlplane.feeds import Feeds, checked_trace
from controlplane.intent import Endpoint, FlavourTarget, Topology
from controlplane.spec import Planned, ServiceSpec
from scheduler import ControllerSettings, Flavour

# Real proxies split at random. Three deviations of one step's sampling noise are kept in reserve, which matters at
# the end of a window, when nothing later could make up for bad luck.
_SAMPLING_SIGMAS = 3.0


def planned_services(
    services: Iterable[config.AnyService], gateway: config.Gateway, feeds: Feeds, *, clock: Clock
) -> list[Planned]:
    """Every service with its feed.

    Raises:
        ConfigError: a file that is named cannot be used, or values do not go together.
    """
    return [planned_service(each, gateway, feeds, clock=clock) for each in services]


def planned_service(service: config.AnyService, gateway: config.Gateway, feeds: Feeds, *, clock: Clock) -> Planned:
    """One service with its feed; how long a decision holds is real time, whatever speed the clock has.

    Raises:
        ConfigError: a file that is named cannot be used, or values do not go together.
    """
    # Shorter than two refreshes it would end before it is renewed.
    valid_for_s = max(service.valid_for or gateway.ttl, 2 * gateway.refresh) * clock.speed
    try:
        return Planned(_spec(service, valid_for_s=valid_for_s), feeds.get(service.carbon))
    except ValueError as error:
        raise ConfigError(f"service {service.key}: {error}") from error


def endpoint(address: str) -> Endpoint:
    """`address:port`, already checked, in two parts."""
    host, _, port = address.rpartition(":")
    return Endpoint(host.removeprefix("[").removesuffix("]"), int(port))


def _spec(service: config.AnyService, *, valid_for_s: float) -> ServiceSpec:
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
        processing=service.processing,
        embodied_g={flavour.name: flavour.embodied_g for flavour in service.flavours},
    )


def load_demand(path: Path, *, scale: float) -> DemandForecast:
    """The recorded pattern in `path`.

    Raises:
        ConfigError: the file cannot be used.
    """
    trace = checked_trace(path)
    requests = trace.requests_actual if trace.requests_forecast is None else trace.requests_forecast
    if requests is None:
        raise ConfigError(f"{path}: has neither a requests_forecast nor a requests_actual column")
    return DemandForecast(trace.start_s, trace.slot_s, tuple(requests.tolist())).scaled(scale)
