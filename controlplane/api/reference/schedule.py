"""A schedule in the reference's shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from controlplane.session import ServiceSession
from controlplane.views import iso
from scheduler import TOTAL_WEIGHT
from scheduler.processing import CreditBalance, ThrottleSettings, throttle, throttle_ceiling

_LOOK_AHEAD = 6


def schedule_of(session: ServiceSession, now_s: float) -> dict[str, Any] | None:
    """Weights in percent with all that the reference tells beside them; None where no schedule is in force."""
    intent, decision = session.intent, session.decision
    if intent is None or decision is None or intent.valid_until_s <= now_s:
        return None
    percent = _percent(intent.weights)
    most = max(flavour.energy_j for flavour in session.spec.flavours) or 1.0
    balance = _balance(session, now_s)
    mean_error = decision.expected_error
    return {
        "flavourWeights": percent,
        "flavours": [
            {
                "name": flavour.name,
                "precision": round(100.0 * (1.0 - flavour.error), 6),
                "weight": percent[flavour.name],
                "carbonIntensity": flavour.energy_j / most,
                "enabled": True,
            }
            for flavour in sorted(session.spec.flavours, key=lambda each: each.error)
        ],
        "validUntil": iso(intent.valid_until_s),
        "credits": {
            "balance": balance.balance,
            "velocity": session.spec.settings.max_error - mean_error,
            "target": session.spec.settings.max_error,
            "min": balance.least,
            "max": balance.greatest,
        },
        "policy": {"name": session.spec.settings.policy},
        "diagnostics": dict(decision.reasons.diagnostics),
        "avgPrecision": 1.0 - mean_error,
        "processing": _processing(session, balance),
    }


def credit_of(session: ServiceSession, now_s: float) -> float:
    """The balance as the reference tells it."""
    return _balance(session, now_s).balance


def _balance(session: ServiceSession, now_s: float) -> CreditBalance:
    """What its own policies keep; of ours, the credit as a share of what the window has granted so far, -1 to 1."""
    decision = session.decision
    told = None if decision is None else decision.reasons.diagnostics.get("credit_balance")
    if told is not None:
        return CreditBalance(balance=told)
    books = session.books(now_s)
    granted = books.granted + books.carried
    return CreditBalance(balance=min(1.0, max(-1.0, books.credit / granted)) if granted > 0.0 else 0.0)


def _percent(weights: Any) -> dict[str, int]:
    """Whole percents that sum to 100: rounded, and what is left over goes to the largest, as the reference does."""
    rounded = {name: round(100 * weight / TOTAL_WEIGHT) for name, weight in weights.items()}
    largest = max(weights, key=lambda name: weights[name])
    rounded[largest] += 100 - sum(rounded.values())
    return rounded


def _processing(session: ServiceSession, balance: CreditBalance) -> dict[str, Any]:
    """The reference's throttle on our forecast, and the ceilings that follow from it."""
    processing, decision = session.spec.processing, session.decision
    settings = ThrottleSettings(
        least=processing.throttle_min_pct / 100,
        floor_g_per_kwh=processing.floor_g_per_kwh,
        ceiling_g_per_kwh=processing.ceiling_g_per_kwh,
    )
    assert decision is not None  # noqa: S101 - the caller has looked
    slot_s = decision.slot_end_s - decision.slot_start_s
    foreseen = session.foreseen(decision.slot_start_s, slot_s=slot_s, count=_LOOK_AHEAD)
    carbon = np.array([value for value in foreseen if value is not None], dtype=np.float64)
    speed = throttle(carbon, credit=balance, settings=settings)
    span = settings.ceiling_g_per_kwh - settings.floor_g_per_kwh
    worst = float(carbon[:2].max()) if carbon.size else None
    intensity = 1.0 if worst is None else min(1.0, max(0.0, (settings.ceiling_g_per_kwh - worst) / span))
    return {
        "throttle": speed,
        "creditsRatio": balance.share,
        "intensityRatio": intensity,
        "ceilings": {
            name: throttle_ceiling(speed, least=bounds.least, greatest=bounds.greatest)
            for name, bounds in processing.replicas.items()
        },
    }
