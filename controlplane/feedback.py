"""From what proxies report to what each service served.

A proxy counts since its own last report, also while it cannot reach us, so nothing is lost or doubled as long as
the intervals it names follow each other. A hole between two of them means that a report was lost on its way.
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
    reported_at_s: float
    until_s: float
    interval_s: float


@dataclass(frozen=True, slots=True)
class Target:
    """What a cluster's counts belong to."""

    service: str
    flavour: str


@dataclass(slots=True)
class Feedback:
    """Sorts load reports by service and keeps track of how far each proxy has come.

    `now_s` is the engine's clock; the intervals between reports are real seconds.
    """

    now_s: Callable[[], float]
    targets: Mapping[str, Target] = field(default_factory=dict)
    reports: int = 0
    unreported_s: float = 0.0
    _proxies: dict[str, _Proxy] = field(default_factory=dict)

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
        now = time.monotonic()
        known = self._proxies.get(report.node_id)
        if known is not None:
            # A report takes its time to arrive; below a tenth of the interval that is all it is.
            hole_s = (now - known.reported_at_s) - report.interval_s
            self.unreported_s += hole_s if hole_s > max(0.1, 0.1 * report.interval_s) else 0.0
        self._proxies[report.node_id] = _Proxy(now, self.now_s(), report.interval_s)
        self._proxies = {
            node_id: proxy
            for node_id, proxy in self._proxies.items()
            if now - proxy.reported_at_s <= _SILENT_AFTER_INTERVALS * max(proxy.interval_s, 1.0)
        }


def _flavour_load(load: ClusterLoad) -> FlavourLoad:
    metered_requests, metered_j = load.metrics.get(_METRIC, (0, 0.0))
    if not 0.0 <= metered_j <= _MOST_J_PER_REQUEST * metered_requests:  # NaN too; as if nothing had been metered
        metered_requests, metered_j = 0, 0.0
    return FlavourLoad(
        served=load.succeeded, failed=load.failed, metered_requests=metered_requests, metered_j=metered_j
    )
