"""What a zone's intensity turned out to be, kept over restarts: once per zone, not once per service."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from typing import Protocol

from controlplane.carbon.identity import Identity
from controlplane.carbon.series import CarbonSeries, CarbonSource
from controlplane.store import State, StateStore, StoreError
from scheduler import CarbonHistory

_log = logging.getLogger(__name__)
_VERSION = 1


class Remembered(Protocol):
    """Where a feed keeps what it has observed."""

    def load(self) -> CarbonHistory:
        """What was kept last; empty if there is none."""
        ...

    def save(self, history: CarbonHistory) -> None:
        """Keep it; blocks for the disk and never raises for it."""
        ...


class ZoneMemory:
    """Keeps one zone's history in a state store, under its `Identity`: averages and marginal ones never mix.

    Feeds of one identity that differ in their credentials alone share one memory, and nothing that one of them saves
    is lost when another saves less. What cannot be read is set aside, and what cannot be written costs a warning:
    estimates get better with a past, decisions need none.
    """

    def __init__(self, store: StateStore, source: CarbonSource, *, variant: str = "") -> None:
        self._store = store
        self._key = Identity.of(source, variant).name("/")
        self._kept = CarbonHistory()
        self._busy = threading.Lock()

    def load(self) -> CarbonHistory:
        """What was kept last; empty if there is none."""
        with self._busy:
            if not self._kept.slots:
                self._kept = self._loaded()
            return self._kept

    def save(self, history: CarbonHistory) -> None:
        """Keep it, with what was kept before; blocks for the disk."""
        with self._busy:
            for start_s, actual, forecast in history.slots:
                self._kept = self._kept.observe(start_s, actual=actual, forecast=forecast)
            try:
                self._store.save(self._key, {"version": _VERSION, "slots": self._kept.to_list()})
            except OSError as error:
                _log.warning("what was observed of %s is not kept: %s", self._key, error)

    def _loaded(self) -> CarbonHistory:
        try:
            state = self._store.load(self._key)
            try:
                return CarbonHistory() if state is None else _read(state)
            except ValueError as error:
                self._store.set_aside(self._key, str(error))
        except StoreError as error:
            _log.warning("what was observed of %s is not used: %s", self._key, error)
        return CarbonHistory()


def _read(state: State) -> CarbonHistory:
    if state.get("version") != _VERSION:
        raise ValueError(f"its version is {state.get('version')!r}, not {_VERSION}")
    return CarbonHistory.from_list(state.get("slots"))


def observed(history: CarbonHistory, series: CarbonSeries, *, now_s: float) -> CarbonHistory:
    """The history with what `series` knows of the slots that began before `now_s`."""
    for start_s, forecast, actual in _known_slots(series, before_s=now_s):
        if actual is not None:
            history = history.observe(start_s, actual=actual, forecast=forecast)
    return history


def _known_slots(series: CarbonSeries, *, before_s: float) -> Iterator[tuple[float, float | None, float | None]]:
    """(start, forecast, actual) of the slots that began before `before_s`; None where the source has no value."""
    for index, pair in enumerate(
        zip(series.forecast_g_per_kwh.tolist(), series.actual_g_per_kwh.tolist(), strict=True)
    ):
        start_s = series.start_s + index * series.slot_s
        if start_s > before_s:
            return
        forecast, actual = (value if math.isfinite(value) else None for value in pair)
        yield start_s, forecast, actual
