"""A recorded day as its senders tell it: who was served how often, in which quarter of an hour, of which service."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from controlplane.views import iso
from scheduler import parse_trace

DAY = Path(__file__).parents[2] / "examples" / "demo" / "day.csv"
START_S = 1_679_464_800.0
"""Wednesday, 22 March 2023, 06:00: windows of a week, which begin on Thursdays, and of a day change at midnight."""
DAY_S = 86_400.0
LEAP_S = 900.0
MAX_ERROR_PCT = 4.0
FLAVOURS: dict[str, tuple[float, float]] = {"high": (100.0, 10.0), "mid": (95.0, 6.0), "low": (90.0, 1.0)}
"""Precision in percent, joules."""
IN_FILE = "default/filed"
BUDGETS: dict[str, dict[str, Any]] = {
    IN_FILE: {},
    "default/week": {"window": "7d"},
    "default/rolling": {"window": "22h", "rolling": True},
    "default/carried": {"window": "20h", "carry_over_pct": 50},
}


@dataclass(frozen=True, slots=True)
class Told:
    """What one sender tells at once."""

    service: str
    sequence: int
    since_s: float
    until_s: float
    served: Mapping[str, int]

    def body(self) -> dict[str, Any]:
        """The same as the API takes it."""
        return {
            "sender": f"gateway-of-{self.service.partition('/')[2]}",
            "sequence": self.sequence,
            "since": iso(self.since_s),
            "until": iso(self.until_s),
            "served": dict(self.served),
        }


def terms(budget: Mapping[str, Any], *, cheapest_j: float = 1.0) -> dict[str, Any]:
    """A service as the file and the API take it; `cheapest_j` may change while it runs."""
    return {
        "budget": {"max_error_pct": MAX_ERROR_PCT, **budget},
        "flavours": [
            {"name": name, "precision_pct": precision_pct, "energy_j": cheapest_j if name == "low" else energy_j}
            for name, (precision_pct, energy_j) in FLAVOURS.items()
        ],
    }


def counts(service: str) -> Iterator[Told]:
    """The day of one service from `START_S`, in order of time; always the same."""
    requests = parse_trace(DAY.read_text(), name=DAY.stem).requests_actual
    assert requests is not None
    draws = np.random.default_rng(sorted(BUDGETS).index(service))
    moments = itertools.count(START_S, LEAP_S)
    a_slot = round(1800 / LEAP_S)
    # The recording begins at midnight.
    ours = np.roll(requests, -round(START_S % DAY_S / 1800))
    for sequence, (count, since_s) in enumerate(zip(np.repeat(ours, a_slot) / a_slot, moments, strict=False)):
        drawn = draws.multinomial(round(float(count)), (0.6, 0.25, 0.15)).tolist()
        yield Told(service, sequence, since_s, since_s + LEAP_S, dict(zip(FLAVOURS, drawn, strict=True)))


def sums(service: str, *, length_s: float) -> dict[float, Counter[str]]:
    """Answers by flavour in each window of `length_s` from the epoch on, by its start: counted without an engine."""
    found: dict[float, Counter[str]] = {}
    for told in counts(service):
        found.setdefault(told.since_s // length_s * length_s, Counter()).update(told.served)
    return found
