"""What is planned for the slots to come, as plain data."""

from __future__ import annotations

from typing import Any

from controlplane.session import ServiceSession
from controlplane.views.times import iso
from controlplane.views.words import why
from scheduler import TOTAL_WEIGHT

MOST_SLOTS = 2_000


def schedule_view(session: ServiceSession, now_s: float, *, slots: int) -> dict[str, Any]:
    """The weights in force with their end and reasons, and the shares planned for up to `slots` slots from this one.

    A plan is renewed at every decision: only what is in force now holds, until `valid_until`.
    """
    decision, intent = session.decision, session.intent
    live = intent is not None and intent.valid_until_s > now_s
    return {
        "time": iso(now_s),
        "namespace": session.spec.topology.namespace,
        "service": session.spec.topology.service,
        "weights": dict(intent.weights) if live and intent is not None else None,
        "valid_until": iso(intent.valid_until_s) if live and intent is not None else None,
        "expected_error": decision.expected_error if live and decision is not None else None,
        "why": why(session, now_s),
        "reasons": None if decision is None else decision.to_dict()["reasons"],
        "slots": _planned(session, count=slots) if live and decision is not None else [],
    }


def _planned(session: ServiceSession, *, count: int) -> list[dict[str, Any]]:
    decision = session.decision
    assert decision is not None  # noqa: S101 - the caller has looked
    names = [flavour.name for flavour in session.spec.flavours]
    errors = [flavour.error for flavour in session.spec.flavours]
    length_s = decision.slot_end_s - decision.slot_start_s
    shares = decision.planned_weights[: min(count, MOST_SLOTS)].copy()
    shares[0] = [decision.weights[name] / TOTAL_WEIGHT for name in names]
    foreseen = session.foreseen(decision.slot_start_s, slot_s=length_s, count=len(shares))
    return [
        {
            "start": iso(decision.slot_start_s + index * length_s),
            "end": iso(decision.slot_start_s + (index + 1) * length_s),
            "shares": dict(zip(names, map(float, row), strict=True)),
            "expected_error": float(sum(share * error for share, error in zip(row, errors, strict=True))),
            "carbon_g_per_kwh": foreseen[index],
        }
        for index, row in enumerate(shares)
    ]
