"""The only way from a number to a sample: through its declaration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import Counter, Histogram
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.samples import Sample

from controlplane.metrics.catalogue import family


class Rows:
    """The samples of one family in one scrape."""

    def __init__(self, name: str, labels: Sequence[str]) -> None:
        declared = family(name, labels, "counter", "gauge")
        self.metric = Metric(name.removesuffix("_total"), declared.text, declared.kind)
        self._name = name
        self._labels = declared.labels

    def add(self, values: Sequence[str], number: float) -> None:
        """One sample; `values` in the order of the labels. Raises ValueError when there are more or fewer."""
        labels = dict(zip(self._labels, values, strict=True))
        self.metric.samples.append(Sample(self._name, labels, number))


class Exposition:
    """What one scrape tells; families come out in the order in which they were first named."""

    def __init__(self) -> None:
        self._rows: dict[str, Rows] = {}

    def rows(self, name: str, *labels: str) -> Rows:
        """The samples of `carbonrouter_NAME`, to add to.

        Raises:
            UndeclaredMetricError: it is not declared, or with other labels.
        """
        full = f"carbonrouter_{name}"
        if full not in self._rows:
            self._rows[full] = Rows(full, labels)
        return self._rows[full]

    def single(self, name: str, number: float) -> None:
        """The only sample of a family without labels."""
        self.rows(name).add((), number)

    def metrics(self) -> Iterator[Metric]:
        """All families that have a sample."""
        return (rows.metric for rows in self._rows.values() if rows.metric.samples)


def histogram(name: str, *labels: str) -> Histogram:
    """A declared histogram, in no registry. Raises UndeclaredMetricError."""
    declared = family(name, labels, "histogram")
    return Histogram(name, declared.text, labels, registry=None, buckets=declared.buckets)


def counter(name: str, *labels: str) -> Counter:
    """A declared counter, in no registry. Raises UndeclaredMetricError."""
    declared = family(name, labels, "counter")
    return Counter(name, declared.text, labels, registry=None)


def collected(instrument: MetricWrapperBase) -> Iterator[Metric]:
    """The instrument's families without the time of their creation, which would be a family of its own."""
    for metric in instrument.collect():
        metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
        if metric.samples:
            yield metric
