"""Files that are replaced whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import quote

_UNFINISHED = ".writing-"
_LONGEST_NAME = 200  # file systems end at 255 bytes, and what is set aside gets a longer name


def write_whole(path: Path, write: Callable[[IO[str]], object]) -> None:
    """Have `write` fill a file beside `path`, flush it to the disk, and rename it over `path`; blocks for the disk.

    A crash at any moment leaves the old content or the new one. A link at `path` is replaced, never followed, and
    others on the machine cannot read what is written. The folder must be there.

    Raises:
        OSError: the disk refused; the old content is still there. So it is after whatever `write` raises.
    """
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=_UNFINISHED, delete=False, encoding="utf-8") as file:
        try:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).rename(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


def clear_unfinished(folder: Path) -> None:
    """Delete what `write_whole` had begun in `folder` and the folders in it when it was killed.

    Only for who has the folder to itself: what another is writing would be lost. What cannot be deleted stays.
    """
    for path in (*folder.glob(f"{_UNFINISHED}*"), *folder.glob(f"*/{_UNFINISHED}*")):
        with contextlib.suppress(OSError):
            path.unlink()


def read_small(path: Path, *, most: int) -> bytes:
    """The first `most` + 1 bytes of a regular file: whoever gets more than `most` knows that it is too large.

    Raises:
        OSError: it cannot be read, or is a pipe, a device or a folder.
    """
    # Not to wait for ever where somebody put a pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no regular file")
        return file.read(most + 1)


def safe_name(text: str) -> str:
    """A file name for any text: what is no plain character is escaped, what is too long ends in its hash."""
    name = quote(text, safe="")
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 64]}{hashlib.sha256(text.encode()).hexdigest()}"


def sync_folder(folder: Path) -> None:
    """Make a rename last: without this it may be forgotten though the file's content is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
