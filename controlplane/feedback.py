"""From what proxies report to what each service served.

A proxy counts since its own last report, so nothing is lost or doubled as long as the intervals it names follow each
other. A hole between them means that counts were lost: Envoy 1.40 tries again every five seconds to reach us, and each
try that fails discards what it has counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from controlplane.accounting import FlavourLoad
from controlplane.intent import ENERGY_METRIC
from xds import ClusterLoad, LoadReport

_METRIC = f"named_metrics.{ENERGY_METRIC}"
_SILENT_AFTER_INTERVALS = 5
# One answer that takes a kilowatt-hour is a defect of the backend, or a lie.
_MOST_J_PER_REQUEST = 3.6e6


@dataclass(slots=True)
class _Proxy:
    """How far one proxy has come: engine times, and the seconds that its reports cover."""

    since_s: float
    until_s: float
    covered_s: float
    interval_s: float
    heard_at_s: float

    @property
    def uncovered_s(self) -> float:
        """Time for which no report has come; below a report's own length it may still be on its way."""
        hole_s = self.until_s - self.since_s - self.covered_s
        return hole_s if hole_s > max(1.0, self.interval_s) else 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """What a cluster's counts belong to."""

    service: str
    flavour: str


@dataclass(slots=True)
class Feedback:
    """Sorts load reports by service and keeps track of how far each proxy has come.

    `now_s` is the engine's clock and `speed` how fast it runs: the intervals of reports are real seconds.
    `resumed_from_s` is the time up to which the books were written when a running proxy was taken over.
    """

    now_s: Callable[[], float]
    speed: float = 1.0
    targets: Mapping[str, Target] = field(default_factory=dict)
    resumed_from_s: float | None = None
    reports: int = 0
    _gone_uncovered_s: float = 0.0
    _proxies: dict[str, _Proxy] = field(default_factory=dict)

    @property
    def unreported_s(self) -> float:
        """Time of proxies for which their reports were lost, in seconds of the engine's clock."""
        return self._gone_uncovered_s + sum(proxy.uncovered_s for proxy in self._proxies.values())

    def take(self, report: LoadReport) -> dict[str, dict[str, FlavourLoad]]:
        """Loads by service and flavour; clusters of services that are no longer there are left out."""
        self.reports += 1
        self._advance(report)
        loads: dict[str, dict[str, FlavourLoad]] = {}
        for cluster, load in report.clusters.items():
            target = self.targets.get(cluster)
            if target is not None:
                loads.setdefault(target.service, {})[target.flavour] = _flavour_load(load)
        return loads

    @property
    def counted_until_s(self) -> float:
        """Engine time up to which every proxy has reported; those that fell silent are not waited for."""
        return min((proxy.until_s for proxy in self._proxies.values()), default=self.now_s())

    def _advance(self, report: LoadReport) -> None:
        now_s, heard_at_s = self.now_s(), time.monotonic()
        interval_s = report.interval_s * self.speed
        known = self._proxies.get(report.node_id)
        if known is None:
            # A proxy that was taken over has served since the books were last written.
            since_s = now_s - interval_s
            since_s = since_s if self.resumed_from_s is None else min(since_s, self.resumed_from_s)
            self._proxies[report.node_id] = _Proxy(since_s, now_s, interval_s, interval_s, heard_at_s)
        else:
            known.until_s, known.interval_s, known.heard_at_s = now_s, interval_s, heard_at_s
            known.covered_s += interval_s
        for node_id, proxy in list(self._proxies.items()):
            if heard_at_s - proxy.heard_at_s > _SILENT_AFTER_INTERVALS * max(proxy.interval_s / self.speed, 1.0):
                self._gone_uncovered_s += self._proxies.pop(node_id).uncovered_s


def _flavour_load(load: ClusterLoad) -> FlavourLoad:
    metered_requests, metered_j = load.metrics.get(_METRIC, (0, 0.0))
    if not 0.0 <= metered_j <= _MOST_J_PER_REQUEST * metered_requests:  # NaN too; as if nothing had been metered
        metered_requests, metered_j = 0, 0.0
    return FlavourLoad(
        served=load.succeeded, failed=load.failed, metered_requests=metered_requests, metered_j=metered_j
    )
