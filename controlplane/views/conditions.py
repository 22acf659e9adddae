"""What a person must know first about a service, in the words of Kubernetes conditions."""

from __future__ import annotations

from controlplane.carbon import FeedStatus
from controlplane.session import ServiceSession
from scheduler import policy_named
from scheduler.constraints import BUDGET_UNMET, CONDITIONS

_FINDING = "AllFlavoursUseful"


def conditions_of(session: ServiceSession, now_s: float) -> list[dict[str, str]]:
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
    if session.save_failure is not None:
        found.append(_condition("StateSaved", False, "DiskRefuses", f"a restart would forget: {session.save_failure}"))
    if session.incomplete is not None and now_s < session.incomplete.until_s:
        found.append(_condition("BooksComplete", False, "SetAside", session.incomplete.reason))
    # Whether the budget is held is a condition of its own.
    unmet = [name for name in decision.reasons.conditions if name != BUDGET_UNMET] if decision is not None else []
    if unmet:
        text = "; ".join(f"{name}: {CONDITIONS.get(name.partition(':')[0], 'see its policy')}" for name in unmet)
        found.append(_condition("ConstraintsMet", False, "Unmet", text))
    if decision is not None and decision.reasons.off_hull:
        unused = ", ".join(decision.reasons.off_hull)
        text = f"{unused}: a mix of the other flavours gives the same quality for less energy"
        found.append(_condition(_FINDING, False, "OffHull", text))
    return found


def trouble_of(session: ServiceSession, now_s: float) -> list[dict[str, str]]:
    """The conditions that do not hold and should; that a flavour is of no use is a finding, no trouble."""
    return [each for each in conditions_of(session, now_s) if each["status"] == "False" and each["type"] != _FINDING]


def _budget_condition(session: ServiceSession, now_s: float) -> dict[str, str]:
    """Over the budget's average so far is the plan's right; over it for good is a broken promise.

    It is for good unless something is left to spend on the requests still expected, by a plan that makes up for it.
    """
    if session.books(now_s).held:
        return _condition("BudgetHeld", True, "WithinBudget", "")
    decision = session.decision
    policy = session.spec.settings.policy
    if decision is None or decision.reasons.binding == "infeasible":
        text = "not even full quality would hold the budget of this window"
    elif decision.reasons.binding == "imposed":
        text = "more was spent than is granted, and a person has imposed the weights: no plan makes up for it"
    elif not getattr(policy_named(policy), "makes_up", False):
        text = f"more was spent than is granted, and the policy {policy} does not make up for it"
    elif decision.reasons.budget_left_error_requests < 0.0:
        text = "more was spent than all requests still expected in this window could make up for"
    else:
        text = "spent ahead of the average so far; the rest of the window makes up for it"
        return _condition("BudgetHeld", True, "AheadOfBudget", text)
    return _condition("BudgetHeld", False, "OverBudget", text)


def _forecast_message(session: ServiceSession, feed: FeedStatus) -> str:
    notes = session.feed.series.notes if session.feed.series else ()
    return "; ".join(filter(None, (feed.last_error, *notes)))


_FORECAST_REASONS = {"fresh": "Fresh", "stale": "LastGood", "none": "CarbonBlindMix"}


def _condition(kind: str, holds: bool, reason: str, message: str) -> dict[str, str]:
    return {"type": kind, "status": "True" if holds else "False", "reason": reason, "message": message}
