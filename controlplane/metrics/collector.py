"""Prometheus metrics, read from the engine at the moment of the scrape: nothing is counted twice or kept twice."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from controlplane.metrics.exposition import Exposition
from controlplane.metrics.feeds import FetchTotals, tell_feeds
from controlplane.metrics.instruments import Instruments
from controlplane.metrics.open_windows import OpenWindows
from controlplane.metrics.services import (
    tell_decisions,
    tell_open_windows,
    tell_promises,
    tell_served,
    tell_settled,
    tell_steering,
    tell_windows,
)
from xds import SyncRegistry

if TYPE_CHECKING:  # the engine holds instruments of this package
    from controlplane.engine import Engine


class EngineCollector(Collector):
    """Turns the state of the engine, of the xDS server and of Envoy, and what instruments were fed, into metrics."""

    def __init__(
        self,
        engine: Engine,
        sync: SyncRegistry,
        *,
        runtime: Callable[[], Mapping[str, int]],
        instruments: Instruments,
    ) -> None:
        self._engine = engine
        self._sync = sync
        self._runtime = runtime
        self._instruments = instruments
        self._open_windows = OpenWindows()
        self._fetches = FetchTotals()
        self._version = version("carbonrouter")

    def collect(self) -> Iterator[Metric]:
        """Every metric family that has a value; see the catalogue."""
        for tell in self._sections():
            told = Exposition()
            tell(told)
            yield from told.metrics()  # a section at a time, or there are many samples for garbage collection to walk
        yield from self._instruments.collect()

    def _sections(self) -> Iterator[Callable[[Exposition], None]]:
        now_s = self._engine.clock.now_s()
        by_key = dict(sorted(self._engine.sessions.items()))
        sessions = list(by_key.values())
        yield partial(tell_decisions, sessions=sessions, now_s=now_s)
        for tell in (tell_served, tell_settled, tell_windows):
            yield partial(tell, sessions=sessions)
        yield partial(tell_open_windows, looked_at=self._open_windows.look(by_key, now_s))
        yield partial(tell_promises, sessions=sessions, now_s=now_s)
        yield partial(tell_steering, sessions=sessions, now_s=now_s)
        feeds = dict.fromkeys(session.feed for session in sessions)
        yield partial(tell_feeds, feeds=feeds, totals=self._fetches, now_s=now_s)
        yield self._tell_engine
        yield self._tell_proxies

    def _tell_engine(self, told: Exposition) -> None:
        engine, runtime = self._engine, self._runtime()
        told.rows("build_info", "version", "python").add((self._version, platform.python_version()), 1)
        told.single("services", len(engine.sessions))
        told.single("publish_failures_total", engine.publish_failures)
        told.single("load_reports_total", engine.feedback.reports)
        told.single("unreported_seconds", engine.feedback.unreported_s)
        told.single("state_write_failures_total", engine.writer.failures)
        told.single("envoy_restarts_total", runtime["envoy_restarts"])
        told.single("reload_failures_total", runtime["reload_failures"])

    def _tell_proxies(self, told: Exposition) -> None:
        proxies, counters = self._sync.proxies(), self._sync.counters
        told.single("proxies", len(proxies))
        told.single("proxies_rejecting", sum(bool(proxy.rejected) for proxy in proxies))
        told.single("xds_streams_total", counters.streams)
        told.single("xds_responses_total", counters.responses)
        told.single("xds_acks_total", counters.acks)
        told.single("xds_nacks_total", counters.nacks)
        told.single("xds_refused_streams_total", counters.refused_streams)
        told.single("xds_unknown_types_total", counters.unknown_types)


def registry_for(
    engine: Engine,
    sync: SyncRegistry,
    *,
    runtime: Callable[[], Mapping[str, int]],
    instruments: Instruments | None = None,
) -> CollectorRegistry:
    """A registry of its own, so that two engines in one process do not meet.

    `runtime` gives the counters `envoy_restarts` and `reload_failures`; `instruments` are those that engine and API
    were given.
    """
    registry = CollectorRegistry()
    registry.register(EngineCollector(engine, sync, runtime=runtime, instruments=instruments or Instruments()))
    return registry
