"""A few lines of ASGI, so that the app is called without a socket."""

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI

from carbonstat.app import Settings, create_app
from carbonstat.work import Flavour


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(
        self,
        method: str,
        path: str,
        *chunks: bytes,
        headers: dict[str, str] | None = None,
        disconnect: bool = False,
    ) -> Reply:
        events: list[dict[str, Any]] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        events.append({"type": "http.disconnect"} if disconnect else {"type": "http.request", "more_body": False})
        sent: list[dict[str, Any]] = []
        inbox = iter(events)

        async def receive() -> dict[str, Any]:
            return next(inbox)

        async def send(message: Any) -> None:
            sent.append(message)

        pairs = [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()]
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "headers": pairs,
            "server": ("test", 80),
        }
        await self._app(scope, receive, send)
        start = sent[0]
        return Reply(
            status=start["status"],
            headers={k.decode().lower(): v.decode() for k, v in start["headers"]},
            body=b"".join(message.get("body", b"") for message in sent[1:]),
        )


Start = Callable[..., Callable[..., Awaitable[Reply]]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Make a caller of an app of one flavour, over few numbers unless told otherwise."""
    apps: list[FastAPI] = []

    def make(flavour: Flavour = Flavour.HIGH, **settings: Any) -> Caller:
        app = create_app(Settings(flavour=flavour, **{"numbers": 64, **settings}))
        apps.append(app)
        return Caller(app)

    yield make
    for app in apps:
        app.state.averager.close()
