"""What is told to Prometheus: a catalogue, what is read from the engine by it, and what others feed."""

from controlplane.metrics.catalogue import FAMILIES, SECTIONS, Family, UndeclaredMetricError
from controlplane.metrics.collector import EngineCollector, registry_for
from controlplane.metrics.instruments import ApiMetrics, Instruments

__all__ = [
    "FAMILIES",
    "SECTIONS",
    "ApiMetrics",
    "EngineCollector",
    "Family",
    "Instruments",
    "UndeclaredMetricError",
    "registry_for",
]
