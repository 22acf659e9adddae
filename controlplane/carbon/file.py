"""A recorded trace as a carbon source: no key, no network, and nothing known before its time."""

import asyncio
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from controlplane.carbon.errors import PermanentSourceError, TemporarySourceError
from controlplane.carbon.series import CarbonSeries, Kind
from controlplane.traces import read_trace
from scheduler.table import TraceError
from scheduler.trace import Trace

_DAY_S = 86_400.0
REPEAT_PAST_S = _DAY_S
REPEAT_FUTURE_S = 2 * _DAY_S


class FileSource:
    """The trace in a CSV file (see `scheduler.trace.parse_trace`), read again when the file changes.

    Actual values of slots that have not ended are withheld. Without a forecast column the recorded values stand
    in for the forecast, and a note says so. With `repeat`, the trace's whole days are laid end to end over all
    time, so that a time of day meets the same time of day; the series then reaches from one day before now to
    two days after.
    """

    name = "file"
    basis = "as recorded"
    # Reading a file bothers nobody, and actual values should be seen soon after their slot has ended.
    poll_s = 60.0

    def __init__(
        self,
        path: Path,
        *,
        zone: str | None = None,
        repeat: bool = False,
        kind: Kind = "average",
        licence: str = "as recorded",
    ) -> None:
        self.zone = zone or path.stem
        self._path = path
        self._repeat = repeat
        self.kind = kind
        self._licence = licence
        self._trace: Trace | None = None
        self._signature: tuple[int, int, int] | None = None

    async def fetch(self, *, now_s: float) -> CarbonSeries:
        """Return the trace as known at `now_s`.

        Raises:
            TemporarySourceError: the file cannot be read, or the trace has no value for `now_s` yet.
            PermanentSourceError: the file is no trace, is too large, or cannot be repeated by whole days.
        """
        trace = await asyncio.to_thread(self._current)
        first, indices = self._placed(trace, now_s=now_s)
        series = self._series(trace, first=first, indices=indices, now_s=now_s)
        # After its end a trace still tells what its last slots turned out to be.
        if now_s < series.end_s and not series.covers(now_s):
            raise TemporarySourceError(f"{self._path} has no value for now", source=self.name)
        return series

    async def aclose(self) -> None:
        """Nothing to release."""

    def _current(self) -> Trace:
        try:
            found = self._path.stat()
            signature = (found.st_mtime_ns, found.st_size, found.st_ino)
            if self._trace is not None and signature == self._signature:
                return self._trace
            trace = read_trace(self._path)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise TemporarySourceError(f"{self._path}: {reason}", source=self.name) from error
        except TraceError as error:
            raise PermanentSourceError(str(error), source=self.name) from error
        self._trace, self._signature = trace, signature
        return trace

    def _placed(self, trace: Trace, *, now_s: float) -> tuple[int, NDArray[np.int64]]:
        """Return (first slot, counted from the trace's start; indices (T,) into the trace, -1 for none)."""
        size = trace.carbon_actual.size
        if not self._repeat:
            return 0, np.arange(size)
        days = max(1, int(size * trace.slot_s // _DAY_S))
        period = days * _DAY_S / trace.slot_s
        if not period.is_integer():
            raise PermanentSourceError(
                f"{self._path}: slots of {trace.slot_s:g} s do not fill {days} days, so it cannot be repeated",
                source=self.name,
            )
        now_slot = int((now_s - trace.start_s) // trace.slot_s)
        first = now_slot - int(REPEAT_PAST_S // trace.slot_s)
        indices = np.arange(first, now_slot + int(REPEAT_FUTURE_S // trace.slot_s)) % int(period)
        return first, np.where(indices < size, indices, -1)

    def _series(self, trace: Trace, *, first: int, indices: NDArray[np.int64], now_s: float) -> CarbonSeries:
        start_s = trace.start_s + first * trace.slot_s
        observed = trace.carbon_actual.astype(np.float64)
        observed[list(trace.unseen_carbon)] = np.nan
        actual = np.where(indices < 0, np.nan, observed[indices])
        actual[start_s + (np.arange(indices.size) + 1) * trace.slot_s > now_s] = np.nan
        recorded = trace.carbon_actual if trace.carbon_forecast is None else trace.carbon_forecast
        return CarbonSeries(
            source=self.name,
            zone=self.zone,
            kind=self.kind,
            basis=self.basis,
            licence=self._licence,
            start_s=start_s,
            slot_s=trace.slot_s,
            forecast_g_per_kwh=np.where(indices < 0, np.nan, recorded[indices]),
            actual_g_per_kwh=actual,
            issued_at_s=now_s,
            notes=self._notes(trace, ended=now_s >= start_s + indices.size * trace.slot_s),
        )

    def _notes(self, trace: Trace, *, ended: bool) -> tuple[str, ...]:
        notes = [f"bridged {text}" for text in trace.bridged]
        if trace.carbon_forecast is None:
            notes.append("no forecast column: the recorded values stand in for the forecast")
        if self._repeat:
            notes.append("recorded trace replayed")
        if ended:
            notes.append("the trace has ended")
        return tuple(notes)
