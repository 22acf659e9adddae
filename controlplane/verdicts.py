"""Whether promises were kept, window by window, also where the last counts come late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scheduler import Books, BudgetWindow, Ledger


@dataclass(slots=True)
class Verdicts:
    """Windows that have closed and those that closed above the promise, each counted once.

    `held` is the verdict on each window that the ledger still has, by its start. A window whose late counts tip it over
    its promise is counted then.
    """

    closed: int = 0
    exceeded: int = 0
    held: dict[float, bool] = field(default_factory=dict)
    _until_s: float | None = None
    _reopened: bool = True

    def counted(self, since_s: float) -> None:
        """Counts have come for a time from `since_s` on: windows that closed since may have to be judged again."""
        self._reopened = self._reopened or self._until_s is None or since_s < self._until_s

    def judge(self, window: BudgetWindow, ledger: Ledger, *, now_s: float) -> list[Books]:
        """The books of windows now found to have been exceeded."""
        part_s, _ = window.part_of(now_s)
        if part_s == self._until_s and not self._reopened:
            return []
        starts = _closed(window, ledger, part_s=part_s, since_s=self._until_s)
        self._until_s, self._reopened = part_s, False
        over: list[Books] = []
        verdicts: dict[float, bool] = {}
        for start_s in sorted(starts | {start_s for start_s in self.held if start_s >= part_s - 2 * window.length_s}):
            books, before = ledger.open(window, start_s), self.held.get(start_s)
            if not books.requests:
                continue
            verdicts[start_s] = books.held
            self.closed += before is None
            if not books.held and before is not False:
                self.exceeded += 1
                over.append(books)
        self.held = verdicts
        return over

    def under(self, window: BudgetWindow, ledger: Ledger) -> Verdicts:
        """The same counts under another window: what has been judged by the old one is not judged by the new one."""
        past = [book.start_s for book in ledger.books if self._until_s is not None and book.start_s < self._until_s]
        held = {start_s: ledger.open(window, start_s).held for start_s in past}
        return Verdicts(closed=self.closed, exceeded=self.exceeded, held=held)

    def to_state(self) -> dict[str, Any]:
        """JSON-safe data."""
        held = [[start_s, verdict] for start_s, verdict in self.held.items()]
        return {"closed": self.closed, "exceeded": self.exceeded, "held": held}

    @classmethod
    def from_state(cls, data: object, *, window: BudgetWindow, ledger: Ledger) -> Verdicts:
        """Read what `to_state` gave; ValueError on anything else. Older books, without verdicts, are not judged."""
        if data is None:
            past = sorted(book.start_s for book in ledger.books)[:-1]
            return cls(held={start_s: ledger.open(window, start_s).held for start_s in past})
        match data:
            case {"closed": int(closed), "exceeded": int(exceeded), "held": list(held)} if isinstance(data, Mapping):
                return cls(closed=closed, exceeded=exceeded, held=dict(map(_verdict, held)))
            case _:
                raise ValueError("verdicts: expected counts and a list")


def _closed(window: BudgetWindow, ledger: Ledger, *, part_s: float, since_s: float | None) -> set[float]:
    """Starts of the parts that ended by `part_s` and may have served something.

    A rolling promise is kept at the end of every part, also of one in which nothing was served: what was good before
    may just have left the window.
    """
    starts = {book.start_s for book in ledger.books if book.start_s < part_s}
    if window.kind != "rolling" or not starts:
        return starts
    at_s, parts = max(min(starts), part_s - window.length_s if since_s is None else since_s), set[float]()
    while at_s < part_s and len(parts) < 4 * window.parts:
        parts.add(window.part_of(at_s)[0])
        at_s = window.part_of(at_s)[1]
    return starts | parts


def _verdict(data: object) -> tuple[float, bool]:
    match data:
        case [int() | float() as start_s, bool(verdict)]:
            return float(start_s), verdict
        case _:
            raise ValueError(f"verdicts: {data!r} is no start and no verdict")
