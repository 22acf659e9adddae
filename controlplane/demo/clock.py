"""The demo's clock: it stops when the days are over."""

from __future__ import annotations

from controlplane.clock import ScaledClock


class StoppingClock(ScaledClock):
    """Runs `speed` times as fast as real time until it is stopped.

    Sleeping goes on at the same speed, so that an engine on a stopped clock goes on renewing what it decided last.
    """

    _stopped_s: float | None = None

    def now_s(self) -> float:
        """Seconds since the Unix epoch on this clock."""
        return super().now_s() if self._stopped_s is None else self._stopped_s

    def stop(self, at_s: float) -> None:
        """Stand at `at_s` from now on."""
        self._stopped_s = at_s
