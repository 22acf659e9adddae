"""Services: what there is, what is planned and why, and their making, changing and unmaking."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response

from controlplane.api import models
from controlplane.api.access import Host, Namespace, ServiceName, Session, refusals, refuse_when_full
from controlplane.catalogue import MOST_SERVICES, ServiceRequest
from controlplane.config.promise import Moment
from controlplane.views import history_view, iso, schedule_view, service_view, services_page
from controlplane.views.engine import Order
from controlplane.views.schedule import MOST_SLOTS

_EXAMPLE = {
    "budget": {"max_error_pct": 4, "window": "1d"},
    "carbon": "default",
    "flavours": [
        {"name": "high", "precision_pct": 100, "energy_j": 0.057},
        {"name": "low", "precision_pct": 87.3, "energy_j": 0.013},
    ],
}

router = APIRouter(prefix="/api/v1/services", tags=["services"])
_ONE = "/{namespace}/{service}"


@router.get("")
async def list_services(
    host: Host,
    search: Annotated[str, Query(max_length=300, description="Part of `namespace/name`.")] = "",
    offset: Annotated[int, Query(ge=0, le=10 * MOST_SERVICES)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    order: Annotated[Order, Query(description="`trouble`: most conditions that do not hold first.")] = "name",
) -> models.ServiceList:
    """One line for each service: whether it is well, and what it saves."""
    page = services_page(host.engine, search=search, offset=offset, limit=limit, order=order)
    return models.ServiceList(**page)


@router.get(_ONE, responses={404: {}})
async def get_service(host: Host, session: Session) -> models.ServiceState:
    """Everything about one service: what is in force and why, its budget, its source, its savings."""
    return models.ServiceState(**service_view(session, host.clock.now_s()))


@router.put(_ONE, responses={201: {"model": models.Made}, 409: {}, 422: {}, 503: {}})
async def put_service(
    host: Host,
    request: Request,
    response: Response,
    namespace: Namespace,
    service: ServiceName,
    _asked: Annotated[ServiceRequest, Body(examples=[_EXAMPLE])],
) -> models.Made:
    """Make a service, or change one made here; what was counted goes on. The same again changes nothing."""
    raw: dict[str, Any] = await request.json()  # as it was sent: what is kept is read again by the same rules
    key = f"{namespace}/{service}"
    refuse_when_full(host, key)
    with refusals():
        outcome = host.put_service(key, raw)
    response.status_code = 201 if outcome == "created" else 200
    return models.Made(namespace=namespace, service=service, outcome=outcome)


@router.delete(_ONE, status_code=204, responses={404: {}, 409: {}, 503: {}})
async def delete_service(
    host: Host,
    session: Session,
    forget: Annotated[bool, Query(description="Forget the ledger too; else it is kept for its return.")] = False,
) -> None:
    """Unmake a service that was made here."""
    with refusals():
        host.delete_service(session.spec.key, forget=forget)


@router.get(_ONE + "/configuration", responses={404: {}})
async def get_configuration(host: Host, session: Session) -> models.Configured:
    """How a service is configured, if it was made here."""
    key = session.spec.key
    return models.Configured(
        namespace=session.spec.topology.namespace,
        service=session.spec.topology.service,
        origin="file" if host.of_file(key) else "api",
        configuration=host.catalogue.raw(key),
    )


@router.get(_ONE + "/schedule", responses={404: {}})
async def get_schedule(
    host: Host, session: Session, slots: Annotated[int, Query(ge=1, le=MOST_SLOTS)] = 96
) -> models.Schedule:
    """The weights in force until `valid_until`, why, and what is planned for the slots after this one."""
    return models.Schedule(**schedule_view(session, host.clock.now_s(), slots=slots))


@router.get(_ONE + "/history", responses={404: {}})
async def get_history(
    host: Host,
    session: Session,
    since: Annotated[Moment | None, Query()] = None,
    until: Annotated[Moment | None, Query()] = None,
) -> models.History:
    """Slots as they were served: by default those of the open window; the window before it is kept too."""
    now_s = host.clock.now_s()
    start_s, end_s = session.window(now_s)
    slots = history_view(
        session, since_s=start_s if since is None else since, until_s=end_s if until is None else until
    )
    return models.History(time=iso(now_s), slots=[models.PastSlot(**slot) for slot in slots])
