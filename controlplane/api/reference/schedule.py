"""A schedule in the reference's shape."""

from __future__ import annotations

from typing import Any

from controlplane.processing import speed_of
from controlplane.session import ServiceSession
from controlplane.views import iso
from scheduler import TOTAL_WEIGHT


def schedule_of(session: ServiceSession, now_s: float) -> dict[str, Any] | None:
    """Weights in percent with all that the reference tells beside them; None where no schedule is in force."""
    intent, decision = session.intent, session.decision
    if intent is None or decision is None or intent.valid_until_s <= now_s:
        return None
    percent = _percent(intent.weights)
    most = max(flavour.energy_j for flavour in session.spec.flavours) or 1.0
    speed = speed_of(session, now_s)
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
            "balance": speed.credit.balance,
            "velocity": session.spec.settings.max_error - mean_error,
            "target": session.spec.settings.max_error,
            "min": speed.credit.least,
            "max": speed.credit.greatest,
        },
        "policy": {"name": session.spec.settings.policy},
        "diagnostics": dict(decision.reasons.diagnostics),
        "avgPrecision": 1.0 - mean_error,
        "processing": {
            "throttle": speed.throttle,
            "creditsRatio": speed.credit.share,
            "intensityRatio": speed.intensity_ratio,
            "ceilings": dict(speed.ceilings),
        },
    }


def _percent(weights: Any) -> dict[str, int]:
    """Whole percents that sum to 100: rounded, and what is left over goes to the largest, as the reference does."""
    rounded = {name: round(100 * weight / TOTAL_WEIGHT) for name, weight in weights.items()}
    largest = max(weights, key=lambda name: weights[name])
    if (
        sum(rounded.values()) - 100 > rounded[largest]
    ):  # of many small ones more were rounded up than it can make up for
        rounded = {name: 100 * weight // TOTAL_WEIGHT for name, weight in weights.items()}
    rounded[largest] += 100 - sum(rounded.values())
    return rounded
