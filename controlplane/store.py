"""State that survives a restart: one JSON file per service, replaced whole, written behind the event loop's back."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from controlplane.files import safe_name, sync_folder, write_whole

logger = logging.getLogger(__name__)

State = dict[str, Any]


class StoreError(Exception):
    """Saved books cannot be reached; to start without them would break the promise unseen."""


class StateStore(Protocol):
    """Where the state of each service is kept: a file here, an object of the cluster elsewhere.

    `aside` tells of keys whose state was set aside since the start, and why.
    """

    aside: dict[str, str]

    def load(self, key: str) -> State | None:
        """The state saved last, None if there is none or if it was set aside; StoreError if it cannot be read."""
        ...

    def save(self, key: str, state: State) -> None:
        """Replace the state of `key`, durably; OSError if that failed, and then the old state is still there."""
        ...

    def set_aside(self, key: str, reason: str) -> None:
        """Keep what cannot be used for people, out of the way; StoreError if that fails."""
        ...

    def delete(self, key: str) -> None:
        """Forget `key`; a no-op if there is nothing. OSError if that failed."""
        ...


class FileStore:
    """Keeps the state of each service in a directory of its own.

    A file is written beside the old one, flushed to the disk and renamed over it, so that a crash at any moment
    leaves the old state or the new one.
    """

    def __init__(self, directory: Path) -> None:
        self.aside: dict[str, str] = {}
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def load(self, key: str) -> State | None:
        """The state saved last; None if there is none, or if it is no state: it is then set aside, never lost.

        Raises:
            StoreError: it is there but cannot be read.
        """
        path = self._path(key)
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"the saved state of {key}, {path}, cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            self.set_aside(key, str(error))
            return None
        if isinstance(state, dict):
            return state
        self.set_aside(key, "it holds no object")
        return None

    def set_aside(self, key: str, reason: str) -> None:
        """Keep an unusable file under another name, for people.

        Raises:
            StoreError: it cannot be renamed.
        """
        path = self._path(key)
        kept = path.with_suffix(f".unusable-{time.time_ns()}")
        logger.error("the saved state of %s cannot be used (%s); kept as %s, starting afresh", key, reason, kept)
        try:
            path.rename(kept)
        except OSError as error:
            raise StoreError(f"the unusable state {path} cannot be set aside: {error.strerror}") from error
        self.aside[key] = f"kept as {kept.name}: {reason}"

    def save(self, key: str, state: State) -> None:
        """Replace the state of `key`; blocks for the disk.

        Raises:
            OSError: the disk refused; the old state is still there.
        """
        write_whole(self._path(key), lambda file: json.dump(state, file, separators=(",", ":")))

    def delete(self, key: str) -> None:
        """Forget `key`; blocks for the disk."""
        self._path(key).unlink(missing_ok=True)
        sync_folder(self._directory)

    def _path(self, key: str) -> Path:
        return self._directory / f"{safe_name(key)}.json"


class PreciousStore(FileStore):
    """A `FileStore` for what nobody may start without: what cannot be used is refused, and stays where it is."""

    def set_aside(self, key: str, reason: str) -> None:
        """Refuse.

        Raises:
            StoreError: always.
        """
        raise StoreError(
            f"the saved {key} cannot be used ({reason}): mend {self._path(key)}, or move it away to start without"
        )


class StateWriter:
    """Saves what is marked as changed, one service at a time, always in its newest state.

    A slow disk therefore delays neither proxies nor decisions, and what changed while it was being written is
    written again. `on_written` is called after each, from any thread. `failing` tells of keys whose last write failed.
    """

    def __init__(self, store: StateStore, *, on_written: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._on_written = on_written
        self._dirty: dict[str, Callable[[], State]] = {}
        self._wake = asyncio.Event()
        self._saving = threading.Lock()
        self._taken = 0
        self._in_hand: tuple[str, State] | None = None
        self._saved: dict[str, int] = {}
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._told_next: list[asyncio.Future[None]] = []
        self.failures = 0
        self.failing: dict[str, str] = {}

    @property
    def waiting(self) -> int:
        """How many wait for something to be on the disk."""
        return sum(map(len, self._waiting.values())) + len(self._told_next)

    def changed(self, key: str, snapshot: Callable[[], State]) -> None:
        """Have `snapshot` called and saved soon."""
        self._dirty[key] = snapshot
        self._wake.set()

    async def saved(self, key: str) -> None:
        """Return when what was last marked as changed is on the disk.

        Raises:
            OSError: it could not be saved; it is tried again with the next change.
        """
        written = asyncio.get_running_loop().create_future()
        if key in self._dirty:
            self._waiting.setdefault(key, []).append(written)
        elif self._in_hand is not None and self._in_hand[0] == key:
            self._told_next.append(written)
        else:
            return
        await written

    async def run(self) -> None:
        """Save until cancelled; what is then still unsaved is up to `flush`."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                key, number, snapshot = self._take()
                waiting = self._told_next = self._waiting.pop(key, [])
                state = snapshot()
                self._in_hand = (key, state)
                try:
                    failure = await asyncio.to_thread(self._save, key, number, state)
                    _tell(waiting, failure)
                finally:
                    _tell(waiting, OSError(errno.EINTR, "the control plane is stopping"))
                    self._in_hand, self._told_next = None, []

    def load(self, key: str) -> State | None:
        """The newest state of `key`, also if it is still on its way to the disk."""
        if (snapshot := self._dirty.get(key)) is not None:
            return snapshot()
        if self._in_hand is not None and self._in_hand[0] == key:
            return self._in_hand[1]
        return self._store.load(key)

    def delete(self, key: str) -> None:
        """Forget `key`, also what is on its way to the disk; blocks for the disk.

        Raises:
            OSError: the disk refused.
        """
        self._dirty.pop(key, None)
        _tell(self._waiting.pop(key, []), None)
        if self._in_hand is not None and self._in_hand[0] == key:
            self._in_hand = None  # or who begins anew at once would go on from it
        with self._saving:
            self._taken += 1
            self._saved[key] = self._taken  # a write that still waits in its thread comes too late
            self._store.delete(key)

    def flush(self) -> None:
        """Save everything that is unsaved, now."""
        while self._dirty:
            key, number, snapshot = self._take()
            _tell(self._waiting.pop(key, []), self._save(key, number, snapshot()))

    def _take(self) -> tuple[str, int, Callable[[], State]]:
        key = next(iter(self._dirty))
        self._taken += 1
        return key, self._taken, self._dirty.pop(key)

    def _save(self, key: str, number: int, state: State) -> OSError | None:
        try:
            with self._saving:
                # `flush` may overtake a write that waits in its thread; the older state must then not come last.
                if number > self._saved.get(key, 0):
                    self._store.save(key, state)
                    self._saved[key] = number
                    self.failing.pop(key, None)
                    self._on_written()
        except (OSError, ValueError) as error:
            self.failures += 1
            self.failing[key] = str(error)
            logger.error("cannot save the state of %s: %s; a restart now would forget what was served", key, error)  # noqa: TRY400
            return error if isinstance(error, OSError) else OSError(errno.EINVAL, str(error))
        return None


def _tell(waiting: list[asyncio.Future[None]], failure: OSError | None) -> None:
    """Settle those that wait and are not settled yet."""
    for written in waiting:
        if written.done():
            continue
        if failure is None:
            written.set_result(None)
        else:
            written.set_exception(failure)
