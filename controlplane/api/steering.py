"""Steering by hand: weights imposed for a while, and pauses."""

from __future__ import annotations

from fastapi import APIRouter

from controlplane.api import models
from controlplane.api.access import Host, Session, refusals, unknown_flavours
from controlplane.api.requests import OverrideBody, PauseBody
from controlplane.host import EngineHost
from controlplane.session import ServiceSession
from controlplane.steering import Override, Pause, Steering
from controlplane.views import service_view

router = APIRouter(prefix="/api/v1/services/{namespace}/{service}", tags=["steering"])


@router.put("/override", responses={404: {}, 422: {}, 503: {}})
async def put_override(host: Host, session: Session, asked: OverrideBody) -> models.ServiceState:
    """Impose weights, at once, for a while; they outlive a restart, and what they serve is counted."""
    if unknown := sorted(set(asked.weights) - {flavour.name for flavour in session.spec.flavours}):
        raise unknown_flavours(session, unknown)
    with refusals():
        override = Override(weights=asked.weights, until_s=host.clock.now_s() + asked.duration, reason=asked.reason)
    return await steer(host, session, session.steering.model_copy(update={"override": override}))


@router.delete("/override", responses={404: {}, 503: {}})
async def delete_override(host: Host, session: Session) -> models.ServiceState:
    """Go back to the plan; a no-op where nothing is imposed."""
    return await steer(host, session, session.steering.model_copy(update={"override": None}))


@router.put("/pause", responses={404: {}, 503: {}})
async def put_pause(host: Host, session: Session, asked: PauseBody) -> models.ServiceState:
    """Serve the best flavour alone, at once; counting goes on."""
    until_s = None if asked.duration is None else host.clock.now_s() + asked.duration
    pause = Pause(until_s=until_s, reason=asked.reason)
    return await steer(host, session, session.steering.model_copy(update={"pause": pause}))


@router.delete("/pause", responses={404: {}, 503: {}})
async def resume(host: Host, session: Session) -> models.ServiceState:
    """Resume; a no-op where nothing is paused."""
    return await steer(host, session, session.steering.model_copy(update={"pause": None}))


async def steer(host: EngineHost, session: ServiceSession, steering: Steering) -> models.ServiceState:
    """Steer, and answer when it is on the disk; what cannot be kept is not in force either."""
    key, before = session.spec.key, session.steering
    steered = host.engine.steer(key, steering)
    with refusals():
        try:
            await host.engine.writer.saved(key)
        except OSError:
            if host.engine.sessions.get(key) is steered and steered.steering is steering:
                host.engine.steer(key, before)
            raise
    return models.ServiceState(**service_view(steered, host.clock.now_s()))
