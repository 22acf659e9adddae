"""Routes of the live page: its files from the package, unchanged, under a policy that lets nothing else in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, HTTPException, Request, Response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
INDEX = "index.html"
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
_HEADERS = {
    # Files of two versions must never be mixed: browsers ask every time, and are mostly told that nothing changed.
    "cache-control": "no-cache",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """A file as it is sent; `etag` is the hash of its content."""

    content: bytes
    media_type: str
    etag: str

    def answer(self, if_none_match: str | None) -> Response:
        """The file, or that the asker has it already."""
        headers = {**_HEADERS, "etag": self.etag}
        if if_none_match is not None and _matches(self.etag, if_none_match):
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=self.media_type, headers=headers)


def page_router() -> APIRouter:
    """A router with `/` and the files of the page under `/page/`; it needs no token, since it tells nothing."""
    files = _files()
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def index(request: Request) -> Response:
        """The page."""
        return files[INDEX].answer(request.headers.get("if-none-match"))

    @router.api_route("/page/{name}", methods=["GET", "HEAD"])
    async def part(name: str, request: Request) -> Response:
        """A script or style sheet of the page."""
        if name not in files or name == INDEX:
            raise HTTPException(404, "the page has no such part")
        return files[name].answer(request.headers.get("if-none-match"))

    return router


def _files() -> Mapping[str, StaticFile]:
    """Every file of the page by name; only what is listed here can be asked for."""
    folder = resources.files(__package__) / "static"
    return {entry.name: _file(entry) for entry in folder.iterdir() if _suffix(entry.name) in _MEDIA_TYPES}


def _file(entry: Traversable) -> StaticFile:
    content = entry.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:32]
    return StaticFile(content=content, media_type=_MEDIA_TYPES[_suffix(entry.name)], etag=f'"{digest}"')


def _suffix(name: str) -> str:
    return name[name.rfind(".") :] if "." in name else ""


def _matches(etag: str, if_none_match: str) -> bool:
    """Weak comparison: proxies that compress on the way weaken a tag."""
    given = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return etag in given or "*" in given
