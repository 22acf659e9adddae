"""Directories short enough for Unix sockets, whose path may have 107 bytes only."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def short_directory() -> Iterator[Path]:
    """A new directory, removed with all it holds at the end."""
    with tempfile.TemporaryDirectory(prefix="cr-") as path:
        yield Path(path)
