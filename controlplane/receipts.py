"""Which counts a service has had already, so that what is sent twice is entered once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MOST_SENDERS = 256
LONGEST_SENDER = 128


@dataclass(slots=True)
class Receipts:
    """The highest number entered from each sender; senders number what they send upwards.

    A sender that has not been heard of for longest is forgotten when there are more than `MOST_SENDERS`: it would be
    believed again whatever it numbers.
    """

    highest: dict[str, int] = field(default_factory=dict)

    def is_new(self, sender: str, number: int) -> bool:
        """Whether nothing with this number or a higher one has been entered from `sender`."""
        return number > self.highest.get(sender, -1)

    def enter(self, sender: str, number: int) -> None:
        """Note that everything up to `number` is entered."""
        self.highest.pop(sender, None)
        self.highest[sender] = number
        while len(self.highest) > MOST_SENDERS:
            self.highest.pop(next(iter(self.highest)))

    def to_state(self) -> dict[str, Any]:
        """JSON-safe data."""
        return dict(self.highest)

    @classmethod
    def from_state(cls, data: object) -> Receipts:
        """Read what `to_state` gave; ValueError on anything else."""
        if data is None:
            return cls()
        if not isinstance(data, dict) or len(data) > MOST_SENDERS:
            raise ValueError("receipts: expected a mapping")
        if not all(type(number) is int and number >= 0 for number in data.values()):
            raise ValueError("receipts: expected whole numbers")
        return cls(dict(data))
