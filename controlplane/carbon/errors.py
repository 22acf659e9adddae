"""What can go wrong with a carbon source.

CarbonSourceError
├── TemporarySourceError    trying again soon may help: network, time-out, 429, 5xx, an answer cut short,
│                           an answer without a value for now
└── PermanentSourceError    only a person can help: refused request, wrong address, unknown shape, broken file
    └── OtherNumbersError   an answer about another place, of another kind or unit than was asked for
"""


class CarbonSourceError(Exception):
    """A source gave no usable series; the message names the source and the reason."""

    def __init__(self, message: str, *, source: str) -> None:
        super().__init__(f"{source}: {message}")
        self.source = source


class TemporarySourceError(CarbonSourceError):
    """Trying again soon may help; not before `retry_after_s` where the source asked for it."""

    def __init__(self, message: str, *, source: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, source=source)
        self.retry_after_s = retry_after_s


class PermanentSourceError(CarbonSourceError):
    """Trying again soon will not help; `status` is the HTTP status where the provider refused with one."""

    def __init__(self, message: str, *, source: str, status: int | None = None) -> None:
        super().__init__(message, source=source)
        self.status = status


class OtherNumbersError(PermanentSourceError):
    """An answer is about another place, or of another kind, basis or unit, than was asked for."""
