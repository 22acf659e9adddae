"""Whether a provider forecasts for us at all: not every plan and not every installation does."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from controlplane.carbon.errors import PermanentSourceError

ASK_AGAIN_S = 86_400.0

T = TypeVar("T")


class ForecastOffer:
    """Asks for a forecast, and once it was refused for good no more than once a day.

    A refusal counts only when `confirmed`: with a wrong credential everything else is refused too, and once that is
    mended the forecast should be there at once.
    """

    def __init__(self, *refusals: int) -> None:
        self._refusals = frozenset(refusals)
        self._refused_at_s: float | None = None
        self._reason: str | None = None

    def asks(self, now_s: float) -> bool:
        """Tell whether a forecast is to be asked for at `now_s`."""
        # A clock that was set back asks again rather than never.
        return self._refused_at_s is None or not 0 <= now_s - self._refused_at_s < ASK_AGAIN_S

    async def taken(self, asked: Awaitable[T]) -> T | None:
        """Return what is given, None where it is refused with one of the statuses that mean "not for you"."""
        self._reason = self._refused_at_s = None
        try:
            return await asked
        except PermanentSourceError as error:
            if error.status not in self._refusals:
                raise
            self._reason = f"no forecast from this provider ({error}); asked again once a day"
            return None

    def confirmed(self, now_s: float) -> tuple[str, ...]:
        """Say that the provider answers but for the forecast; return what is to be noted of that."""
        if self._reason is None:
            return ()
        if self._refused_at_s is None:
            self._refused_at_s = now_s
        return (self._reason,)
