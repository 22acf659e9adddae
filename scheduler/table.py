"""CSV text read strictly: every complaint names file, line and column."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

MOST_ROWS = 200_000
LARGEST = 1e12

Row = tuple[int, dict[str, str]]


class TraceError(ValueError):
    """A trace or flavour file that cannot be used; the message says where and why."""


def rows(
    lines: Iterable[str] | str, *, name: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Iterator[Row]:
    """Yield (line number, cells by column) of CSV text, skipping empty lines.

    Columns that are required must be there, and neither these nor the optional ones twice. Raises TraceError.
    """
    reader = csv.reader(lines.splitlines() if isinstance(lines, str) else lines, strict=True)
    header: list[str] | None = None
    count = 0
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(cells, name=name, line=reader.line_num, required=required, optional=optional)
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


def _header(
    cells: list[str], *, name: str, line: int, required: tuple[str, ...], optional: tuple[str, ...]
) -> list[str]:
    header = [cell.removeprefix("\ufeff").strip() for cell in cells]
    for column in required:
        if column not in header:
            raise TraceError(f"{name}:{line}: column {column} is missing (found {', '.join(header)[:200]})")
    for column in (*required, *optional):
        if header.count(column) > 1:
            raise TraceError(f"{name}:{line}: column {column} appears twice")
    return header


def moment(row: Row, column: str, *, name: str) -> float:
    """Epoch seconds of an ISO 8601 cell, UTC if it says nothing else."""
    line, cells = row
    try:
        time = datetime.fromisoformat(cells[column])
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise TraceError(f"{name}:{line}: column {column}: {cells[column][:60]!r} is not an ISO 8601 time") from error


def cell(row: Row, column: str, *, name: str, minimum: float) -> float:
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


def filled(row: Row, column: str, *, name: str) -> float:
    """Value >= 0 of a cell that must not be empty."""
    value = cell(row, column, name=name, minimum=0.0)
    if math.isnan(value):
        raise TraceError(f"{name}:{row[0]}: column {column}: the cell is empty")
    return value
