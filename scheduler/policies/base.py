"""What a policy is told and what it answers: the one interface between the controller and the ways to decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from scheduler.constraints import Constraints
from scheduler.forecast import Basis
from scheduler.model import Flavour, FloatArray
from scheduler.promise import Promise

Binding = Literal["budget", "guard", "none", "infeasible", "imposed"]

LOOKAHEAD_SLOTS = 6
"""How many slots of carbon a policy sees at least, even when the window ends sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that is known when the slot at `now_s` is decided, for S flavours and the T slots left in the window.

    `flavours` are those that can answer now, in any order. `carbon` (H,), H = max(T, LOOKAHEAD_SLOTS), is the
    best estimate in g/kWh from the present slot on, `provided` (H,) the same as the provider gave it, uncorrected
    (the estimate where the provider says nothing); with `basis` "none" both are flat and mean nothing.
    `slot_start_s` is when the present slot began. `requests` (T,) is the demand expected, `promise` what these may
    err, `constraints` what else is demanded, `previous` (S,) the shares of the slot before (None: nobody knows).
    `memory` is what the policy returned last, empty at first; `seed` makes chance repeatable.
    """

    flavours: tuple[Flavour, ...]
    now_s: float
    slot_start_s: float
    slot_s: float
    carbon: FloatArray
    provided: FloatArray
    basis: Basis
    requests: FloatArray
    max_error: float
    promise: Promise
    constraints: Constraints | None = None
    previous: FloatArray | None = None
    sampling_sigmas: float = 0.0
    memory: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A policy's answer: `shares` (N, S), N >= 1, rows summing to 1, for this slot and as many later ones as planned.

    `shadow_price` is the grams one more error-request of budget would save (None from a policy without such a
    notion), `binding` what held the error down, `conditions` what could not be met, by name, `diagnostics` the
    policy's own figures for people, `memory` what it wants back next time.
    """

    shares: FloatArray
    shadow_price: float | None = None
    binding: Binding = "none"
    conditions: tuple[str, ...] = ()
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    memory: Mapping[str, float] = field(default_factory=dict)


class Policy(Protocol):
    """One way to decide. Stateless: what it must remember goes through `memory`, which is kept with the ledger.

    A class attribute `makes_up = True` says that it spends less in the rest of a window where more was spent before;
    without it a budget that is exceeded now counts as broken. `honours_constraints = True` says that it heeds
    `Situation.constraints`; without it a service that has some is refused.
    """

    def propose(self, situation: Situation) -> Proposal:
        """Return the shares to serve now; never raises for a situation that is well formed."""
        ...

    def observe(self, memory: Mapping[str, float], *, mean_error: float, max_error: float) -> Mapping[str, float]:
        """Return the memory after requests were really answered, at this mean error (not called without any)."""
        ...
