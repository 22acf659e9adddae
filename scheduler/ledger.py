"""The books of the error budget: what was served, and at what error, in the current budget window.

Only counts of answers move the ledger; time only closes windows. It is plain frozen data, so that it survives
a restart, a change of leader and a changed schedule as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scheduler._plain import number, record


def over_budget(mean_error: float, max_error: float) -> bool:
    """Whether a mean error exceeds the promise by more than the rounding of floats."""
    return mean_error > max_error * (1.0 + 1e-9)


def window_of(time_s: float, *, window_s: float, offset_s: float = 0.0) -> tuple[float, float]:
    """Start and end of the budget window that holds `time_s`, all in epoch seconds."""
    index = math.floor((time_s - offset_s) / window_s)
    if offset_s + index * window_s > time_s:  # the division rounded up across the boundary
        index -= 1
    return offset_s + index * window_s, offset_s + (index + 1) * window_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Totals of one window: requests, error-requests (requests x error), and requests by flavour."""

    start_s: float
    end_s: float
    requests: float = 0.0
    error_requests: float = 0.0
    by_flavour: Mapping[str, float] = field(default_factory=dict)

    @property
    def mean_error(self) -> float:
        """Request-weighted mean error, 0 when nothing was served."""
        return self.error_requests / self.requests if self.requests else 0.0

    def plus(self, counts: Mapping[str, float], *, errors: Mapping[str, float], share: float = 1.0) -> Books:
        """Return the books with `share` of the counts entered at today's errors."""
        by_flavour = dict(self.by_flavour)
        for name, count in counts.items():
            by_flavour[name] = by_flavour.get(name, 0.0) + count * share
        return replace(
            self,
            requests=self.requests + sum(counts.values()) * share,
            error_requests=self.error_requests + sum(n * errors[name] for name, n in counts.items()) * share,
            by_flavour=by_flavour,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe data."""
        return {
            "start_s": self.start_s,
            "end_s": self.end_s,
            "requests": self.requests,
            "error_requests": self.error_requests,
            "by_flavour": dict(self.by_flavour),
        }

    @classmethod
    def from_dict(cls, data: object) -> Books:
        """Read what `to_dict` wrote; ValueError on anything else."""
        keys = ("start_s", "end_s", "requests", "error_requests", "by_flavour")
        fields = record(data, what="books", keys=keys)
        flavours = fields["by_flavour"]
        if not isinstance(flavours, Mapping) or not all(isinstance(name, str) for name in flavours):
            raise ValueError("books: by_flavour must map names to counts")
        books = cls(
            start_s=number(fields["start_s"], what="books.start_s"),
            end_s=number(fields["end_s"], what="books.end_s"),
            requests=number(fields["requests"], what="books.requests", minimum=0.0),
            error_requests=number(fields["error_requests"], what="books.error_requests", minimum=0.0),
            by_flavour={n: number(c, what=f"books.by_flavour.{n}", minimum=0.0) for n, c in flavours.items()},
        )
        if books.end_s <= books.start_s or books.error_requests > books.requests * (1.0 + 1e-9):
            raise ValueError("books: a window must end after it starts, and error-requests cannot exceed requests")
        return books


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The current window, the one before it, and how many requests came too late for both.

    A report covers an interval of time and is shared out over it: the part in the current window is entered
    there, the part in the window before corrects that one, and what is older only raises `late_requests`. So a
    late report never touches the promise being kept now.
    """

    current: Books
    previous: Books | None = None
    late_requests: float = 0.0

    @classmethod
    def opening(cls, *, at_s: float, window_s: float, offset_s: float = 0.0) -> Ledger:
        """Open empty books for the window that holds `at_s`: `window_s` long, aligned to the epoch + `offset_s`."""
        return cls(current=_window(at_s, window_s=window_s, offset_s=offset_s))

    def at(self, time_s: float, *, window_s: float, offset_s: float = 0.0) -> Ledger:
        """Return the ledger as of `time_s`: a new window if the current one has ended, else unchanged.

        When `window_s` or `offset_s` has changed, books that are still open move into the new window whole.
        """
        window = _window(max(time_s, self.current.start_s), window_s=window_s, offset_s=offset_s)
        if time_s < self.current.end_s:
            if (window.start_s, window.end_s) == (self.current.start_s, self.current.end_s):
                return self
            return replace(self, current=replace(self.current, start_s=window.start_s, end_s=window.end_s))
        return replace(self, current=window, previous=self.current)

    def add(  # noqa: PLR0913 - one report: what, at which errors, over which time, in which windows
        self,
        counts: Mapping[str, float],
        *,
        errors: Mapping[str, float],
        since_s: float,
        until_s: float,
        window_s: float,
        offset_s: float = 0.0,
    ) -> Ledger:
        """Enter the answers by flavour given in (since_s, until_s], at the errors the flavours have now.

        Raises ValueError on a negative or non-finite count and on a flavour without an error.
        """
        _check_counts(counts, errors)
        # The half-open interval makes a report that ends with the window belong to it.
        last_s = math.nextafter(until_s, -math.inf)
        rolled = self.at(last_s, window_s=window_s, offset_s=offset_s)
        since_s = min(since_s, last_s)
        now_share = _overlap(rolled.current, since_s, until_s)
        before_share = _overlap(rolled.previous, since_s, until_s) if rolled.previous else 0.0
        late_share = max(0.0, 1.0 - now_share - before_share)
        return Ledger(
            current=rolled.current.plus(counts, errors=errors, share=now_share),
            previous=rolled.previous and rolled.previous.plus(counts, errors=errors, share=before_share),
            late_requests=rolled.late_requests + sum(counts.values()) * late_share,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe data."""
        return {
            "current": self.current.to_dict(),
            "previous": self.previous.to_dict() if self.previous else None,
            "late_requests": self.late_requests,
        }

    @classmethod
    def from_dict(cls, data: object) -> Ledger:
        """Read what `to_dict` wrote; ValueError on anything else."""
        fields = record(data, what="ledger", keys=("current", "previous", "late_requests"))
        return cls(
            current=Books.from_dict(fields["current"]),
            previous=None if fields["previous"] is None else Books.from_dict(fields["previous"]),
            late_requests=number(fields["late_requests"], what="ledger.late_requests", minimum=0.0),
        )


def _window(time_s: float, *, window_s: float, offset_s: float) -> Books:
    start_s, end_s = window_of(time_s, window_s=window_s, offset_s=offset_s)
    return Books(start_s=start_s, end_s=end_s)


def _overlap(books: Books, since_s: float, until_s: float) -> float:
    """Share of (since_s, until_s] that lies in the window of `books`."""
    inside = min(until_s, books.end_s) - max(since_s, books.start_s)
    return max(0.0, inside) / (until_s - since_s)


def _check_counts(counts: Mapping[str, float], errors: Mapping[str, float]) -> None:
    for name, count in counts.items():
        if name not in errors:
            raise ValueError(f"counts for {name!r}, which is not a flavour")
        if not (math.isfinite(count) and count >= 0.0):
            raise ValueError(f"the count of {name!r} must be finite and >= 0, not {count!r}")
