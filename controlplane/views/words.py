"""Why a service is split as it is, in sentences."""

from __future__ import annotations

from controlplane.session import ServiceSession
from controlplane.views.times import iso

_BINDING = {
    "budget": "the error budget of the window is what keeps quality up",
    "guard": "less is spent than planned, so that the promise holds even if demand turns out otherwise",
    "none": "nothing holds the error down: the cheapest flavours may serve everything",
    "infeasible": "not even full quality holds the budget of this window; full quality is served",
    "imposed": "a person has imposed these weights",
}
_FORECAST = {
    "provider": "carbon as the source foresees it",
    "provider+climatology": "carbon as the source foresees it, and beyond that as it usually is at these times",
    "provider+level": "carbon as the source foresees it, and beyond that as its last level and shape let expect",
    "past-actuals": "carbon as it was at these times of day before, for want of a forecast",
    "none": "nothing is known of carbon: a constant mix within the budget",
}


def why(session: ServiceSession, now_s: float) -> list[str]:
    """Sentences, the most important first."""
    decision = session.decision
    if decision is None:
        return [f"no decision could be made ({session.last_failure}): the best flavour serves everything"]
    said = []
    if (pause := session.steering.pause) is not None:
        until = "somebody resumes" if pause.until_s is None else iso(pause.until_s)
        said.append(f"paused: the best flavour serves everything until {until}")
    reasons = decision.reasons
    if session.steering.override is not None and reasons.binding != "imposed":
        said.append("the weights that a person imposed are for flavours no longer there: the plan goes on")
    said.append(_BINDING.get(reasons.binding, reasons.binding))
    basis = _FORECAST.get(reasons.forecast, reasons.forecast)
    state = session.feed.status(now_s).state
    if state == "stale":
        basis += "; the source has not answered for a while, its last good forecast is used"
    if reasons.carbon_now_g_per_kwh is not None:
        basis += f"; {reasons.carbon_now_g_per_kwh:.0f} g/kWh now"
    said.append(basis)
    said.append(
        f"{reasons.budget_left_error_requests:,.1f} error-requests may be spent on what is still expected in the window"
    )
    if reasons.shadow_price is not None:
        said.append(f"one more of them would save {1000 * reasons.shadow_price:.3g} mg")
    said.extend(f"{name}: could not be met" for name in reasons.conditions)
    if reasons.unavailable:
        said.append(f"no endpoints: {', '.join(reasons.unavailable)}")
    return said
