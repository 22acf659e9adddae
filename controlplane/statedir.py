"""The directory in which one control plane keeps all that must outlive it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from controlplane.files import clear_unfinished

# The kernel's limit on the path of a Unix socket, less the longest name we put into the directory.
_MAX_STATE_DIR = 107 - len("/envoy-admin.sock")


class StartError(Exception):
    """The control plane cannot start; the message says what to do."""


def make(state_dir: Path) -> None:
    """Make the directory, readable for its owner alone.

    Raises:
        StartError: it cannot be made, or its path is too long.
    """
    if len(str(state_dir)) > _MAX_STATE_DIR:
        raise StartError(
            f"state_dir {state_dir} is too long: sockets are made in it, and their paths may have 107 characters"
        )
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"state_dir {state_dir} cannot be used: {error.strerror}") from error


@contextlib.contextmanager
def exclusive(state_dir: Path) -> Iterator[None]:
    """Keep a second control plane from the same books and the same Envoy; what a killed one left half-written goes.

    Raises:
        StartError: another one has them.
    """
    try:
        descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StartError(f"state_dir {state_dir} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StartError(
            f"another carbonrouter runs with state_dir {state_dir}; stop it, or set another state_dir"
        ) from None
    try:
        clear_unfinished(state_dir)
        yield
    finally:
        os.close(descriptor)
