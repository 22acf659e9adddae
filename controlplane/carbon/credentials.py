"""Credentials: where they are kept, and what goes out with a request. Their text is never shown."""

from __future__ import annotations

import asyncio
import base64
import html
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, unquote_plus

from controlplane.carbon.errors import PermanentSourceError
from controlplane.files import read_small

MAX_BYTES = 4096
_TELLING = 8
_HIDDEN = "***"
_LONGEST_TEXT = 16_384
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A header that lets a request in, and what must not be repeated from an answer to it."""

    header: str
    value: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    def hide(self, text: str) -> str:
        """Return `text` without the secrets, however they are written in it.

        As they are, percent-encoded or in base64 they are replaced; if any can still be read out of it, or if it is
        too long to look through, nothing is left of the text. It must not have been cut: half a secret is not
        recognised.
        """
        if len(text) > _LONGEST_TEXT:
            return _HIDDEN
        for form in sorted(_forms(self.secrets), key=len, reverse=True):
            text = text.replace(form, _HIDDEN)
        readings = {text}
        for _ in range(_LAYERS):
            readings = {read(reading) for reading in readings for read in _READERS}
            if any(secret in reading for secret in self.secrets for reading in readings):
                return _HIDDEN
        return text

    def told_in(self, text: str) -> bool:
        """Whether a secret stands in `text` as it is; one of a few letters may stand anywhere by chance."""
        return any(secret in text for secret in self.secrets if len(secret) >= _TELLING)

    @classmethod
    def token(cls, value: str, *, header: str) -> Credential:
        """A token that stands in a header of its own."""
        return cls(header=header, value=value, secrets=(value,))

    @classmethod
    def bearer(cls, token: str) -> Credential:
        """A token for `Authorization` (RFC 6750)."""
        return cls(header="Authorization", value=f"Bearer {token}", secrets=(token,))

    @classmethod
    def basic(cls, username: str, password: str) -> Credential:
        """A name and a password for `Authorization` (RFC 7617)."""
        encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
        return cls(
            header="Authorization", value=f"Basic {encoded}", secrets=(encoded, f"{username}:{password}", password)
        )


def _forms(secrets: tuple[str, ...]) -> set[str]:
    """How a secret is written where it is repeated."""
    forms = set(secrets)
    for secret in secrets:
        octets = secret.encode()
        forms |= {quote(secret, safe=""), quote(secret)}
        for encoded in (base64.b64encode(octets).decode(), base64.urlsafe_b64encode(octets).decode()):
            forms |= {encoded, encoded.rstrip("=")}
    return forms


def _unescaped(text: str) -> str:
    """What a text says to whom a backslash escapes what follows it, as in JSON."""
    return _ESCAPED.sub(lambda found: found[3] or chr(int(found[1] or found[2], 16)), text)


_READERS = (unquote, unquote_plus, html.unescape, _unescaped)
_LAYERS = 2  # one document in another is usual, and each layer more is four times the work


class Secret(Protocol):
    """Where a secret is kept. It is read each time it is needed, so that it can be changed while all runs."""

    async def read(self, *, source: str) -> str:
        """Return the secret, without the white space around it.

        Raises:
            PermanentSourceError: it is missing, empty, too long or no plain text; names the place, not the text.
        """
        ...


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file that holds a secret and nothing else."""

    path: Path

    async def read(self, *, source: str) -> str:
        """See `Secret`."""
        try:
            content = await asyncio.to_thread(read_small, self.path, most=MAX_BYTES)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "cannot be read"
            raise PermanentSourceError(f"credential file {self.path}: {reason}", source=source) from None
        return _checked(content, f"credential file {self.path}", source=source)


@dataclass(frozen=True, slots=True)
class SecretVariable:
    """An environment variable that holds a secret."""

    name: str

    async def read(self, *, source: str) -> str:
        """See `Secret`."""
        content = os.environ.get(self.name, "").encode(errors="surrogateescape")
        return _checked(content, f"environment variable {self.name}", source=source)


def sendable(text: str) -> bool:
    """Tell whether a text may stand in a header: visible ASCII, so that it ends no line."""
    return text.isascii() and text.isprintable() and 0 < len(text) <= MAX_BYTES


def _checked(content: bytes, place: str, *, source: str) -> str:
    if len(content) > MAX_BYTES:
        raise PermanentSourceError(f"{place}: is larger than {MAX_BYTES} bytes", source=source)
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        text = "\0"
    if not text:
        raise PermanentSourceError(f"{place}: is missing or empty", source=source)
    if not text.isprintable():
        raise PermanentSourceError(f"{place}: is not one line of text", source=source)
    return text
