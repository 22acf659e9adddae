"""The engine's state as plain data, for the API, the demo's view, and whoever asks "why this split?"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from controlplane.accounting import Summary
from controlplane.carbon import FeedStatus
from controlplane.engine import Engine
from controlplane.session import ServiceSession
from scheduler import Books
from scheduler.constraints import BUDGET_UNMET, CONDITIONS
from xds import ProxyStatus


def engine_status(engine: Engine, proxies: Sequence[ProxyStatus]) -> dict[str, Any]:
    """Everything about every service and proxy, JSON-safe. Shares are fractions, times ISO 8601 in UTC."""
    now_s = engine.clock.now_s()
    return {
        "time": iso(now_s),
        "services": [service_status(session, now_s) for _, session in sorted(engine.sessions.items())],
        "proxies": [proxy_status(proxy) for proxy in proxies],
        "feedback": {
            "reports": engine.feedback.reports,
            "unreported_seconds": round(engine.feedback.unreported_s, 3),
            "state_write_failures": engine.writer.failures,
        },
    }


def service_status(session: ServiceSession, now_s: float) -> dict[str, Any]:
    """One service: the decision in force and why, the budget, the source, and what was saved in this window."""
    start_s, end_s = session.window(now_s)
    feed = session.feed.status(now_s)
    summary = session.summary(start_s, end_s)
    decision = session.decision
    series = session.feed.series
    return {
        "namespace": session.spec.topology.namespace,
        "service": session.spec.topology.service,
        "weights": dict(session.intent.weights) if session.intent else None,
        "valid_until": iso(session.intent.valid_until_s) if session.intent else None,
        "measured_split": session.account.peek(now_s).split(),
        "reasons": None if decision is None else decision.to_dict()["reasons"],
        "conditions": _conditions(session, now_s),
        "budget": _budget(session, now_s),
        "carbon": {
            "source": feed.source,
            "zone": feed.zone,
            "state": feed.state,
            "age_s": feed.age_s,
            "last_error": feed.last_error,
            "fetches": feed.fetches,
            "failures": feed.failures,
            "kind": series.kind if series else None,
            "basis": series.basis if series else None,
            "licence": series.licence if series else None,
            "notes": list(series.notes) if series else [],
            "expected_range_g_per_kwh": session.carbon_range(now_s),
        },
        "demand": _demand(session),
        "window": summary_dict(summary),
    }


def summary_dict(summary: Summary) -> dict[str, Any]:
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
        "energy_j_per_request_reported": dict(summary.metered_j_per_request),
    }


def proxy_status(proxy: ProxyStatus) -> dict[str, Any]:
    """One connected proxy: SYNCED, STALE (an answer is outstanding) or NACK per type, with the proxy's reason."""
    return {
        "node_id": proxy.node_id,
        "connected_since": iso(proxy.connected_since_s),
        "types": {
            type_url.rpartition(".")[2]: {
                "state": "NACK" if status.nack else "SYNCED" if status.sent == status.acked else "STALE",
                "sent": status.sent,
                "acked": status.acked,
                "reason": status.nack,
                "rejections": status.nacks,
            }
            for type_url, status in proxy.types.items()
        },
    }


def iso(time_s: float) -> str:
    """Unix seconds as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _demand(session: ServiceSession) -> dict[str, Any]:
    """Who says what demand is to come, and how far off the learned forecast was a day ahead."""
    pattern = session.controller.state.pattern
    return {
        "source": "configured" if session.spec.demand is not None else "learned from counts",
        "learned_error": pattern.error,
        "learned_bias": pattern.bias,
    }


def _budget(session: ServiceSession, now_s: float) -> dict[str, Any]:
    """The promise and the books: of the window that is open, and of the one before it."""
    ledger, settings = session.controller.state.ledger, session.spec.settings
    previous = ledger.before(settings.window, now_s)
    return {
        "max_error": settings.max_error,
        **_books(session.books(now_s)),
        "previous_window": None if previous is None else _books(previous),
        "windows_closed": session.windows_closed,
        "windows_exceeded": session.windows_exceeded,
    }


def _books(books: Books) -> dict[str, Any]:
    return {
        "window_start": iso(books.start_s),
        "window_end": iso(books.end_s),
        "requests": books.requests,
        "error_requests": books.error_requests,
        "mean_error": books.mean_error if books.requests else None,
        "carried": books.carried,
        "credit": books.credit,
        "held": books.held,
    }


def _conditions(session: ServiceSession, now_s: float) -> list[dict[str, str]]:
    """What a person must know first; the same words as a Kubernetes condition's."""
    feed = session.feed.status(now_s)
    decision = session.decision
    found = [
        _condition(
            "Ready",
            session.last_failure is None and session.intent is not None,
            "Deciding" if session.last_failure is None else "NoDecision",
            session.last_failure or "",
        ),
        _condition(
            "ForecastFresh", feed.state == "fresh", _FORECAST_REASONS[feed.state], _forecast_message(session, feed)
        ),
    ]
    found.append(_budget_condition(session, now_s))
    # Whether the budget is held is a condition of its own.
    unmet = [name for name in decision.reasons.conditions if name != BUDGET_UNMET] if decision is not None else []
    if unmet:
        text = "; ".join(f"{name}: {CONDITIONS.get(name.partition(':')[0], 'see its policy')}" for name in unmet)
        found.append(_condition("ConstraintsMet", False, "Unmet", text))
    if decision is not None and decision.reasons.off_hull:
        unused = ", ".join(decision.reasons.off_hull)
        text = f"{unused}: a mix of the other flavours gives the same quality for less energy"
        found.append(_condition("AllFlavoursUseful", False, "OffHull", text))
    return found


def _budget_condition(session: ServiceSession, now_s: float) -> dict[str, str]:
    """Over the budget's average so far is the plan's right; over it for good is a broken promise."""
    if _budget(session, now_s)["held"]:
        return _condition("BudgetHeld", True, "WithinBudget", "")
    decision = session.decision
    if decision is not None and decision.reasons.binding != "infeasible":
        return _condition(
            "BudgetHeld",
            True,
            "AheadOfBudget",
            "spent ahead of the average so far; the rest of the window makes up for it",
        )
    return _condition("BudgetHeld", False, "OverBudget", "not even full quality would hold the budget of this window")


def _forecast_message(session: ServiceSession, feed: FeedStatus) -> str:
    notes = session.feed.series.notes if session.feed.series else ()
    return "; ".join(filter(None, (feed.last_error, *notes)))


_FORECAST_REASONS = {"fresh": "Fresh", "stale": "LastGood", "none": "CarbonBlindMix"}


def _condition(kind: str, holds: bool, reason: str, message: str) -> dict[str, str]:
    return {"type": kind, "status": "True" if holds else "False", "reason": reason, "message": message}
