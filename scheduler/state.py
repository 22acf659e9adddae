"""Everything the controller must remember, as plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scheduler._plain import number, optional_number, record
from scheduler.demand import VolumeModel
from scheduler.history import CarbonHistory
from scheduler.ledger import Ledger

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerState:
    """Ledger, observations and the error of the weights in force.

    `ledger` is None until the first decision or count opens the books; `accounted_until_s` is the end of the
    last report of counts; `weights_error` is the mean error of the weights decided last.
    """

    ledger: Ledger | None = None
    accounted_until_s: float | None = None
    weights_error: float | None = None
    volume: VolumeModel = field(default_factory=VolumeModel)
    carbon: CarbonHistory = field(default_factory=CarbonHistory)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe data."""
        return {
            "version": VERSION,
            "ledger": self.ledger.to_dict() if self.ledger else None,
            "accounted_until_s": self.accounted_until_s,
            "weights_error": self.weights_error,
            "volume": self.volume.to_dict(),
            "carbon": self.carbon.to_list(),
        }

    @classmethod
    def from_dict(cls, data: object) -> ControllerState:
        """Read what `to_dict` wrote; ValueError on anything else, another version included."""
        keys = ("version", "ledger", "accounted_until_s", "weights_error", "volume", "carbon")
        fields = record(data, what="controller state", keys=keys)
        if number(fields["version"], what="version") != VERSION:
            raise ValueError(f"controller state: version {fields['version']!r} is not {VERSION}")
        weights_error = optional_number(fields["weights_error"], what="weights_error", minimum=0.0)
        if weights_error is not None and weights_error > 1.0:
            raise ValueError(f"weights_error: {weights_error!r} is not a fraction")
        return cls(
            ledger=None if fields["ledger"] is None else Ledger.from_dict(fields["ledger"]),
            accounted_until_s=optional_number(fields["accounted_until_s"], what="accounted_until_s"),
            weights_error=weights_error,
            volume=VolumeModel.from_dict(fields["volume"]),
            carbon=CarbonHistory.from_list(fields["carbon"]),
        )
