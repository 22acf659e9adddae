"""How fast work that may wait should be done now, and the replicas that follow: the reference's throttle, live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from controlplane.session import ServiceSession
from scheduler.processing import CreditBalance, ThrottleSettings, throttle, throttle_ceiling

_LOOK_AHEAD = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Speed of processing 0-1, what it comes from, and replicas by component."""

    throttle: float
    credit: CreditBalance
    intensity_ratio: float
    ceilings: Mapping[str, int]


def speed_of(session: ServiceSession, now_s: float) -> Speed:
    """The throttle on the forecast and the credit of one service."""
    configured = session.spec.processing
    settings = ThrottleSettings(
        least=configured.throttle_min_pct / 100,
        floor_g_per_kwh=configured.floor_g_per_kwh,
        ceiling_g_per_kwh=configured.ceiling_g_per_kwh,
    )
    credit, carbon = credit_of(session, now_s), _carbon_ahead(session)
    speed = throttle(carbon, credit=credit, settings=settings)
    span = settings.ceiling_g_per_kwh - settings.floor_g_per_kwh
    greenness = (settings.ceiling_g_per_kwh - float(carbon[:2].max())) / span if carbon.size else 1.0
    return Speed(
        throttle=speed,
        credit=credit,
        intensity_ratio=min(1.0, max(0.0, greenness)),
        ceilings={
            name: throttle_ceiling(speed, least=bounds.least, greatest=bounds.greatest)
            for name, bounds in configured.replicas.items()
        },
    )


def credit_of(session: ServiceSession, now_s: float) -> CreditBalance:
    """What the reference's policies keep; of others, the credit as a share of what the window has granted, -1 to 1."""
    decision = session.decision
    told = None if decision is None else decision.reasons.diagnostics.get("credit_balance")
    if told is not None:
        return CreditBalance(balance=told)
    books = session.books(now_s)
    granted = books.granted + books.carried
    return CreditBalance(balance=min(1.0, max(-1.0, books.credit / granted)) if granted > 0.0 else 0.0)


def _carbon_ahead(session: ServiceSession) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What is foreseen from this slot on, g/kWh; empty where nothing is."""
    decision = session.decision
    if decision is None:
        return np.zeros(0)
    slot_s = decision.slot_end_s - decision.slot_start_s
    foreseen = session.foreseen(decision.slot_start_s, slot_s=slot_s, count=_LOOK_AHEAD)
    return np.array([value for value in foreseen if value is not None], dtype=np.float64)
