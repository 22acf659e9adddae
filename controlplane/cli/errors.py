"""How a command fails: with a message for the person who typed it, and never with a traceback."""

from __future__ import annotations


class CliError(Exception):
    """A failure the user can act on.

    `exit_code` is 2 where the input is at fault, and 1 where something else is.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
