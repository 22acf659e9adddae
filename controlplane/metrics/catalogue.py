"""Every metric there is, declared once: the collector can emit no other, and docs/metrics.md is printed from here.

Names, units and types follow Prometheus: base units, counters end in `_total`, what can be divided is not exported
as a ratio. Label values come from the configuration or from short lists of ours, never from whoever is connected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from controlplane.accounting import Basis

Kind = Literal["counter", "gauge", "histogram"]

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "namespace": "of a configured service, in the file or over the API",
        "service": "a configured service",
        "flavour": "a configured flavour of the service; one that was removed stays until what it served is settled",
        "policy": "the service's policies since the start, by the names they are installed under",
        "intensity": "`actual` or `forecast`: what the grams were settled with",
        "scenario": "`served`, `always_best`, `carbon_blind_mix`, `clairvoyant`",
        "source": "the kind of a configured carbon source: `file`, `gb`, ...",
        "zone": "the zone a configured source is asked for",
        "kind": "`average`, `marginal`",
        "basis": "what the source's figures count: `generation`, `direct`, `life-cycle`, `as recorded`",
        "variant": "empty for a provider's own address and slots, else a short text that tells a configured source "
        "from others of its zone: host, seconds of a slot, a hash",
        "state": "`fresh`, `stale`, `none`",
        "by": "`override`, `pause`",
        "component": "a component whose replicas are configured",
        "horizon": "`now`, `next`, `3h`, `6h`, `12h`, `24h`",
        "route": "the path template of one of our own routes, else `unmatched`",
        "method": "a method of HTTP, else `other`",
        "status": "the class of the answer: `2xx`, `4xx`, ...",
        "version": "of the installed carbonrouter",
        "python": "of the interpreter",
    }
)
"""Where the values of each label come from, and so why there are few."""

LOOKED_AT_PER_SCRAPE = 50
"""Of so many services a scrape works out the counterfactuals of the open window; the others keep their figures."""

INTENSITIES: tuple[Basis, ...] = ("actual", "forecast")
STATES = ("fresh", "stale", "none")
HORIZONS: Mapping[str, float] = MappingProxyType({"3h": 10_800.0, "6h": 21_600.0, "12h": 43_200.0, "24h": 86_400.0})

_SERVICE = ("namespace", "service")
_FLAVOUR = (*_SERVICE, "flavour")
_SCENARIO = (*_SERVICE, "scenario")
_FEED = ("source", "zone", "kind", "basis", "variant")
_FAST = (0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 1.0)
_SLOW = (0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class UndeclaredMetricError(LookupError):
    """A metric, or a set of labels, that the catalogue does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric family.

    Attributes:
        name: as scraped; a counter's ends in `_total`, a histogram's stands before `_bucket`.
        unit: of its values, for people.
        text: what it says; one sentence or two.
        labels: in order.
        replaces: metrics of k8s-carbonrouter that mean the same.
        buckets: upper bounds of a histogram.
    """

    name: str
    kind: Kind
    unit: str
    text: str
    labels: tuple[str, ...]
    replaces: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def family(name: str, labels: Sequence[str], *kinds: Kind) -> Family:
    """The declaration of `name`.

    Raises:
        UndeclaredMetricError: there is none, or not with exactly these labels or of one of these kinds.
    """
    found = FAMILIES.get(name)
    if found is None:
        raise UndeclaredMetricError(f"{name} is not in the catalogue")
    if found.labels != tuple(labels):
        raise UndeclaredMetricError(f"{name} has the labels {found.labels}, not {tuple(labels)}")
    if kinds and found.kind not in kinds:
        raise UndeclaredMetricError(f"{name} is a {found.kind}")
    return found


def _counter(name: str, unit: str, labels: tuple[str, ...], text: str, *replaces: str) -> Family:
    return Family(
        name=f"carbonrouter_{name}_total", kind="counter", unit=unit, text=text, labels=labels, replaces=replaces
    )


def _gauge(name: str, unit: str, labels: tuple[str, ...], text: str, *replaces: str) -> Family:
    return Family(name=f"carbonrouter_{name}", kind="gauge", unit=unit, text=text, labels=labels, replaces=replaces)


def _histogram(name: str, labels: tuple[str, ...], text: str, buckets: tuple[float, ...]) -> Family:
    return Family(
        name=f"carbonrouter_{name}", kind="histogram", unit="seconds", text=text, labels=labels, buckets=buckets
    )


# fmt: off
SECTIONS: Mapping[str, tuple[Family, ...]] = MappingProxyType({
    "Decisions": (
        _gauge("services", "services", (), "Services that are configured."),
        _gauge("service_info", "1", (*_SERVICE, "policy", *_FEED), "Policy and carbon source of a service."),
        _gauge("flavour_weight", "of 10,000", _FLAVOUR, "Commanded weight.", "schedule_flavour_weight"),
        _gauge("schedule_valid_until_timestamp_seconds", "Unix seconds", _SERVICE, "End of validity of the weights.",
               "schedule_valid_until"),
        _gauge("expected_precision_ratio", "0-1", _SERVICE, "Mean precision of the commanded weights.",
               "scheduler_avg_precision"),
        _counter("commanded_seconds", "seconds", _FLAVOUR, "Time for which the flavour was commanded, by its share.",
                 "scheduler_policy_choice_total"),
        _counter("decisions", "decisions", (*_SERVICE, "policy"), "Decisions made."),
        _counter("decision_failures", "decisions", _SERVICE, "Decisions that failed; full quality was served."),
        _gauge("imposed", "0 or 1", (*_SERVICE, "by"), "Whether a person imposes weights, or has paused the service."),
        _gauge("processing_throttle_ratio", "0-1", _SERVICE, "Speed at which work that may wait should be done; of "
               "services that configure replicas.", "scheduler_processing_throttle"),
        _gauge("replica_ceiling", "replicas", (*_SERVICE, "component"), "Most replicas at that speed.",
               "scheduler_effective_replica_ceiling"),
        _counter("publish_failures", "publications", (), "Schedules that could not be published."),
        _histogram("plan_duration_seconds", (),
                   "Time of a round, from its first decision to its publication: a refresh decides for all services, "
                   "a round in between for those that cannot wait. What else ran meanwhile, such as answers of the "
                   "API, is in it.", _SLOW),
        _histogram("decision_duration_seconds", (), "Time to decide for one service.", _FAST),
    ),
    "What was served": (
        _counter("requests", "requests", _FLAVOUR, "Answers by the flavour that gave them.",
                 "router_ingress_http_requests_total", "router_http_requests_total"),
        _counter("failed_attempts", "attempts", _FLAVOUR, "Attempts that failed; a fallback may have answered."),
        _counter("error_requests", "requests x error", _SERVICE, "Answers times the error of their flavour."),
        _counter("energy_joules", "joules", _FLAVOUR, "Answers times the configured energy of their flavour."),
        _counter("reported_energy_joules", "joules", _FLAVOUR, "Energy that answers reported themselves (ORCA)."),
        _counter("reported_energy_requests", "requests", _FLAVOUR, "Answers that reported their energy."),
    ),
    "Emissions, settled slot by slot": (
        _counter("settled_requests", "requests", (*_FLAVOUR, "intensity"), "Answers whose grams have been settled."),
        _counter("settled_energy_joules", "joules", _FLAVOUR, "Configured energy of the settled answers."),
        _counter("settled_emissions_grams", "g CO2e", (*_FLAVOUR, "intensity"),
                 "Operational emissions of the settled answers."),
        _counter("settled_embodied_grams", "g CO2e", _FLAVOUR, "Embodied emissions of the settled answers."),
        _counter("always_best_energy_joules", "joules", _SERVICE,
                 "Energy of the settled answers, had the best flavour given them all."),
        _counter("always_best_emissions_grams", "g CO2e", (*_SERVICE, "intensity"),
                 "Operational emissions of the settled answers, had the best flavour given them all."),
        _counter("always_best_embodied_grams", "g CO2e", _SERVICE,
                 "Embodied emissions of the settled answers, had the best flavour given them all."),
        _counter("requests_without_intensity", "requests", _SERVICE,
                 "Answers in slots for which no intensity ever came; in none of the settled metrics."),
    ),
    "Emissions, settled window by window": (
        _counter("window_requests", "requests", _SERVICE, "Answers in closed windows, the same in every scenario."),
        _counter("window_energy_joules", "joules", _SCENARIO, "Configured energy of closed windows."),
        _counter("window_emissions_grams", "g CO2e", _SCENARIO, "Operational emissions of closed windows."),
        _counter("window_embodied_grams", "g CO2e", _SCENARIO, "Embodied emissions of closed windows."),
        _counter("windows_settled", "windows", _SERVICE, "Closed windows that are in these metrics."),
        _gauge("open_window_emissions_grams", "g CO2e", _SCENARIO,
               "Operational emissions of the open window; a scrape looks at "
               f"{LOOKED_AT_PER_SCRAPE} services, in turn."),
    ),
    "The promise": (
        _gauge("budget_error_ratio", "0-1", _SERVICE, "Promised mean error."),
        _gauge("window_error_ratio", "0-1", _SERVICE, "Mean error served in the open window."),
        _gauge("budget_credit_error_requests", "requests x error", _SERVICE,
               "Error that may still be served in the open window without any further request; its deriv() is the "
               "velocity. Negative in debt.", "scheduler_credit_balance", "scheduler_credit_velocity"),
        _counter("windows", "windows", _SERVICE, "Windows that have closed; of a rolling promise, its steps."),
        _counter("windows_exceeded", "windows", _SERVICE, "Windows that closed above the promise."),
    ),
    "Carbon": (
        _gauge("carbon_intensity_g_per_kwh", "g CO2e/kWh", _SERVICE, "Intensity assumed for the current slot.",
               'scheduler_forecast_intensity{horizon="now"}'),
        _gauge("carbon_forecast_g_per_kwh", "g CO2e/kWh", (*_FEED, "horizon"),
               "Intensity as the source foresees it, for the slot that holds the horizon.",
               "scheduler_forecast_intensity", "scheduler_forecast_intensity_timestamped"),
        _gauge("carbon_source_state", "0 or 1", (*_FEED, "state"), "1 for the state the source is in."),
        _gauge("carbon_source_age_seconds", "seconds", _FEED, "Time since the last good answer."),
        _counter("carbon_source_fetches", "fetches", _FEED,
                 "Fetches tried; a source that is used no more is still told."),
        _counter("carbon_source_failures", "fetches", _FEED,
                 "Fetches that failed, or of which nothing could be kept."),
    ),
    "Feedback and state": (
        _counter("load_reports", "reports", (), "Load reports received."),
        _gauge("unreported_seconds", "seconds", (), "Time for which proxies' reports were lost."),
        _counter("state_write_failures", "writes", (), "Times the books could not be saved."),
        _gauge("state_write_age_seconds", "seconds", (), "Time since books were last saved."),
    ),
    "Proxies": (
        _gauge("proxies", "proxies", (), "Connected proxies."),
        _gauge("proxies_rejecting", "proxies", (), "Proxies that rejected the newest config."),
        _counter("xds_streams", "streams", (), "Discovery streams opened."),
        _counter("xds_responses", "responses", (), "Discovery responses sent."),
        _counter("xds_acks", "responses", (), "Discovery responses accepted."),
        _counter("xds_nacks", "responses", (), "Discovery responses rejected."),
        _counter("xds_refused_streams", "streams", (), "Streams ended for a broken protocol or an empty cache."),
        _counter("xds_unknown_types", "requests", (), "Requests for a type that is not served."),
        _counter("envoy_restarts", "restarts", (), "Times Envoy ended and was started again."),
        _counter("reload_failures", "reloads", (), "Changed configurations that were not used."),
    ),
    "This process": (
        _gauge("build_info", "1", ("version", "python"), "What is running."),
        _counter("api_requests", "requests", ("route", "method", "status"), "Requests to the API."),
        _histogram("api_request_duration_seconds", ("route", "method"), "Time to answer requests to the API.", _SLOW),
    ),
})
# fmt: on

FAMILIES: Mapping[str, Family] = MappingProxyType({each.name: each for part in SECTIONS.values() for each in part})
