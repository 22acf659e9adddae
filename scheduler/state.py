"""Everything the controller must remember, as plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scheduler._plain import number, optional_number, record
from scheduler.commands import Commands
from scheduler.demand import VolumeModel
from scheduler.ledger import Ledger
from scheduler.pattern import DemandPattern

VERSION = 3
_WITH_CARBON = 2
"""The version that kept what was observed of the grid with each service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerState:
    """Ledger, observations of demand and the error of the weights in force.

    `accounted_until_s` is the end of the last report of counts, None before there was anything to count;
    `commands` is what was decided since (and the slot before). `memory` is what `policy` wants back.
    """

    ledger: Ledger = field(default_factory=Ledger)
    accounted_until_s: float | None = None
    commands: Commands = field(default_factory=Commands)
    volume: VolumeModel = field(default_factory=VolumeModel)
    pattern: DemandPattern = field(default_factory=DemandPattern)
    policy: str = ""
    memory: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe data."""
        return {
            "version": VERSION,
            "ledger": self.ledger.to_dict(),
            "accounted_until_s": self.accounted_until_s,
            "commands": self.commands.to_dict(),
            "volume": self.volume.to_dict(),
            "pattern": self.pattern.to_dict(),
            "policy": self.policy,
            "memory": dict(self.memory),
        }

    @classmethod
    def from_dict(cls, data: object) -> ControllerState:
        """Read what `to_dict` wrote; ValueError on anything else, another version included."""
        keys = ("version", "ledger", "accounted_until_s", "commands", "volume", "pattern", "policy", "memory")
        if isinstance(data, Mapping) and data.get("version") == _WITH_CARBON:
            data = {key: value for key, value in data.items() if key != "carbon"}
        fields = record(data, what="controller state", keys=keys)
        if number(fields["version"], what="version") not in (_WITH_CARBON, VERSION):
            raise ValueError(f"controller state: version {fields['version']!r} is not {VERSION}")
        memory = fields["memory"]
        if not isinstance(memory, Mapping) or not isinstance(fields["policy"], str):
            raise ValueError("memory: expected a policy's name and a mapping")  # noqa: TRY004 - bad data, not a bad call
        return cls(
            policy=fields["policy"],
            memory={str(key): number(value, what=f"memory.{key}") for key, value in memory.items()},
            ledger=Ledger.from_dict(fields["ledger"]),
            accounted_until_s=optional_number(fields["accounted_until_s"], what="accounted_until_s"),
            commands=Commands.from_dict(fields["commands"]),
            volume=VolumeModel.from_dict(fields["volume"]),
            pattern=DemandPattern.from_dict(fields["pattern"]),
        )
