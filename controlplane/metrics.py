"""Prometheus metrics, read from the engine at the moment of the scrape: nothing is counted twice or kept twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controlplane.engine import Engine
from controlplane.session import ServiceSession
from xds import ProxyStatus, XdsServer

_SERVICE = ("namespace", "service")
_FLAVOUR = (*_SERVICE, "flavour")


class EngineCollector(Collector):
    """Turns the engine's, the xDS server's and Envoy's state into metrics.

    Labels are bounded: namespaces, services and flavours come from the configuration alone.
    """

    def __init__(self, engine: Engine, server: XdsServer, *, runtime: Callable[[], Mapping[str, int]]) -> None:
        self._engine = engine
        self._server = server
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        """All metric families, in the order of the catalogue."""
        now_s = self._engine.clock.now_s()
        sessions = [session for _, session in sorted(self._engine.sessions.items())]
        yield from _decision_metrics(sessions)
        yield from _served_metrics(sessions)
        yield from _budget_metrics(sessions, now_s)
        yield from _carbon_metrics(sessions, now_s)
        yield from self._plumbing_metrics()

    def _plumbing_metrics(self) -> Iterator[Metric]:
        counters = self._server.registry.counters
        proxies: Sequence[ProxyStatus] = self._server.registry.proxies()
        yield GaugeMetricFamily("carbonrouter_proxies", "Connected proxies.", len(proxies))
        rejecting = sum(bool(proxy.rejected) for proxy in proxies)
        yield GaugeMetricFamily("carbonrouter_proxies_rejecting", "Proxies that rejected the newest config.", rejecting)
        yield GaugeMetricFamily(
            "carbonrouter_unreported_seconds",
            "Time for which proxies' reports were lost.",
            self._engine.feedback.unreported_s,
        )
        for name, text, value in (
            ("xds_streams", "Discovery streams opened.", counters.streams),
            ("xds_responses", "Discovery responses sent.", counters.responses),
            ("xds_acks", "Discovery responses accepted.", counters.acks),
            ("xds_nacks", "Discovery responses rejected.", counters.nacks),
            ("xds_refused_streams", "Streams ended for a broken protocol or an empty cache.", counters.refused_streams),
            ("load_reports", "Load reports received.", self._engine.feedback.reports),
            ("state_write_failures", "Times the ledger could not be saved.", self._engine.writer.failures),
            ("publish_failures", "Schedules that could not be published.", self._engine.publish_failures),
            ("xds_unknown_types", "Requests for a type that is not served.", counters.unknown_types),
            ("envoy_restarts", "Times Envoy ended and was started again.", self._runtime()["envoy_restarts"]),
            ("reload_failures", "Changed configurations that were not used.", self._runtime()["reload_failures"]),
        ):
            yield CounterMetricFamily(f"carbonrouter_{name}", text, value)


def registry_for(engine: Engine, server: XdsServer, *, runtime: Callable[[], Mapping[str, int]]) -> CollectorRegistry:
    """A registry of its own, so that two engines in one process do not meet.

    `runtime` gives the counters `envoy_restarts` and `reload_failures`.
    """
    registry = CollectorRegistry()
    registry.register(EngineCollector(engine, server, runtime=runtime))
    return registry


def _decision_metrics(sessions: Sequence[ServiceSession]) -> Iterator[Metric]:
    weights = GaugeMetricFamily("carbonrouter_flavour_weight", "Commanded weight, of 10,000.", labels=_FLAVOUR)
    until = GaugeMetricFamily(
        "carbonrouter_schedule_valid_until_timestamp_seconds", "End of validity of the weights.", labels=_SERVICE
    )
    failures = CounterMetricFamily(
        "carbonrouter_decision_failures", "Decisions that failed; full quality was served.", labels=_SERVICE
    )
    for session in sessions:
        failures.add_metric(_labels(session), session.failures)
        if session.intent is None:
            continue
        until.add_metric(_labels(session), session.intent.valid_until_s)
        for name, weight in session.intent.weights.items():
            weights.add_metric([*_labels(session), name], weight)
    yield from (weights, until, failures)


def _served_metrics(sessions: Sequence[ServiceSession]) -> Iterator[Metric]:
    requests = CounterMetricFamily("carbonrouter_requests", "Answers by the flavour that gave them.", labels=_FLAVOUR)
    failed = CounterMetricFamily(
        "carbonrouter_failed_attempts", "Attempts that failed; a fallback may have answered.", labels=_FLAVOUR
    )
    joules = CounterMetricFamily(
        "carbonrouter_reported_energy_joules", "Energy that answers reported (ORCA).", labels=_FLAVOUR
    )
    for session in sessions:
        for flavour in session.spec.flavours:
            labels = [*_labels(session), flavour.name]
            totals = session.totals[flavour.name]
            requests.add_metric(labels, totals.served)
            failed.add_metric(labels, totals.failed)
            joules.add_metric(labels, totals.metered_j)
    yield from (requests, failed, joules)


def _budget_metrics(sessions: Sequence[ServiceSession], now_s: float) -> Iterator[Metric]:
    promised = GaugeMetricFamily("carbonrouter_budget_error_ratio", "Promised mean error.", labels=_SERVICE)
    served = GaugeMetricFamily(
        "carbonrouter_window_error_ratio", "Mean error served in this budget window.", labels=_SERVICE
    )
    closed = CounterMetricFamily("carbonrouter_windows", "Budget windows that have closed.", labels=_SERVICE)
    exceeded = CounterMetricFamily(
        "carbonrouter_windows_exceeded", "Budget windows that closed above the promise.", labels=_SERVICE
    )
    for session in sessions:
        closed.add_metric(_labels(session), session.windows_closed)
        exceeded.add_metric(_labels(session), session.windows_exceeded)
        promised.add_metric(_labels(session), session.spec.settings.max_error)
        books = session.books(now_s)
        if books.requests:
            served.add_metric(_labels(session), books.mean_error)
    yield from (promised, served, closed, exceeded)


def _carbon_metrics(sessions: Sequence[ServiceSession], now_s: float) -> Iterator[Metric]:
    intensity = GaugeMetricFamily(
        "carbonrouter_carbon_intensity_g_per_kwh", "Intensity assumed for the current slot.", labels=_SERVICE
    )
    state = GaugeMetricFamily(
        "carbonrouter_carbon_source_state", "1 for the state the source is in.", labels=(*_SERVICE, "state")
    )
    age = GaugeMetricFamily(
        "carbonrouter_carbon_source_age_seconds", "Time since the last good answer.", labels=_SERVICE
    )
    failures = CounterMetricFamily("carbonrouter_carbon_source_failures", "Fetches that failed.", labels=_SERVICE)
    for session in sessions:
        labels = _labels(session)
        feed = session.feed.status(now_s)
        for name in ("fresh", "stale", "none"):
            state.add_metric([*labels, name], feed.state == name)
        failures.add_metric(labels, feed.failures)
        if feed.age_s is not None:
            age.add_metric(labels, feed.age_s)
        carbon = session.decision.reasons.carbon_now_g_per_kwh if session.decision else None
        if carbon is not None:
            intensity.add_metric(labels, carbon)
    yield from (intensity, state, age, failures)


def _labels(session: ServiceSession) -> list[str]:
    return [session.spec.topology.namespace, session.spec.topology.service]
