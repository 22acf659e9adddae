"""The bearer token that opens the API."""

from __future__ import annotations

import hmac
import logging
import os
from pathlib import Path

from controlplane.files import read_small
from controlplane.statedir import StartError

logger = logging.getLogger(__name__)

_MAX_BYTES = 4096
_SHORTEST = 16


class BearerToken:
    """The token in a file, read again when the file changes; while it cannot be read, the last one holds.

    Raises:
        StartError: it cannot be read at first, or is too short to keep anybody out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int, int] | None = (0, 0, 0)
        self._token = b""
        try:
            self._read()
        except (OSError, ValueError) as error:
            raise StartError(f"api.token_file {path} cannot be used: {_reason(error)}") from error

    def opens(self, authorization: str) -> bool:
        """Whether the value of an Authorization header is this token's; takes as long for a wrong one."""
        try:
            self._read()
        except (OSError, ValueError) as error:
            logger.warning("api.token_file %s cannot be used, the last token holds: %s", self._path, _reason(error))
        scheme, _, told = authorization.partition(" ")
        # The bytes that were sent: headers are read as Latin-1.
        return hmac.compare_digest(told.strip().encode("latin-1"), self._token) and scheme.lower() == "bearer"

    def __repr__(self) -> str:
        return f"BearerToken({str(self._path)!r})"

    def _read(self) -> None:
        version = _version_of(self._path)
        if version == self._version:
            return
        self._version = version  # a file that cannot be used is complained of once, not with every request
        token = read_small(self._path, most=_MAX_BYTES).strip()
        if not _SHORTEST <= len(token) <= _MAX_BYTES:
            raise ValueError(f"a token has {_SHORTEST} to {_MAX_BYTES} characters")
        if len(token.split()) > 1 or min(token) < ord(" "):
            raise ValueError("a token is one word in one line, or no request could bring it")
        self._token = token


def _version_of(path: Path) -> tuple[int, int, int] | None:
    """None for a file that is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _reason(error: OSError | ValueError) -> str:
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
