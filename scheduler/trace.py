"""Recorded days and flavours from CSV text, read strictly: every complaint names file, line and column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scheduler import table
from scheduler.forecast import bridge
from scheduler.model import Flavour, FloatArray
from scheduler.table import Row, TraceError

_CARBON_ACTUAL = "carbon_actual_g_per_kwh"
_CARBON_FORECAST = "carbon_forecast_g_per_kwh"
_REQUESTS_ACTUAL = "requests_actual"
_REQUESTS_FORECAST = "requests_forecast"
_COLUMNS = (_CARBON_ACTUAL, _CARBON_FORECAST, _REQUESTS_ACTUAL, _REQUESTS_FORECAST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Equal slots of `slot_s` from `start_s`: carbon in g/kWh and requests per slot, arrays (T,).

    Empty cells are bridged in all arrays; `bridged` says in which columns and slots ("column: 3 empty ..."), and
    `unseen_carbon`, `unseen_requests` mark the slots whose actual value nobody observed, `unforeseen_carbon` those
    nobody foresaw. `origin` and `licence` say whose built-in data is; of files nothing is known.
    """

    name: str
    start_s: float
    slot_s: float
    carbon_actual: FloatArray
    carbon_forecast: FloatArray | None
    requests_actual: FloatArray | None
    requests_forecast: FloatArray | None
    unseen_carbon: frozenset[int] = frozenset()
    unseen_requests: frozenset[int] = frozenset()
    unforeseen_carbon: frozenset[int] = frozenset()
    bridged: tuple[str, ...] = ()
    origin: str = ""
    licence: str = ""


def parse_trace(lines: Iterable[str] | str, *, name: str) -> Trace:
    """Read a trace: columns time, carbon_actual_g_per_kwh and, optionally, carbon_forecast_g_per_kwh,
    requests_actual, requests_forecast, in any order; others are ignored. Times are ISO 8601, UTC if they say
    nothing else. Raises TraceError.
    """
    rows = list(table.rows(lines, name=name, required=("time", _CARBON_ACTUAL), optional=_COLUMNS))
    if len(rows) < 2:
        raise TraceError(f"{name}: a trace needs at least two rows of data, found {len(rows)}")
    start_s, slot_s = _grid(rows, name=name)
    columns: dict[str, FloatArray] = {}
    bridged: list[str] = []
    unseen: dict[str, frozenset[int]] = {}
    for column in _COLUMNS:
        if column not in rows[0][1]:
            continue
        cells = np.array([table.cell(row, column, name=name, minimum=_minimum(column)) for row in rows])
        holes = np.flatnonzero(np.isnan(cells))
        if holes.size == cells.size:
            raise TraceError(f"{name}: column {column}: every cell is empty")
        unseen[column] = frozenset(int(hole) for hole in holes)
        columns[column] = bridge(cells) if holes.size else cells
        if holes.size:
            shown = ", ".join(str(rows[hole][0]) for hole in holes[:5]) + (", ..." if holes.size > 5 else "")
            bridged.append(f"{column}: {holes.size} empty (line {shown})")
    return Trace(
        name=name,
        start_s=start_s,
        slot_s=slot_s,
        carbon_actual=columns[_CARBON_ACTUAL],
        carbon_forecast=columns.get(_CARBON_FORECAST),
        requests_actual=columns.get(_REQUESTS_ACTUAL),
        requests_forecast=columns.get(_REQUESTS_FORECAST),
        unseen_carbon=unseen[_CARBON_ACTUAL],
        unseen_requests=unseen.get(_REQUESTS_ACTUAL, frozenset()),
        unforeseen_carbon=unseen.get(_CARBON_FORECAST, frozenset()),
        bridged=tuple(bridged),
    )


def join(traces: Sequence[Trace], *, name: str) -> Trace:
    """One trace of several, in the given order, as if each began where the one before ended.

    A column that one of them lacks is left out. Raises TraceError on different lengths of slots.
    """
    first = traces[0]
    for trace in traces:
        if trace.slot_s != first.slot_s:
            raise TraceError(f"{trace.name}: slots of {trace.slot_s:g} s cannot follow slots of {first.slot_s:g} s")
    offsets = np.cumsum([0, *(trace.carbon_actual.size for trace in traces[:-1])]).tolist()

    def column(attribute: str) -> FloatArray | None:
        parts = [getattr(trace, attribute) for trace in traces]
        return None if any(part is None for part in parts) else np.concatenate(parts)

    def slots(attribute: str) -> frozenset[int]:
        return frozenset(
            offset + slot for offset, trace in zip(offsets, traces, strict=True) for slot in getattr(trace, attribute)
        )

    return Trace(
        name=name,
        start_s=first.start_s,
        slot_s=first.slot_s,
        carbon_actual=np.concatenate([trace.carbon_actual for trace in traces]),
        carbon_forecast=column("carbon_forecast"),
        requests_actual=column("requests_actual"),
        requests_forecast=column("requests_forecast"),
        unseen_carbon=slots("unseen_carbon"),
        unseen_requests=slots("unseen_requests"),
        unforeseen_carbon=slots("unforeseen_carbon"),
        bridged=tuple(f"{trace.name}: {what}" for trace in traces for what in trace.bridged),
        origin="; ".join(dict.fromkeys(trace.origin for trace in traces if trace.origin)),
        licence="; ".join(dict.fromkeys(trace.licence for trace in traces if trace.licence)),
    )


def parse_flavours(lines: Iterable[str] | str, *, name: str) -> tuple[Flavour, ...]:
    """Read flavours: columns flavour, error_pct, and energy_j or energy_ms_at_50w (busy milliseconds at 50 W).

    Raises TraceError.
    """
    flavours: dict[str, Flavour] = {}
    for row in table.rows(lines, name=name, required=("flavour", "error_pct")):
        line, cells = row
        column = "energy_j" if "energy_j" in cells else "energy_ms_at_50w"
        if column not in cells:
            raise TraceError(f"{name}:1: column energy_j or energy_ms_at_50w is missing")
        energy = table.filled(row, column, name=name)
        error = table.filled(row, "error_pct", name=name)
        if error > 100.0:
            raise TraceError(f"{name}:{line}: column error_pct: {error:g} is more than 100 %")
        label = cells["flavour"]
        if not label or label in flavours:
            problem = f"{label!r} was named before" if label else "the name is empty"
            raise TraceError(f"{name}:{line}: column flavour: {problem}")
        joules = energy if column == "energy_j" else energy * 50.0 / 1000.0
        flavours[label] = Flavour(name=label, error=error / 100.0, energy_j=joules)
    if not flavours:
        raise TraceError(f"{name}: no flavour in it")
    return tuple(flavours.values())


def _grid(rows: list[Row], *, name: str) -> tuple[float, float]:
    """Start and slot length of rows that are all equally far apart."""
    times = [table.moment(row, "time", name=name) for row in rows]
    slot_s = times[1] - times[0]
    for (line, cells), before, now in zip(rows[1:], times, times[1:], strict=False):
        if now <= before:
            raise TraceError(f"{name}:{line}: column time: {cells['time']!r} does not come after the row before")
        if abs(now - before - slot_s) > 1e-6 * slot_s:
            raise TraceError(
                f"{name}:{line}: column time: {cells['time']!r} comes {now - before:g} s after the row before, "
                f"but the first step is {slot_s:g} s"
            )
    return times[0], slot_s


def _minimum(column: str) -> float:
    return 0.0 if column in (_REQUESTS_ACTUAL, _REQUESTS_FORECAST) else -table.LARGEST
