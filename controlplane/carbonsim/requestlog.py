"""Who asked for what, and when: so that a test can tell whether a client is polite."""

from __future__ import annotations

from typing import Any

from controlplane.carbonsim.moments import gb_text

MAX_ENTRIES = 10_000
_LONGEST_PATH = 200


class RequestLog:
    """Counts by path and minute of simulated time; of more than `MAX_ENTRIES` pairs the oldest are forgotten."""

    def __init__(self) -> None:
        self._counts: dict[tuple[int, str], int] = {}
        self._total = 0
        self._forgotten = 0

    def add(self, path: str, *, now_s: float) -> None:
        """Count one request; the query is no part of `path`."""
        key = (int(now_s // 60), path[:_LONGEST_PATH])
        self._counts[key] = self._counts.get(key, 0) + 1
        self._total += 1
        if len(self._counts) > MAX_ENTRIES:
            self._forgotten += self._counts.pop(next(iter(self._counts)))

    def to_dict(self) -> dict[str, Any]:
        """{"total", "forgotten", "requests": [{"minute", "path", "count"}]}, in the order of first requests."""
        listed = [
            {"minute": gb_text(minute * 60), "path": path, "count": count}
            for (minute, path), count in self._counts.items()
        ]
        return {"total": self._total, "forgotten": self._forgotten, "requests": listed}
