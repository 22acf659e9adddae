"""The books of the error budget: what was served, at what error, and what the promise granted for it.

Only counts of answers move the ledger; time moves nothing. It is plain frozen data, so that it survives a restart,
a change of leader, a changed schedule and a clock that jumps as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from scheduler._plain import items, number, record
from scheduler.model import FloatArray
from scheduler.window import BudgetWindow

_WINDOWS_KEPT = 3
"""Books are kept for so many windows: one report from a clock that was wrong for a while fills those of one."""


def over_budget(spent: float, allowed: float) -> bool:
    """Whether more was spent than allowed, by more than the rounding of floats: mean errors, or error-requests."""
    return spent > allowed * (1.0 + 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Totals of a stretch of time.

    `error_requests` is requests x error, `granted` what the promise in force when they were served allows for
    these requests, `carried` the unused credit taken over from the window before.
    """

    start_s: float
    end_s: float
    requests: float = 0.0
    error_requests: float = 0.0
    granted: float = 0.0
    carried: float = 0.0
    by_flavour: Mapping[str, float] = field(default_factory=dict)

    @property
    def mean_error(self) -> float:
        """Request-weighted mean error, 0 when nothing was served."""
        return self.error_requests / self.requests if self.requests else 0.0

    @property
    def credit(self) -> float:
        """Error-requests that may still be spent without any further request; negative when in debt."""
        return self.granted + self.carried - self.error_requests

    @property
    def held(self) -> bool:
        """Whether the promise is kept so far, to the rounding of floats."""
        return not over_budget(self.error_requests, self.granted + self.carried)

    def plus(self, other: Books, *, share: float = 1.0) -> Books:
        """Return the books with `share` of what stands in others entered; the time they span stays."""
        by_flavour = dict(self.by_flavour)
        for name, count in other.by_flavour.items():
            by_flavour[name] = by_flavour.get(name, 0.0) + count * share
        return replace(
            self,
            requests=self.requests + other.requests * share,
            error_requests=self.error_requests + other.error_requests * share,
            granted=self.granted + other.granted * share,
            by_flavour=by_flavour,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe data."""
        sums = {key: getattr(self, key) for key in _SUMS}
        return {"start_s": self.start_s, "end_s": self.end_s, **sums, "by_flavour": dict(self.by_flavour)}

    @classmethod
    def from_dict(cls, data: object) -> Books:
        """Read what `to_dict` wrote; ValueError on anything else."""
        fields = record(data, what="books", keys=("start_s", "end_s", *_SUMS, "by_flavour"))
        flavours = fields["by_flavour"]
        if not isinstance(flavours, Mapping) or not all(isinstance(name, str) for name in flavours):
            raise ValueError("books: by_flavour must map names to counts")
        books = cls(
            start_s=number(fields["start_s"], what="books.start_s"),
            end_s=number(fields["end_s"], what="books.end_s"),
            by_flavour={n: number(c, what=f"books.by_flavour.{n}", minimum=0.0) for n, c in flavours.items()},
            **{key: number(fields[key], what=f"books.{key}", minimum=0.0) for key in _SUMS},
        )
        most = books.requests * (1.0 + 1e-9)
        if books.end_s <= books.start_s or books.error_requests > most or books.granted > most:
            raise ValueError("books: they must end after they start, and neither error nor grant exceeds the requests")
        return books


_SUMS = ("requests", "error_requests", "granted", "carried")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Books in the order in which they were last written in, and how many requests are in none of them any more.

    A report covers an interval of time and is shared out over the books of that time, so that a late report
    corrects its own window and never the one being kept now. The books untouched for longest are dropped: neither
    a late report nor a clock that jumps ahead and back can push out those in use. Their requests go on in
    `forgotten_requests`, so that every request ever entered is somewhere.
    """

    books: tuple[Books, ...] = ()
    forgotten_requests: float = 0.0

    def add(  # noqa: PLR0913 - one report: what, at which errors and promise, over which time, in which windows
        self,
        counts: Mapping[str, float],
        *,
        errors: Mapping[str, float],
        max_error: float,
        since_s: float,
        until_s: float,
        window: BudgetWindow,
    ) -> Ledger:
        """Enter the answers by flavour given in (since_s, until_s], at the errors and the promise of now.

        Raises ValueError on a negative or non-finite count and on a flavour without an error.
        """
        _check_counts(counts, errors)
        # The half-open interval makes a report that ends with the window belong to it.
        last_s = math.nextafter(until_s, -math.inf)
        since_s = min(since_s, last_s)
        requests = sum(counts.values())
        report = Books(
            start_s=since_s,
            end_s=until_s,
            requests=requests,
            error_requests=sum(count * errors[name] for name, count in counts.items()),
            granted=requests * max_error,
            by_flavour=counts,
        )
        keep = _WINDOWS_KEPT * (window.parts + 1)
        books = {(book.start_s, book.end_s): book for book in self.books}
        left = 1.0
        for start_s, end_s in _parts_of(window, last_s, since_s=since_s, most=window.parts + 1):
            share = min(left, (min(until_s, end_s) - max(since_s, start_s)) / (until_s - since_s))
            open_books = books.pop((start_s, end_s), None) or self._opened(window, start_s=start_s, end_s=end_s)
            books[start_s, end_s] = open_books.plus(report, share=share)
            left -= share
        touched = tuple(books.values())
        since_s, before_s = window.before(last_s)[0], window.of(last_s)[1]
        # After a change of window the books of this one may be many small ones of the kind before.
        kept = tuple(
            book
            for age, book in enumerate(reversed(touched))
            if age < keep or (book.start_s < before_s and book.end_s > since_s)
        )[::-1]
        forgotten = sum(book.requests for book in touched) - sum(book.requests for book in kept) + requests * left
        return Ledger(books=kept, forgotten_requests=max(0.0, self.forgotten_requests + forgotten))

    def total(self, start_s: float, end_s: float) -> Books:
        """Everything served from `start_s` to `end_s`; books that lie in it partly count by their share of time."""
        total = Books(start_s=start_s, end_s=end_s)
        for book in self.books:
            inside = min(end_s, book.end_s) - max(start_s, book.start_s)
            if inside > 0.0:
                total = total.plus(book, share=min(1.0, inside / (book.end_s - book.start_s)))
        return total

    def credits(self, *, since_s: FloatArray) -> FloatArray:
        """Credit of everything served since each time (T,), without what was carried over, as `total` counts it."""
        if not self.books:
            return np.zeros(since_s.size)
        start_s, end_s, credit = np.array(
            [(book.start_s, book.end_s, book.granted - book.error_requests) for book in self.books]
        ).T
        share = (end_s - np.maximum(start_s, since_s[:, None])) / (end_s - start_s)
        return np.asarray(np.clip(share, 0.0, 1.0) @ credit)

    def open(self, window: BudgetWindow, now_s: float) -> Books:
        """The books of the window that is open at `now_s`, with the credit it took over."""
        start_s, end_s = window.of(now_s)
        return replace(self.total(start_s, end_s), carried=self._carried(window, start_s=start_s, end_s=end_s))

    def before(self, window: BudgetWindow, now_s: float) -> Books | None:
        """The books of the window before that, None when nothing was served in it."""
        part_start_s, _ = window.part_of(now_s)
        books = self.open(window, math.nextafter(part_start_s, -math.inf))
        return books if books.requests else None

    def _opened(self, window: BudgetWindow, *, start_s: float, end_s: float) -> Books:
        carried = self._carried(window, start_s=start_s, end_s=end_s)
        return Books(start_s=start_s, end_s=end_s, carried=carried)

    def _carried(self, window: BudgetWindow, *, start_s: float, end_s: float) -> float:
        """Credit taken over at `start_s`: what the books before have left now, else what was noted at the time."""
        if not window.carry_over:
            return 0.0
        noted = 0.0
        for book in self.books:
            if book.end_s == start_s:
                return max(0.0, min(window.carry_over * book.granted, book.credit))
            if (book.start_s, book.end_s) == (start_s, end_s):
                noted = book.carried
        return noted

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe data."""
        return {"books": [book.to_dict() for book in self.books], "forgotten_requests": self.forgotten_requests}

    @classmethod
    def from_dict(cls, data: object) -> Ledger:
        """Read what `to_dict` wrote; ValueError on anything else."""
        fields = record(data, what="ledger", keys=("books", "forgotten_requests"))
        books = [Books.from_dict(book) for book in items(fields["books"], what="ledger.books")]
        return cls(
            books=tuple(books),
            forgotten_requests=number(fields["forgotten_requests"], what="ledger.forgotten_requests", minimum=0.0),
        )


def _parts_of(window: BudgetWindow, last_s: float, *, since_s: float, most: int) -> list[tuple[float, float]]:
    """The parts of windows that a report from `since_s` to `last_s` touches, oldest first, the newest `most`."""
    parts = [window.part_of(last_s)]
    while since_s < parts[-1][0] and len(parts) < most:
        parts.append(window.part_of(math.nextafter(parts[-1][0], -math.inf)))
    return parts[::-1]


def _check_counts(counts: Mapping[str, float], errors: Mapping[str, float]) -> None:
    for name, count in counts.items():
        if name not in errors:
            raise ValueError(f"counts for {name!r}, which is not a flavour")
        if not (math.isfinite(count) and count >= 0.0):
            raise ValueError(f"the count of {name!r} must be finite and >= 0, not {count!r}")
