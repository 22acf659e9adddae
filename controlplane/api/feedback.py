"""Counts from whoever serves requests without a proxy of ours."""

from __future__ import annotations

from fastapi import APIRouter

from controlplane.accounting import FlavourLoad
from controlplane.api import models
from controlplane.api.access import Host, Session, refusals, refuse_when_behind, unknown_flavours
from controlplane.api.problems import ProblemError
from controlplane.api.requests import FeedbackBody
from controlplane.config.service import MOST_J_PER_REQUEST
from controlplane.host import EngineHost
from controlplane.senders import MOST_SENDERS
from controlplane.session import ServiceSession
from controlplane.views.service import budget_view

_LONGEST_S = 86_400.0
# Real seconds that counts reach back at most, where their sender does not say since when.
_REACH_S = 900.0


router = APIRouter(prefix="/api/v1/services/{namespace}/{service}", tags=["feedback"])


@router.post("/feedback", responses={404: {}, 409: {}, 422: {}, 503: {}})
async def enter(host: Host, session: Session, told: FeedbackBody) -> models.Entered:
    """Enter counts into the books; answered when they are on the disk. What is sent again is entered once."""
    refuse_where_proxies_report(host)
    refuse_when_behind(host)
    key = session.spec.key
    since_s, until_s = _span(host, session, told)
    place = session.senders.place(told.sender, told.sequence)
    if place == "behind":
        raise ProblemError(409, "sequence: a higher number was entered from this sender; numbers go upwards")
    if not session.senders.has_room(told.sender, now_s=host.clock.now_s()):
        raise ProblemError(409, f"sender: {MOST_SENDERS} others send counts of this service already")
    if place == "next":
        loads = _loads(session, told)
        host.engine.enter(key, loads, since_s=since_s, until_s=until_s, sender=told.sender, number=told.sequence)
    else:
        host.engine.save(key)  # it may have been entered and not yet be on the disk
    with refusals():
        await host.engine.writer.saved(key)
    return models.Entered(entered=place == "next", budget=models.Budget(**budget_view(session, host.clock.now_s())))


def refuse_where_proxies_report(host: EngineHost) -> None:
    """Counts sent besides those of the proxies would be counted twice.

    Raises:
        ProblemError: 409.
    """
    if host.plane.reports:
        raise ProblemError(409, "the proxies report what they serve; nothing need be sent, or it would count twice")


def _span(host: EngineHost, session: ServiceSession, told: FeedbackBody) -> tuple[float, float]:
    now_s = host.clock.now_s()
    until_s = now_s if told.until is None else told.until
    slack_s = host.config.gateway.refresh * host.clock.speed
    if until_s > now_s + slack_s:
        raise ProblemError(422, "until: lies ahead of the engine's time; see `time` in any answer")
    oldest_s = session.spec.settings.window.before(now_s)[0]
    if until_s <= oldest_s:
        raise ProblemError(422, "until: lies before the windows that are still open to counts")
    until_s = min(until_s, now_s)
    since_s = told.since
    if since_s is None:
        since_s = session.counted_from(told.sender, until_s=until_s, reach_s=_REACH_S * host.clock.speed)
    if not until_s - _LONGEST_S <= since_s <= until_s:
        raise ProblemError(422, "since: must be at most a day before until, and not after it")
    return since_s, until_s


def _loads(session: ServiceSession, told: FeedbackBody) -> dict[str, FlavourLoad]:
    named = set(told.served) | set(told.failed) | set(told.metered)
    if unknown := sorted(named - {flavour.name for flavour in session.spec.flavours}):
        raise unknown_flavours(session, unknown)
    for name, metered in told.metered.items():
        if metered.joules > MOST_J_PER_REQUEST * metered.requests:
            raise ProblemError(
                422, f"metered/{name}: more than {MOST_J_PER_REQUEST:g} J per request is a slip of the unit"
            )
    return {
        name: FlavourLoad(
            served=told.served.get(name, 0.0),
            failed=told.failed.get(name, 0.0),
            metered_requests=told.metered[name].requests if name in told.metered else 0.0,
            metered_j=told.metered[name].joules if name in told.metered else 0.0,
        )
        for name in named
    }
