"""What one process of the service counts, in Prometheus' text format."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class ServiceMetrics:
    """Counters of one flavour in a registry of their own, so that several apps can live in one process."""

    def __init__(self, *, flavour: str) -> None:
        self._registry = CollectorRegistry()
        requests = Counter(
            "carbonstat_requests",
            "Requests to /avg by HTTP status.",
            ("flavour", "status"),
            registry=self._registry,
        )
        cpu = Counter(
            "carbonstat_cpu_seconds",
            "CPU seconds spent on averaging.",
            ("flavour",),
            registry=self._registry,
        )
        energy = Counter(
            "carbonstat_energy_joules",
            "Energy of averaging, modelled as CPU seconds x W per core.",
            ("flavour",),
            registry=self._registry,
        )
        latency = Histogram(
            "carbonstat_request_seconds",
            "Seconds from a request to its answer.",
            ("flavour",),
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._flavour = flavour
        self._requests = requests
        self._cpu = cpu.labels(flavour)
        self._energy = energy.labels(flavour)
        self._latency = latency.labels(flavour)

    def answered(self, *, status: int, elapsed_s: float) -> None:
        """Count one answer of /avg."""
        self._requests.labels(self._flavour, str(status)).inc()
        self._latency.observe(elapsed_s)

    def spent(self, *, cpu_s: float, joules: float) -> None:
        """Add what one answer cost."""
        self._cpu.inc(cpu_s)
        self._energy.inc(joules)

    def render(self) -> bytes:
        """Return everything counted so far in the text exposition format."""
        return generate_latest(self._registry)
