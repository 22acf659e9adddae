"""A configuration file that is followed while we run."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from watchfiles import awatch

from controlplane.config import ConfigError

logger = logging.getLogger(__name__)

# What tells one version of a file from another; None while there is no file.
FileVersion = tuple[int, int, int] | None


class Follower:
    """Hands every new version of `path` to `reload`; one that is broken is reported, and the last good one stays.

    `loaded` is the version in force.
    """

    def __init__(self, path: Path, *, loaded: FileVersion, reload: Callable[[Path], Awaitable[None]]) -> None:
        self.failures = 0
        self._path = path
        self._loaded = loaded
        self._reload = reload

    async def run(self) -> None:
        """Follow until cancelled.

        Besides the system's notices, which do not come from every file system, nor for what happens before we listen,
        the file is looked at every second.
        """
        watched = awatch(self._path.parent, recursive=False, rust_timeout=1000, yield_on_timeout=True, debounce=200)
        async for _ in watched:
            found = file_version(self._path)
            if found == self._loaded:
                continue
            self._loaded = found
            try:
                await self._reload(self._path)
            except ConfigError as error:
                self.failures += 1
                logger.error("the changed configuration is not used:\n%s", error)  # noqa: TRY400
            except Exception:
                # A mistake of ours in reading a file must not end the traffic of those that are right.
                self.failures += 1
                logger.exception("the changed configuration is not used")


def file_version(path: Path) -> FileVersion:
    """The version of a file as it is now."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
