"""Who sends counts of a service: what has been entered from each, and how far all of them have come."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

MOST_SENDERS = 256
LONGEST_SENDER = 128
FORGET_AFTER_S = 86_400.0
"""A sender that has been silent for so long may be forgotten for another's sake."""

Place = Literal["next", "repeated", "behind"]


@dataclass(slots=True)
class Senders:
    """The highest number entered from each sender, and the time up to which it has told its counts.

    A sender numbers what it sends upwards, and sends nothing new before the last is answered: so what it repeats has
    the highest number, and a lower one is a mistake.
    """

    known: dict[str, tuple[int, float]] = field(default_factory=dict)

    def place(self, sender: str, number: int) -> Place:
        """What a number is to what was entered: the next, the same again, or one that came too late."""
        highest = self.known[sender][0] if sender in self.known else -1
        return "next" if number > highest else "repeated" if number == highest else "behind"

    def next_number(self, sender: str) -> int:
        """A number for a sender that has none of its own."""
        return self.known[sender][0] + 1 if sender in self.known else 0

    def has_room(self, sender: str, *, now_s: float) -> bool:
        """Whether `sender` can be remembered; what a forgotten one repeats would be entered twice."""
        if sender in self.known or len(self.known) < MOST_SENDERS:
            return True
        return any(told_s + FORGET_AFTER_S < now_s for _, told_s in self.known.values())

    def enter(self, sender: str, number: int, *, until_s: float, now_s: float) -> None:
        """Note that `sender` has told its counts up to `until_s`, the last under this number.

        Counts of long ago take nothing back of what it told before. `has_room` has been asked.
        """
        _, told_s = self.known.pop(sender, (number, until_s))
        self.known[sender] = (number, min(max(until_s, told_s), now_s))
        while len(self.known) > MOST_SENDERS:
            self.known.pop(min(self.known, key=lambda name: self.known[name][1]))

    def told_s(self, sender: str) -> float | None:
        """Up to when `sender` has told its counts, None if it never did."""
        return self.known[sender][1] if sender in self.known else None

    def counted_s(self, sender: str, *, until_s: float, now_s: float, silent_s: float) -> float:
        """The time up to which all have told their counts once `sender` has told its up to `until_s`.

        Who has been silent for `silent_s` is not waited for.
        """
        own_s = min(max(until_s, self.told_s(sender) or until_s), now_s)
        others = (told_s for name, (_, told_s) in self.known.items() if name != sender)
        return min([own_s, *(told_s for told_s in others if now_s - told_s <= silent_s)])

    def to_state(self) -> dict[str, Any]:
        """JSON-safe data."""
        return {sender: list(entry) for sender, entry in self.known.items()}

    @classmethod
    def from_state(cls, data: object) -> Senders:
        """Read what `to_state` gave, None for none; ValueError on anything else."""
        if data is None:
            return cls()
        if not isinstance(data, dict) or len(data) > MOST_SENDERS:
            raise ValueError("senders: expected a mapping")
        return cls({sender: _entry(entry) for sender, entry in data.items()})


def _entry(data: object) -> tuple[int, float]:
    match data:
        case [int(number), int() | float() as told_s] if number >= 0 and math.isfinite(told_s):
            return number, float(told_s)
        case _:
            raise ValueError(f"senders: {data!r} is no number and no time")
