"""Totals that never go down: what enters them is settled, slot by slot and window by window.

A slot's grams are known for good only when its actual intensity is. Until then its requests are pending; they enter
once, with one intensity, and what is counted late for the slot enters with that same intensity.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt

from controlplane.accounting.records import Basis, Terms
from controlplane.accounting.scenarios import Scenario, Spent
from controlplane.accounting.summary import add_to
from scheduler import BudgetWindow
from scheduler.model import JOULES_PER_KWH

SETTLE_AFTER_S = 6 * 3600.0
"""So long after a slot's end its forecast must do: sources publish within two hours, some never."""

_Amounts = dict[str, NonNegativeFloat]


class Pending(BaseModel):
    """Requests of one slot that wait for its intensity, at the energy their flavours had when they were counted.

    By flavour, and what the best flavour would have taken for all of them.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    requests: _Amounts = Field(default_factory=dict)
    energy_j: _Amounts = Field(default_factory=dict)
    embodied_g: _Amounts = Field(default_factory=dict)
    best_energy_j: NonNegativeFloat = 0.0
    best_embodied_g: NonNegativeFloat = 0.0

    def add(self, served: Mapping[str, float], terms: Terms) -> None:
        """Enter answers by flavour."""
        best, energy_j = terms.best, {flavour.name: flavour.energy_j for flavour in terms.flavours}
        for name, count in served.items():
            add_to(self.requests, name, count)
            add_to(self.energy_j, name, count * energy_j.get(name, 0.0))
            add_to(self.embodied_g, name, count * terms.embodied_of(name))
            self.best_energy_j += count * best.energy_j
            self.best_embodied_g += count * terms.embodied_of(best.name)


class ClosedWindows(BaseModel):
    """Totals over the windows that are closed, by scenario; those before `until_s` have been looked at.

    `requests` are those with an intensity, the same in every scenario.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    until_s: float | None = None
    windows: NonNegativeInt = 0
    requests: NonNegativeFloat = 0.0
    energy_j: dict[Scenario, NonNegativeFloat] = Field(default_factory=dict)
    grams: dict[Scenario, NonNegativeFloat] = Field(default_factory=dict)
    embodied_g: dict[Scenario, NonNegativeFloat] = Field(default_factory=dict)

    def add(self, requests: float, spent: Mapping[Scenario, Spent]) -> None:
        """Enter one window."""
        self.windows += 1
        self.requests += requests
        for scenario, each in spent.items():
            self.energy_j[scenario] = self.energy_j.get(scenario, 0.0) + each.energy_j
            self.grams[scenario] = self.grams.get(scenario, 0.0) + each.grams
            self.embodied_g[scenario] = self.embodied_g.get(scenario, 0.0) + each.embodied_g


class Settled(BaseModel):
    """Totals over everything settled; energy and embodied grams are of exactly the requests that have grams.

    `requests` and `grams` are by basis and flavour, `best_*` what the best flavour would have taken for the same
    requests. `requests_without_carbon` had no intensity, and enter nothing else.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    requests: dict[Basis, _Amounts] = Field(default_factory=dict)
    grams: dict[Basis, _Amounts] = Field(default_factory=dict)
    energy_j: _Amounts = Field(default_factory=dict)
    embodied_g: _Amounts = Field(default_factory=dict)
    best_grams: dict[Basis, NonNegativeFloat] = Field(default_factory=dict)
    best_energy_j: NonNegativeFloat = 0.0
    best_embodied_g: NonNegativeFloat = 0.0
    requests_without_carbon: NonNegativeFloat = 0.0
    windows: ClosedWindows = Field(default_factory=ClosedWindows)

    def add(self, pending: Pending, *, basis: Basis, g_per_kwh: float) -> None:
        """Enter what was pending in one slot, at the slot's intensity."""
        for name, count in pending.requests.items():
            add_to(self.requests.setdefault(basis, {}), name, count)
        for name, joules in pending.energy_j.items():
            add_to(self.energy_j, name, joules)
            add_to(self.grams.setdefault(basis, {}), name, joules / JOULES_PER_KWH * g_per_kwh)
        for name, grams in pending.embodied_g.items():
            add_to(self.embodied_g, name, grams)
        best_g = pending.best_energy_j / JOULES_PER_KWH * g_per_kwh
        self.best_grams[basis] = self.best_grams.get(basis, 0.0) + best_g
        self.best_energy_j += pending.best_energy_j
        self.best_embodied_g += pending.best_embodied_g

    def keep_only(self, names: set[str]) -> None:
        """Drop the totals of flavours that are gone, or every name ever used would be kept for ever."""
        for totals in (*self.requests.values(), *self.grams.values(), self.energy_j, self.embodied_g):
            for name in totals.keys() - names:
                totals.pop(name)


def back_to_back(window: BudgetWindow) -> BudgetWindow:
    """The windows that are closed for a promise: its own; for a rolling one stretches of its length, none twice."""
    if window.kind != "rolling":
        return window
    return BudgetWindow(length_s=window.length_s, offset_s=window.offset_s)
