"""What one process has counted so far for one service, beside answers and attempts; a restart begins at zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controlplane.accounting.records import FlavourLoad, Terms
from controlplane.accounting.summary import add_to
from scheduler import TOTAL_WEIGHT


@dataclass(slots=True)
class Tally:
    """Joules (as configured) and commanded seconds by flavour, decisions by policy, and error-requests."""

    energy_j: dict[str, float] = field(default_factory=dict)
    commanded_s: dict[str, float] = field(default_factory=dict)
    decisions: dict[str, int] = field(default_factory=dict)
    error_requests: float = 0.0

    def served(self, loads: Mapping[str, FlavourLoad], terms: Terms) -> None:
        """Enter one report, at the energy and the error of now."""
        for flavour in terms.flavours:
            if (load := loads.get(flavour.name)) is not None:
                add_to(self.energy_j, flavour.name, load.served * flavour.energy_j)
                self.error_requests += load.served * flavour.error

    def commanded(self, weights: Mapping[str, int], seconds: float) -> None:
        """Enter that weights were in force for a time: each flavour gets its share of it."""
        for name, weight in weights.items():
            add_to(self.commanded_s, name, weight / TOTAL_WEIGHT * seconds)

    def decided(self, policy: str) -> None:
        """Enter a decision."""
        self.decisions[policy] = self.decisions.get(policy, 0) + 1
