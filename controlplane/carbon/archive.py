"""Forecasts kept as they were issued, one file per `Identity`, for replays with true lead times."""

from __future__ import annotations

import logging
import math
import threading
import time
from pathlib import Path

import numpy as np

from controlplane.carbon.identity import Identity
from controlplane.carbon.series import CarbonSeries
from controlplane.files import safe_name, write_whole
from scheduler.issues import ForecastIssues, parse_issues
from scheduler.table import TraceError

_log = logging.getLogger(__name__)

KEPT_AHEAD_S = 96 * 3600.0
"""How far ahead a forecast is kept: no provider looks further, and a mistaken one must not crowd out the others."""


class IssueArchive:
    """Keeps the newest forecasts of each `Identity` in `directory`: see `ForecastIssues` of how many.

    A file is what `carbonrouter replay --forecasts` reads. An archive that cannot be written costs a warning, never
    a decision; one that cannot be read is set aside.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._issues: dict[Path, ForecastIssues] = {}
        self._busy: dict[Path, threading.Lock] = {}
        self._said: set[tuple[Path, str]] = set()

    def record(self, series: CarbonSeries, *, variant: str = "") -> None:
        """Keep what a series foresees from its issue on, up to `KEPT_AHEAD_S`; from any thread, blocks for the disk.

        `variant` is its source's, see `Identity`.
        """
        path = self._directory / f"{safe_name(Identity.of(series, variant).name('-'))}.csv"
        first = max(0, math.floor((series.issued_at_s - series.start_s) / series.slot_s))
        foreseen = series.newly_foreseen()[first:]
        if foreseen.size < 2 or not np.isfinite(foreseen).any():
            return
        values = foreseen[: max(2, int(KEPT_AHEAD_S // series.slot_s))]
        if values.size < foreseen.size:
            self._warn(path, f"forecasts of {path.stem} are kept {KEPT_AHEAD_S / 3600:g} h ahead, not to their end")
        begin_s = series.start_s + first * series.slot_s
        # Feeds that differ in their credentials alone share a file, and each is recorded in a thread of its own.
        with self._busy.setdefault(path, threading.Lock()):
            try:
                self._add(path, series.issued_at_s, begin_s, series.slot_s, values.tolist())
            except (OSError, ValueError) as error:
                self._warn(path, f"forecasts of {path.stem} are not kept: {error}")

    def _add(self, path: Path, issued_s: float, begin_s: float, slot_s: float, values: list[float]) -> None:
        issues = self._issues.get(path) or self._read(path)
        kept = issues.keep(issued_s, begin_s, slot_s, values)
        if kept.dropped > 1:
            _log.warning("%d forecasts of %s are dropped at once: is the clock right?", kept.dropped, path.stem)
        if kept != issues:
            self._write(path, kept)
        self._issues[path] = kept

    def _warn(self, path: Path, message: str) -> None:
        """Log a warning once, not with every forecast."""
        if (path, message) not in self._said:
            self._said.add((path, message))
            _log.warning("%s", message)

    def _read(self, path: Path) -> ForecastIssues:
        try:
            return parse_issues(path.read_text(encoding="utf-8"), name=str(path))
        except FileNotFoundError:
            return ForecastIssues()
        except (TraceError, UnicodeDecodeError) as error:
            aside = path.with_suffix(f".unusable-{time.time_ns()}")
            _log.warning("the kept forecasts in %s cannot be used (%s); set aside as %s", path, error, aside.name)
            path.rename(aside)
            return ForecastIssues()

    def _write(self, path: Path, issues: ForecastIssues) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, lambda file: file.writelines(issues.to_csv()))
