"""The reference system's scenarios as traces: synthetic carbon patterns to replay both systems on.

Package data, see scheduler/data/README.md for origin and licence. A scenario is its own perfect forecast, which no
real provider is: figures won on one say how a policy reacts, not what it saves on a grid.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import TypeVar

import numpy as np

from scheduler.model import Flavour
from scheduler.trace import Trace

_Pattern = TypeVar("_Pattern")

ORIGIN = "synthetic scenario of the reference system k8s-carbonrouter"

REFERENCE_FLAVOURS = (
    Flavour(name="precision-100", error=0.0, energy_j=1.0),
    Flavour(name="precision-50", error=0.5, energy_j=0.6),
    Flavour(name="precision-30", error=0.7, energy_j=0.3),
)
"""The reference system's flavours; it knows only ratios of energy, so grams on them mean nothing by themselves."""

START_S = 1_735_689_600.0
"""When every scenario begins, 2025-01-01T00:00Z. The patterns carry offsets and no date."""


def scenario_names() -> tuple[str, ...]:
    """Return the names of the carbon scenarios, sorted."""
    return tuple(sorted(_carbon()))


def demand_names() -> tuple[str, ...]:
    """Return the names of the demand patterns, sorted."""
    return tuple(sorted(_demand()))


def scenario(name: str, *, repeat: int = 1, demand: str | None = None) -> Trace:
    """Return a carbon scenario as a trace of `repeat` times its pattern, in slots of its own length.

    `carbon_forecast` equals `carbon_actual`: the scenario is its own perfect forecast. Requests are None, a
    constant demand, unless `demand` names a pattern: then the pattern is repeated from the first slot on, one
    number per slot whatever its length, actual = forecast. The reference's "demand-scenario" never drove its load
    (it was set beside 5-s samples afterwards), so requests from it reproduce no run of theirs.

    Underscores in names stand for hyphens. Raises ValueError on an unknown name and on `repeat` < 1.
    """
    offsets, values = _found(_carbon(), name, what="scenario")
    if repeat < 1:
        raise ValueError(f"a scenario is repeated at least once, not {repeat!r} times")
    carbon = np.tile(np.array(values), repeat)
    requests = None
    if demand is not None:
        requests = np.resize(np.array(_found(_demand(), demand, what="demand pattern")), carbon.size)
    return Trace(
        name=_key(name),
        start_s=START_S,
        slot_s=offsets[1] - offsets[0],
        carbon_actual=carbon,
        carbon_forecast=carbon.copy(),
        requests_actual=requests,
        requests_forecast=None if requests is None else requests.copy(),
        origin=ORIGIN,
        licence="Apache-2.0",
    )


def _key(name: str) -> str:
    return name.replace("_", "-")


def _found(known: Mapping[str, _Pattern], name: str, *, what: str) -> _Pattern:
    try:
        return known[_key(name)]
    except KeyError:
        raise ValueError(f"no {what} is named {name!r}; there are {', '.join(sorted(known))}") from None


@cache
def _carbon() -> Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Offsets in seconds and g/kWh by scenario."""
    columns: dict[str, list[tuple[float, float]]] = {}
    for row in _rows("scenarios.csv"):
        columns.setdefault(row["scenario"], []).append((float(row["offset_s"]), float(row["carbon_g_per_kwh"])))
    return {name: (tuple(at for at, _ in cells), tuple(g for _, g in cells)) for name, cells in columns.items()}


@cache
def _demand() -> Mapping[str, tuple[float, ...]]:
    """Requests per slot by pattern."""
    columns: dict[str, list[float]] = {}
    for row in _rows("demand.csv"):
        columns.setdefault(row["pattern"], []).append(float(row["requests"]))
    return {name: tuple(cells) for name, cells in columns.items()}


def _rows(file: str) -> Iterator[dict[str, str]]:
    text = (files("scheduler") / "data" / file).read_text(encoding="utf-8")
    return csv.DictReader(text.splitlines())
