"""One service as plain data: the decision in force and why, the budget, the source, and what was saved."""

from __future__ import annotations

from typing import Any

from controlplane.accounting import Summary
from controlplane.processing import speed_of
from controlplane.session import ServiceSession
from controlplane.views.conditions import conditions_of, trouble_of
from controlplane.views.sources import source_view
from controlplane.views.times import iso
from controlplane.views.words import why
from scheduler import Books

TOTAL_PCT = 100.0


def service_view(session: ServiceSession, now_s: float) -> dict[str, Any]:
    """Everything about one service, JSON-safe. Shares are fractions, times ISO 8601 in UTC."""
    start_s, end_s = session.window(now_s)
    speed = speed_of(session, now_s)
    return {
        "time": iso(now_s),
        **_identity(session),
        "policy": session.spec.settings.policy,
        "flavours": _flavours(session),
        **_in_force(session, now_s),
        "reasons": None if session.decision is None else session.decision.to_dict()["reasons"],
        "why": why(session, now_s),
        "conditions": conditions_of(session, now_s),
        "budget": budget_view(session, now_s),
        "carbon": {
            **source_view(session.feed, now_s),
            "now_g_per_kwh": None if session.decision is None else session.decision.reasons.carbon_now_g_per_kwh,
            "expected_range_g_per_kwh": session.carbon_range(now_s),
        },
        "demand": _demand(session),
        "processing": {"throttle": speed.throttle, "ceilings": dict(speed.ceilings)},
        "window": summary_view(session.summary(start_s, end_s)),
    }


def service_line(session: ServiceSession, now_s: float) -> dict[str, Any]:
    """One service in a list: what tells whether it is well, and what it saves."""
    start_s, end_s = session.window(now_s)
    summary = session.summary(start_s, end_s)
    books = session.books(now_s)
    return {
        **_identity(session),
        "policy": session.spec.settings.policy,
        "flavours": [flavour.name for flavour in session.spec.topology.flavours],
        **_in_force(session, now_s),
        "max_error": session.spec.settings.max_error,
        "mean_error": books.mean_error if books.requests else None,
        "credit": books.credit,
        "carbon_now_g_per_kwh": None if session.decision is None else session.decision.reasons.carbon_now_g_per_kwh,
        "source": session.feed.status(now_s).source,
        "zone": session.feed.status(now_s).zone,
        "source_state": session.feed.status(now_s).state,
        "requests": summary.requests,
        "saving_vs_always_best_pct": summary.saving_vs_always_best_pct,
        "gain_vs_blind_mix_pct": summary.gain_vs_blind_mix_pct,
        "gap_to_clairvoyant_pct": summary.gap_to_clairvoyant_pct,
        "trouble": trouble_of(session, now_s),
    }


def summary_view(summary: Summary) -> dict[str, Any]:
    """A summary with its ratios, JSON-safe; grams are g CO2e."""
    return {
        "requests": summary.requests,
        "served": dict(summary.served),
        "failed_attempts": summary.failed_attempts,
        "mean_error": summary.mean_error,
        "grams": summary.grams,
        "always_best_g": summary.always_best_g,
        "carbon_blind_mix_g": summary.carbon_blind_mix_g,
        "clairvoyant_g": summary.clairvoyant_g,
        "saving_vs_always_best_pct": summary.saving_vs_always_best_pct,
        "gain_vs_blind_mix_pct": summary.gain_vs_blind_mix_pct,
        "gap_to_clairvoyant_pct": summary.gap_to_clairvoyant_pct,
        "requests_without_carbon": summary.requests_without_carbon,
        "requests_on_forecast": summary.requests_on_forecast,
        "requests_left_out": summary.requests_left_out,
        "energy_j_per_request_reported": dict(summary.metered_j_per_request),
    }


def budget_view(session: ServiceSession, now_s: float) -> dict[str, Any]:
    """The promise and the books: of the window that is open, and of the one before it."""
    ledger, settings = session.controller.state.ledger, session.spec.settings
    previous = ledger.before(settings.window, now_s)
    return {
        "max_error": settings.max_error,
        **_books(session.books(now_s)),
        "previous_window": None if previous is None else _books(previous),
        "windows_closed": session.verdicts.closed,
        "windows_exceeded": session.verdicts.exceeded,
    }


def _books(books: Books) -> dict[str, Any]:
    return {
        "window_start": iso(books.start_s),
        "window_end": iso(books.end_s),
        "requests": books.requests,
        "error_requests": books.error_requests,
        "mean_error": books.mean_error if books.requests else None,
        "granted": books.granted,
        "carried": books.carried,
        "credit": books.credit,
        "held": books.held,
    }


def _demand(session: ServiceSession) -> dict[str, Any]:
    """Who says what demand is to come, and how far off the learned forecast was a day ahead."""
    pattern = session.controller.state.pattern
    return {
        "source": "configured" if session.spec.demand is not None else "learned from counts",
        "learned_error": pattern.error,
        "learned_bias": pattern.bias,
    }


def _identity(session: ServiceSession) -> dict[str, Any]:
    return {"namespace": session.spec.topology.namespace, "service": session.spec.topology.service}


def _flavours(session: ServiceSession) -> list[dict[str, Any]]:
    """Best first."""
    endpoints = {target.name: len(target.endpoints) for target in session.spec.topology.flavours}
    return [
        {
            "name": flavour.name,
            "precision_pct": TOTAL_PCT * (1.0 - flavour.error),
            "energy_j": flavour.energy_j,
            "embodied_g": session.spec.embodied_g.get(flavour.name, 0.0),
            "endpoints": endpoints[flavour.name],
        }
        for flavour in sorted(session.spec.flavours, key=lambda each: each.error)
    ]


def _in_force(session: ServiceSession, now_s: float) -> dict[str, Any]:
    """What is commanded, until when, what was measured in this slot, and what a person imposed.

    A schedule that has ended is not shown: nobody may go by it.
    """
    intent = session.intent if session.intent is not None and session.intent.valid_until_s > now_s else None
    override, pause = session.steering.override, session.steering.pause
    return {
        "weights": None if intent is None else dict(intent.weights),
        "valid_until": None if intent is None else iso(intent.valid_until_s),
        "measured_split": session.account.peek(now_s).split(),
        "override": None
        if override is None
        else {"weights": dict(override.weights), "until": iso(override.until_s), "reason": override.reason},
        "paused": None
        if pause is None
        else {"until": None if pause.until_s is None else iso(pause.until_s), "reason": pause.reason},
    }
