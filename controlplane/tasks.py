"""Groups of tasks, as those who start them would have them fail."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def single_failures_bare() -> Iterator[None]:
    """A task group wraps even a single failure; whoever starts us wants that failure itself."""
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise
