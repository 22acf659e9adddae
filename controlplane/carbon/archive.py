"""Forecasts kept as they were issued, one file per zone, for replays with true lead times."""

from __future__ import annotations

import logging
import math
import os
import time
from pathlib import Path
from urllib.parse import quote

from controlplane.carbon.series import CarbonSeries
from scheduler.issues import ForecastIssues, parse_issues
from scheduler.table import TraceError

_log = logging.getLogger(__name__)


class IssueArchive:
    """Keeps the forecasts of the last 40 days of each source and zone in `directory`.

    A file is what `carbonrouter replay --forecasts` reads. An archive that cannot be written costs a warning, never
    a decision; one that cannot be read is set aside.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._issues: dict[Path, ForecastIssues] = {}

    def record(self, series: CarbonSeries) -> None:
        """Keep what a series foresees from its issue on; blocks for the disk."""
        path = self._directory / f"{quote(series.source, safe='')}-{quote(series.zone, safe='')}.csv"
        first = max(0, math.floor((series.issued_at_s - series.start_s) / series.slot_s))
        values = series.forecast_g_per_kwh[first:]
        if values.size < 2:
            return
        try:
            issues = self._issues.get(path) or self._read(path)
            kept = issues.keep(
                series.issued_at_s, series.start_s + first * series.slot_s, series.slot_s, values.tolist()
            )
            if kept != issues:
                self._write(path, kept)
            self._issues[path] = kept
        except (OSError, ValueError) as error:
            _log.warning("forecasts of %s are not kept: %s", path.stem, error)

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
        fresh = path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            file.writelines(issues.to_csv())
        os.replace(fresh, path)  # noqa: PTH105 - one call that says that it replaces
