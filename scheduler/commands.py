"""What was commanded and is not counted yet, and what the slot before was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scheduler._plain import items, number, optional_number, record
from scheduler.model import TOTAL_WEIGHT

_MOST = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The decisions that requests still to be counted were answered by.

    `errors` holds (from when, mean error of the weights), oldest first; an entry lasts until the next one.
    `slot_s` is the start of the slot decided last, `weights` its weights by flavour, `before` those of the slot
    before it (empty: none).
    """

    errors: tuple[tuple[float, float], ...] = ()
    slot_s: float | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    before: Mapping[str, float] = field(default_factory=dict)

    def decided(
        self, weights: Mapping[str, float], *, mean_error: float, now_s: float, slot_s: float, counted_s: float
    ) -> Commands:
        """Return the commands with one more, without those whose requests are all counted."""
        earlier = [entry for entry in self.errors if entry[0] < now_s]
        while len(earlier) > 1 and earlier[1][0] <= counted_s:
            earlier.pop(0)
        if not earlier or earlier[-1][1] != mean_error:
            earlier.append((now_s, mean_error))
        return Commands(
            errors=_fewer(earlier),
            slot_s=slot_s,
            weights=weights,
            before=self.before if slot_s == self.slot_s else self.weights,
        )

    def previous(self, slot_s: float) -> Mapping[str, float]:
        """The weights of the slot before the one that starts at `slot_s`; empty when there are none."""
        return self.before if slot_s == self.slot_s else self.weights

    def spans(self, since_s: float, until_s: float) -> tuple[tuple[float, float, float], ...]:
        """(from, to, mean error) of the commands in force between two times; the oldest one also held before."""
        starts = [since_s, *(entry[0] for entry in self.errors[1:])]
        ends = [*starts[1:], until_s]
        found = [
            (max(since_s, start_s), min(until_s, end_s), error)
            for start_s, end_s, (_, error) in zip(starts, ends, self.errors, strict=False)
        ]
        return tuple(span for span in found if span[0] < span[1])

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe data."""
        return {
            "errors": [list(entry) for entry in self.errors],
            "slot_s": self.slot_s,
            "weights": dict(self.weights),
            "before": dict(self.before),
        }

    @classmethod
    def from_dict(cls, data: object) -> Commands:
        """Read what `to_dict` wrote; ValueError on anything else."""
        fields = record(data, what="commands", keys=("errors", "slot_s", "weights", "before"))
        errors: list[tuple[float, float]] = []
        for entry in items(fields["errors"], what="commands.errors"):
            pair = [number(value, what="commands.errors") for value in items(entry, what="commands.errors")]
            if len(pair) != 2 or not 0.0 <= pair[1] <= 1.0 or (errors and pair[0] <= errors[-1][0]):
                raise ValueError(f"commands.errors: {entry!r} is not a time, later than the one before, and an error")
            errors.append((pair[0], pair[1]))
        return cls(
            errors=tuple(errors),
            slot_s=optional_number(fields["slot_s"], what="commands.slot_s"),
            weights=_weights(fields["weights"], what="commands.weights"),
            before=_weights(fields["before"], what="commands.before"),
        )


def _fewer(errors: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Merge the shortest neighbours where there are too many: an outage of reports may last for days."""
    while len(errors) > _MOST:
        at = min(range(len(errors) - 2), key=lambda first: errors[first + 2][0] - errors[first][0])
        (first_s, first), (second_s, second), (third_s, _) = errors[at : at + 3]
        mean = (first * (second_s - first_s) + second * (third_s - second_s)) / (third_s - first_s)
        errors[at : at + 2] = [(first_s, min(1.0, mean))]
    return tuple(errors)


def _weights(data: object, *, what: str) -> dict[str, float]:
    if not isinstance(data, Mapping):
        raise ValueError(f"{what}: expected a mapping")  # noqa: TRY004 - bad data, not a bad call
    weights = {str(name): number(share, what=f"{what}.{name}", minimum=0.0) for name, share in data.items()}
    if any(weight > TOTAL_WEIGHT for weight in weights.values()):
        raise ValueError(f"{what}: a weight is {TOTAL_WEIGHT} at most")
    return weights
