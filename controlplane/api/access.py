"""What routes ask for: the host, and the live session of the service in their path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import ValidationError

from controlplane.api.problems import ProblemError, invalid
from controlplane.catalogue import MOST_SERVICES
from controlplane.config import ConfigError
from controlplane.host import EngineHost, OwnedByFileError
from controlplane.session import ServiceSession
from controlplane.store import StoreError

MOST_WAITING = 512
_LABEL = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
Namespace = Annotated[str, Path(pattern=_LABEL, examples=["default"])]
ServiceName = Annotated[str, Path(pattern=_LABEL, examples=["shop"])]


async def _host(request: Request) -> EngineHost:
    host: EngineHost = request.app.state.host
    return host


Host = Annotated[EngineHost, Depends(_host)]


async def _session(host: Host, namespace: Namespace, service: ServiceName) -> ServiceSession:
    session = host.engine.sessions.get(f"{namespace}/{service}")
    if session is None:
        raise ProblemError(
            404, f"there is no service {namespace}/{service}; GET /api/v1/services lists those there are"
        )
    return session


Session = Annotated[ServiceSession, Depends(_session)]


@contextmanager
def refusals() -> Iterator[None]:
    """What the host refuses, told to whoever asked."""
    try:
        yield
    except ValidationError as error:
        raise invalid(error) from error
    except ConfigError as error:
        raise ProblemError(422, str(error)) from error
    except OwnedByFileError as error:
        raise ProblemError(409, str(error)) from error
    except (OSError, StoreError) as error:
        raise ProblemError(503, f"it cannot be kept: {error}", headers={"Retry-After": "5"}) from error


def refuse_when_full(host: EngineHost, key: str) -> None:
    """Refuse to make one service more than there may be."""
    if key not in host.engine.sessions and len(host.engine.sessions) >= MOST_SERVICES:
        raise ProblemError(409, f"there are {MOST_SERVICES} services already")


def refuse_when_behind(host: EngineHost) -> None:
    """Refuse counts while too many wait for a disk that does not keep up."""
    if host.engine.writer.waiting >= MOST_WAITING:
        raise ProblemError(503, "more counts are waiting for the disk than we take", headers={"Retry-After": "1"})


def unknown_flavours(session: ServiceSession, unknown: list[str]) -> ProblemError:
    """That some names are no flavours, and which ones are."""
    known = ", ".join(sorted(flavour.name for flavour in session.spec.flavours))
    return ProblemError(422, f"{', '.join(unknown)[:300]}: no flavour of this service; there are {known}")
