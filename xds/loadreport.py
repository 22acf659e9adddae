"""Load reports (LRS): what each proxy says it has served, per cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from xds.errors import BadRequestError
from xds.proto import wire_pb2

_SOON_S = 0.05

Write = Callable[[wire_pb2.LoadStatsResponse], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLoad:
    """What one cluster did between two reports of one proxy.

    Attributes:
        succeeded: requests answered, with any status below 500.
        failed: requests answered 5xx, reset, or never sent because no connection could be made.
        in_progress: requests begun and not finished at the time of the report.
        metrics: per ORCA metric name, the number of answers that carried it and the sum of its values.
    """

    succeeded: int = 0
    failed: int = 0
    in_progress: int = 0
    metrics: Mapping[str, tuple[int, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """One report; counts are since the previous report of the same proxy.

    Attributes:
        node_id: the reporting proxy.
        interval_s: how many seconds before its arrival the counts begin.
        clusters: by cluster name.
    """

    node_id: str
    interval_s: float
    clusters: Mapping[str, ClusterLoad]


def read_report(request: wire_pb2.LoadStatsRequest, *, node_id: str) -> LoadReport:
    """Sum a report over localities and priorities."""
    clusters: dict[str, ClusterLoad] = {}
    interval_s = 0.0
    for stats in request.cluster_stats:
        interval_s = max(interval_s, stats.load_report_interval.ToNanoseconds() / 1e9)
        clusters[stats.cluster_name] = _cluster_load(stats)
    return LoadReport(node_id=node_id, interval_s=interval_s, clusters=clusters)


def _cluster_load(stats: wire_pb2.ClusterStats) -> ClusterLoad:
    localities = stats.upstream_locality_stats
    metrics: dict[str, tuple[int, float]] = {}
    for locality in localities:
        for metric in locality.load_metric_stats:
            count, total = metrics.get(metric.metric_name, (0, 0.0))
            metrics[metric.metric_name] = (
                count + metric.num_requests_finished_with_metric,
                total + metric.total_metric_value,
            )
    return ClusterLoad(
        succeeded=sum(locality.total_successful_requests for locality in localities),
        failed=sum(locality.total_error_requests for locality in localities),
        in_progress=sum(locality.total_requests_in_progress for locality in localities),
        metrics=metrics,
    )


def _period(seconds: float) -> wire_pb2.LoadStatsResponse:
    response = wire_pb2.LoadStatsResponse(send_all_clusters=True)
    response.load_reporting_interval.FromNanoseconds(round(seconds * 1e9))
    return response


class LoadStreams:
    """The open load report streams by node, and when their counting begins.

    Envoy counts a cluster only from the beginning of a period after the cluster has appeared: what it serves until
    then is in no report (Envoy 1.40, `LoadStatsReporter::startLoadReportPeriod`; ten seconds' worth at the usual
    interval). A response begins a new period at once and keeps the counts of clusters already known, so one is sent
    whenever a proxy has got new clusters, before anything sends traffic to them.
    """

    def __init__(self, report_every_s: float) -> None:
        self._begin = _period(report_every_s)
        self._soon = _period(_SOON_S)
        self._writers: dict[str, set[Write]] = {}

    async def begin_period(self, node_id: str) -> None:
        """Have a node count from now on what it did not count before."""
        for write in tuple(self._writers.get(node_id, ())):
            await write(self._begin)

    async def ask_soon(self) -> None:
        """Have every node report at once; counts go on as before."""
        for write in [write for writers in self._writers.values() for write in writers]:
            await write(self._soon)

    async def reports(
        self, requests: AsyncIterator[wire_pb2.LoadStatsRequest], write: Write
    ) -> AsyncIterator[LoadReport]:
        """The reports on one stream; the node is named in the first request and may be missing from later ones.

        Raises:
            BadRequestError: the first request names no node.
        """
        node_id = ""
        writers: set[Write] = set()
        try:
            async for request in requests:
                if not node_id:
                    if not request.node.id:
                        raise BadRequestError("the first request on a load report stream must carry node.id")
                    node_id = request.node.id
                    writers = self._writers.setdefault(node_id, set())
                    writers.add(write)
                    await write(self._begin)
                if request.cluster_stats:
                    yield read_report(request, node_id=node_id)
        finally:
            writers.discard(write)
            if node_id and not writers:
                self._writers.pop(node_id, None)
