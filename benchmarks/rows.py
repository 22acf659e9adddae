"""What a benchmark gives back, and how it is printed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """One figure; what it is to be compared with stands beside it in the same run."""

    name: str
    value: float
    unit: str
    note: str = ""


def median_s(what: Callable[[], object], *, repeat: int) -> float:
    """The median time of `repeat` calls, after one to warm up."""
    what()
    times = []
    for _ in range(repeat):
        began_s = time.perf_counter()
        what()
        times.append(time.perf_counter() - began_s)
    return statistics.median(times)


def show(rows: Iterable[Row]) -> None:
    """Print one line per row."""
    for row in rows:
        print(f"{row.name:<55} {row.value:>10.3f} {row.unit:<3} {row.note}")
