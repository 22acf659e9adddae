"""Shared by the scheduler's tests: the recorded days, and a controller driven through a day of any demand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scheduler import TOTAL_WEIGHT, Books, Controller, Flavour, Outlook, Trace, parse_flavours, parse_trace

DATA = Path(__file__).parent / "data"
SLOT_S = 1800.0
START_S = 1_700_006_400.0  # a midnight

FLAVOURS = (
    Flavour(name="high", error=0.0, energy_j=5.0),
    Flavour(name="medium", error=0.045, energy_j=3.3),
    Flavour(name="low", error=0.134, energy_j=1.8),
)


def day(name: str) -> Trace:
    return parse_trace((DATA / f"{name}.csv").read_text(), name=f"{name}.csv")


def paper_flavours() -> tuple[Flavour, ...]:
    return parse_flavours((DATA / "flavours_paper.csv").read_text(), name="flavours_paper.csv")


def serve(controller: Controller, outlook: Outlook, *, slot: int, requests: float) -> dict[str, float]:
    """Decide for one slot, serve its requests exactly by weight, report them; returns the answers by flavour."""
    decision = controller.decide(outlook, now_s=outlook.start_of(slot))
    counts = {name: weight / TOTAL_WEIGHT * requests for name, weight in decision.weights.items()}
    controller.observe_requests(counts, until_s=outlook.start_of(slot + 1))
    return counts


def books_of(controller: Controller, now_s: float = START_S) -> Books:
    """The books of the window that holds `now_s`."""
    return controller.state.ledger.open(controller.settings.window, now_s)


def outlook(*, carbon: object = None, requests: object = None, start_s: float = START_S) -> Outlook:
    return Outlook(
        start_s=start_s,
        slot_s=SLOT_S,
        carbon_g_per_kwh=None if carbon is None else np.asarray(carbon, dtype=float),
        requests=None if requests is None else np.asarray(requests, dtype=float),
    )
