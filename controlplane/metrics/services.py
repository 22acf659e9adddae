"""What each service's session tells: decisions, counts, settled emissions, the promise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from controlplane.accounting import SCENARIOS, Scenario
from controlplane.metrics.catalogue import INTENSITIES
from controlplane.metrics.exposition import Exposition
from controlplane.metrics.feeds import FEED, values
from controlplane.processing import speed_of

if TYPE_CHECKING:  # the engine holds instruments of this package
    from controlplane.session import ServiceSession

_SERVICE = ("namespace", "service")
_FLAVOUR = (*_SERVICE, "flavour")
_SCENARIO = (*_SERVICE, "scenario")


def tell_decisions(told: Exposition, sessions: Iterable[ServiceSession], now_s: float) -> None:
    """What was decided, and how often; weights while they are in force."""
    info = told.rows("service_info", *_SERVICE, "policy", *FEED)
    weights = told.rows("flavour_weight", *_FLAVOUR)
    until = told.rows("schedule_valid_until_timestamp_seconds", *_SERVICE)
    precision = told.rows("expected_precision_ratio", *_SERVICE)
    intensity = told.rows("carbon_intensity_g_per_kwh", *_SERVICE)
    commanded = told.rows("commanded_seconds_total", *_FLAVOUR)
    decisions = told.rows("decisions_total", *_SERVICE, "policy")
    failures = told.rows("decision_failures_total", *_SERVICE)
    for session in sessions:
        service = labels(session)
        info.add([*service, session.spec.settings.policy, *values(session.feed.identity)], 1)
        failures.add(service, session.failures)
        for policy, count in session.tally.decisions.items():
            decisions.add([*service, policy], count)
        for flavour in session.spec.flavours:
            commanded.add([*service, flavour.name], session.tally.commanded_s.get(flavour.name, 0.0))
        if session.intent is not None:
            until.add(service, session.intent.valid_until_s)
            in_force = session.intent.weights if session.intent.valid_until_s > now_s else {}
            for name, weight in in_force.items():
                weights.add([*service, name], weight)
        if (decision := session.decision) is not None:
            precision.add(service, 1.0 - decision.expected_error)
            if decision.reasons.carbon_now_g_per_kwh is not None:
                intensity.add(service, decision.reasons.carbon_now_g_per_kwh)


def tell_served(told: Exposition, sessions: Iterable[ServiceSession]) -> None:
    """What was answered, by whom, and what it took; counted since the process began."""
    requests = told.rows("requests_total", *_FLAVOUR)
    failed = told.rows("failed_attempts_total", *_FLAVOUR)
    errors = told.rows("error_requests_total", *_SERVICE)
    joules = told.rows("energy_joules_total", *_FLAVOUR)
    reported = told.rows("reported_energy_joules_total", *_FLAVOUR)
    reporting = told.rows("reported_energy_requests_total", *_FLAVOUR)
    for session in sessions:
        service = labels(session)
        errors.add(service, session.tally.error_requests)
        for name, totals in session.totals.items():
            flavour = [*service, name]
            requests.add(flavour, totals.served)
            failed.add(flavour, totals.failed)
            joules.add(flavour, session.tally.energy_j.get(name, 0.0))
            reported.add(flavour, totals.metered_j)
            reporting.add(flavour, totals.metered_requests)


def tell_settled(told: Exposition, sessions: Iterable[ServiceSession]) -> None:
    """Totals by slot, kept over restarts; a series is there, at zero, before it first moves."""
    requests = told.rows("settled_requests_total", *_FLAVOUR, "intensity")
    joules = told.rows("settled_energy_joules_total", *_FLAVOUR)
    grams = told.rows("settled_emissions_grams_total", *_FLAVOUR, "intensity")
    embodied = told.rows("settled_embodied_grams_total", *_FLAVOUR)
    best_joules = told.rows("always_best_energy_joules_total", *_SERVICE)
    best_grams = told.rows("always_best_emissions_grams_total", *_SERVICE, "intensity")
    best_embodied = told.rows("always_best_embodied_grams_total", *_SERVICE)
    unknown = told.rows("requests_without_intensity_total", *_SERVICE)
    for session in sessions:
        service, settled = labels(session), session.account.settled
        for name in dict.fromkeys((*session.totals, *settled.energy_j)):
            flavour = [*service, name]
            joules.add(flavour, settled.energy_j.get(name, 0.0))
            embodied.add(flavour, settled.embodied_g.get(name, 0.0))
            for basis in INTENSITIES:
                requests.add([*flavour, basis], settled.requests.get(basis, {}).get(name, 0.0))
                grams.add([*flavour, basis], settled.grams.get(basis, {}).get(name, 0.0))
        best_joules.add(service, settled.best_energy_j)
        best_embodied.add(service, settled.best_embodied_g)
        unknown.add(service, settled.requests_without_carbon)
        for basis in INTENSITIES:
            best_grams.add([*service, basis], settled.best_grams.get(basis, 0.0))


def tell_windows(told: Exposition, sessions: Iterable[ServiceSession]) -> None:
    """Totals by window, kept over restarts."""
    requests = told.rows("window_requests_total", *_SERVICE)
    joules = told.rows("window_energy_joules_total", *_SCENARIO)
    grams = told.rows("window_emissions_grams_total", *_SCENARIO)
    embodied = told.rows("window_embodied_grams_total", *_SCENARIO)
    settled = told.rows("windows_settled_total", *_SERVICE)
    for session in sessions:
        service, windows = labels(session), session.account.settled.windows
        requests.add(service, windows.requests)
        settled.add(service, windows.windows)
        for scenario in SCENARIOS:
            under = [*service, scenario]
            joules.add(under, windows.energy_j.get(scenario, 0.0))
            grams.add(under, windows.grams.get(scenario, 0.0))
            embodied.add(under, windows.embodied_g.get(scenario, 0.0))


def tell_open_windows(told: Exposition, looked_at: Iterable[tuple[ServiceSession, Mapping[Scenario, float]]]) -> None:
    """Grams by scenario of the windows that are open."""
    rows = told.rows("open_window_emissions_grams", *_SCENARIO)
    for session, grams in looked_at:
        for scenario, amount in grams.items():
            rows.add([*labels(session), scenario], amount)


def tell_promises(told: Exposition, sessions: Iterable[ServiceSession], now_s: float) -> None:
    """What was promised, and how it stands."""
    promised = told.rows("budget_error_ratio", *_SERVICE)
    served = told.rows("window_error_ratio", *_SERVICE)
    credit = told.rows("budget_credit_error_requests", *_SERVICE)
    closed = told.rows("windows_total", *_SERVICE)
    exceeded = told.rows("windows_exceeded_total", *_SERVICE)
    for session in sessions:
        service, books = labels(session), session.books(now_s)
        closed.add(service, session.verdicts.closed)
        exceeded.add(service, session.verdicts.exceeded)
        promised.add(service, session.spec.settings.max_error)
        credit.add(service, books.credit)
        if books.requests:
            served.add(service, books.mean_error)


def tell_steering(told: Exposition, sessions: Iterable[ServiceSession], now_s: float) -> None:
    """What people impose, and how fast work that may wait should be done."""
    imposed = told.rows("imposed", *_SERVICE, "by")
    throttle = told.rows("processing_throttle_ratio", *_SERVICE)
    ceilings = told.rows("replica_ceiling", *_SERVICE, "component")
    for session in sessions:
        service = labels(session)
        imposed.add([*service, "override"], session.steering.override is not None)
        imposed.add([*service, "pause"], session.steering.pause is not None)
        if session.spec.processing.replicas:
            speed = speed_of(session, now_s)
            throttle.add(service, speed.throttle)
            for component, ceiling in speed.ceilings.items():
                ceilings.add([*service, component], ceiling)


def labels(session: ServiceSession) -> list[str]:
    """Namespace and service."""
    return [session.spec.topology.namespace, session.spec.topology.service]
