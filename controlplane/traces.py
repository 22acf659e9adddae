"""Reading a recorded trace from a file; what may stand in it is `scheduler.trace`'s business."""

from __future__ import annotations

import os
from pathlib import Path

from scheduler import Trace, TraceError, parse_trace

MAX_BYTES = 64 * 1024 * 1024


def read_text(path: Path) -> str:
    """The text of a CSV file, with or without a byte order mark.

    Raises:
        TraceError: it cannot be read, is no text, or is larger than 64 MiB.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise TraceError(f"{path}: cannot be read: {reason}") from error
    if len(content) > MAX_BYTES:
        raise TraceError(f"{path}: larger than {MAX_BYTES // 2**20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: is not UTF-8 text (byte {error.start})") from error


def read_trace(path: Path) -> Trace:
    """The trace in a CSV file.

    Raises:
        TraceError: as `read_text`, or with line and column where the content is wrong.
    """
    return parse_trace(read_text(path), name=str(path))
