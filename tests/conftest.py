"""What holds for every test."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def excepthook_as_it_was() -> Iterator[None]:
    """Running a typer application in this process replaces the hook, which then fails when the interpreter ends."""
    before = sys.excepthook
    yield
    sys.excepthook = before
