"""Recorded days and flavours from CSV text, read strictly: every complaint names file, line and column."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from scheduler.forecast import bridge
from scheduler.model import Flavour, FloatArray

MOST_ROWS = 200_000
LARGEST = 1e12

_CARBON_ACTUAL = "carbon_actual_g_per_kwh"
_CARBON_FORECAST = "carbon_forecast_g_per_kwh"
_REQUESTS_ACTUAL = "requests_actual"
_REQUESTS_FORECAST = "requests_forecast"
_COLUMNS = (_CARBON_ACTUAL, _CARBON_FORECAST, _REQUESTS_ACTUAL, _REQUESTS_FORECAST)

Row = tuple[int, dict[str, str]]


class TraceError(ValueError):
    """A trace or flavour file that cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Equal slots of `slot_s` from `start_s`: carbon in g/kWh and requests per slot, arrays (T,).

    Empty cells are bridged in all arrays; `bridged` says in which columns and slots ("column: 3 empty ..."), and
    `unseen_carbon`, `unseen_requests` (T,) mark the slots whose actual value nobody observed.
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
    bridged: tuple[str, ...] = ()


def parse_trace(lines: Iterable[str] | str, *, name: str) -> Trace:
    """Read a trace: columns time, carbon_actual_g_per_kwh and, optionally, carbon_forecast_g_per_kwh,
    requests_actual, requests_forecast, in any order; others are ignored. Times are ISO 8601, UTC if they say
    nothing else. Raises TraceError.
    """
    rows = list(_rows(lines, name=name, required=("time", _CARBON_ACTUAL)))
    if len(rows) < 2:
        raise TraceError(f"{name}: a trace needs at least two rows of data, found {len(rows)}")
    start_s, slot_s = _grid(rows, name=name)
    columns: dict[str, FloatArray] = {}
    bridged: list[str] = []
    unseen: dict[str, frozenset[int]] = {}
    for column in _COLUMNS:
        if column not in rows[0][1]:
            continue
        cells = np.array([_cell(row, column, name=name, minimum=_minimum(column)) for row in rows])
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
        bridged=tuple(bridged),
    )


def parse_flavours(lines: Iterable[str] | str, *, name: str) -> tuple[Flavour, ...]:
    """Read flavours: columns flavour, error_pct, and energy_j or energy_ms_at_50w (busy milliseconds at 50 W).

    Raises TraceError.
    """
    flavours: dict[str, Flavour] = {}
    for row in _rows(lines, name=name, required=("flavour", "error_pct")):
        line, cells = row
        column = "energy_j" if "energy_j" in cells else "energy_ms_at_50w"
        if column not in cells:
            raise TraceError(f"{name}:1: column energy_j or energy_ms_at_50w is missing")
        energy = _filled(row, column, name=name)
        error = _filled(row, "error_pct", name=name)
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


def _rows(lines: Iterable[str] | str, *, name: str, required: tuple[str, ...]) -> Iterator[Row]:
    """Yield (line number, cells by column), skipping empty lines."""
    reader = csv.reader(lines.splitlines() if isinstance(lines, str) else lines, strict=True)
    header: list[str] | None = None
    count = 0
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(cells, name=name, line=reader.line_num, required=required)
                continue
            if len(cells) != len(header):
                raise TraceError(f"{name}:{reader.line_num}: {len(cells)} cells, but the header has {len(header)}")
            count += 1
            if count > MOST_ROWS:
                raise TraceError(f"{name}:{reader.line_num}: more than {MOST_ROWS} rows")
            yield reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=True))
    except csv.Error as error:
        raise TraceError(f"{name}:{reader.line_num}: not CSV: {error}") from error
    if header is None:
        raise TraceError(f"{name}: the file is empty")


def _header(cells: list[str], *, name: str, line: int, required: tuple[str, ...]) -> list[str]:
    header = [cell.removeprefix("\ufeff").strip() for cell in cells]
    for column in required:
        if column not in header:
            raise TraceError(f"{name}:{line}: column {column} is missing (found {', '.join(header)[:200]})")
    for column in (*required, *_COLUMNS):
        if header.count(column) > 1:
            raise TraceError(f"{name}:{line}: column {column} appears twice")
    return header


def _grid(rows: list[Row], *, name: str) -> tuple[float, float]:
    """Start and slot length of rows that are all equally far apart."""
    times = [_time(row, name=name) for row in rows]
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


def _time(row: Row, *, name: str) -> float:
    line, cells = row
    try:
        moment = datetime.fromisoformat(cells["time"])
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise TraceError(f"{name}:{line}: column time: {cells['time'][:60]!r} is not an ISO 8601 time") from error


def _minimum(column: str) -> float:
    return 0.0 if column in (_REQUESTS_ACTUAL, _REQUESTS_FORECAST) else -LARGEST


def _cell(row: Row, column: str, *, name: str, minimum: float) -> float:
    """Value of a cell, NaN when it is empty."""
    line, cells = row
    text = cells[column]
    if not text:
        return math.nan
    where = f"{name}:{line}: column {column}"
    try:
        value = float(text)
    except ValueError as error:
        raise TraceError(f"{where}: {text[:60]!r} is not a number") from error
    if not math.isfinite(value):
        raise TraceError(f"{where}: {text[:60]!r} is not a finite number")
    if not minimum <= value <= LARGEST:
        raise TraceError(f"{where}: {text[:60]} is not between {minimum:g} and {LARGEST:g}")
    return value


def _filled(row: Row, column: str, *, name: str) -> float:
    value = _cell(row, column, name=name, minimum=0.0)
    if math.isnan(value):
        raise TraceError(f"{name}:{row[0]}: column {column}: the cell is empty")
    return value
