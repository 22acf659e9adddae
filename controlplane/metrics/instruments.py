"""What others feed while they work, where a scrape could not look it up later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

from prometheus_client.core import Metric

from controlplane.metrics.exposition import Exposition, collected, counter, histogram

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MOST_ROUTES = 100


class ApiMetrics:
    """Counts and times the answers of the API."""

    def __init__(self) -> None:
        self._requests = counter("carbonrouter_api_requests_total", "route", "method", "status")
        self._seconds = histogram("carbonrouter_api_request_duration_seconds", "route", "method")
        self._routes: set[str] = set()

    def observe(self, *, route: str | None, method: str, status: int, seconds: float) -> None:
        """Enter one answer; `route` is the template of the route that gave it, None if there was none."""
        known = "unmatched" if route is None else self._bounded(route)
        verb = method if method in _METHODS else "other"
        self._requests.labels(known, verb, f"{status // 100}xx").inc()
        self._seconds.labels(known, verb).observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """The families as they are now."""
        yield from collected(self._requests)
        yield from collected(self._seconds)

    def _bounded(self, route: str) -> str:
        """A path given by mistake instead of its template must not become a series each."""
        if route not in self._routes and len(self._routes) >= _MOST_ROUTES:
            return "unmatched"
        self._routes.add(route)
        return route


class Instruments:
    """The instruments of one control plane; each is fed from one place."""

    def __init__(self) -> None:
        self.api = ApiMetrics()
        self._plans = histogram("carbonrouter_plan_duration_seconds")
        self._decisions = histogram("carbonrouter_decision_duration_seconds")
        self._written_s: float | None = None

    def planning(self) -> AbstractContextManager[object]:
        """To be held while services are decided for and published, all of them or some."""
        return self._plans.time()

    def deciding(self) -> AbstractContextManager[object]:
        """To be held while one service is decided for."""
        return self._decisions.time()

    def state_written(self) -> None:
        """To be called after every state that was saved; from any thread."""
        self._written_s = time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """All families as they are now."""
        yield from collected(self._plans)
        yield from collected(self._decisions)
        yield from self.api.collect()
        if self._written_s is not None:
            told = Exposition()
            told.single("state_write_age_seconds", time.monotonic() - self._written_s)
            yield from told.metrics()
