"""The reference system's credit-greedy policy, for comparison, and the credit account all of its policies share.

Its formulas, not its code: k8s-carbonrouter, snapshot 31c2c5f. What it calls the emissions factor of a flavour is
here its energy as a share of the most that any flavour needs, its precision 1 - error, and the base the flavour of
highest precision (the first of equals). A policy of this family keeps no promise on the mean error; it leans.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from scheduler.model import Flavour, FloatArray, errors_of
from scheduler.policies.base import LOOKAHEAD_SLOTS, Proposal, Situation
from scheduler.policies.plain import one_slot

CLEAN_G_PER_KWH = 80.0
"""Up to here the reference spends least credit, and calls the grid green."""

DIRTY_G_PER_KWH = 280.0
"""From here on it spends most."""

MOST_ALLOWANCE = 0.95
DEBT_KEEPS_AT_LEAST = 0.2
TINY = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditAccount:
    """The balance that stands in for an error budget; it starts at 0 and is kept in memory as `balance`.

    It moves by `sensitivity` x (max_error - mean error) per event, however many requests the event stands for:
    once per evaluation with the error predicted and once per observation with the error realised. So it counts
    twice, and rises without traffic; both are kept, for they shape what the reference decides.

    Raises ValueError unless `lowest` <= 0 <= `highest`, the two differ and all are finite.
    """

    lowest: float = -1.0
    highest: float = 1.0
    sensitivity: float = 0.33

    def __post_init__(self) -> None:
        if not (-math.inf < self.lowest <= 0.0 <= self.highest < math.inf and self.lowest < self.highest):
            raise ValueError(f"a balance from {self.lowest!r} to {self.highest!r} has no room around 0")
        if not (math.isfinite(self.sensitivity) and self.sensitivity >= 0.0):
            raise ValueError(f"sensitivity must be finite and >= 0, not {self.sensitivity!r}")

    def balance(self, memory: Mapping[str, float]) -> float:
        """Return the balance remembered, within the limits; 0 at first."""
        return clamp(float(memory.get("balance", 0.0)), self.lowest, self.highest)

    def level(self, balance: float) -> float:
        """Return where the balance stands between its limits, 0-1."""
        return (balance - self.lowest) / (self.highest - self.lowest)

    def after(self, balance: float, *, mean_error: float, max_error: float) -> float:
        """Return the balance after one event at this mean error."""
        earned = self.sensitivity * (max_error - max(0.0, mean_error))
        return clamp(balance + earned, self.lowest, self.highest)

    def observed(self, memory: Mapping[str, float], *, mean_error: float, max_error: float) -> Mapping[str, float]:
        """Return the memory with the balance after one observation."""
        balance = self.after(self.balance(memory), mean_error=mean_error, max_error=max_error)
        return {**memory, "balance": balance}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """The greedy answer, for others to shift: `shares` (S,), of which `base` indexes the most precise flavour.

    `split` (S,) says how what the base gives up goes to the others: 0 at the base, sum 1, all 0 for a lone
    flavour. `factor` (S,) is the energy as a share of the highest. `balance` is that decided on, `figures` are
    the diagnostics so far.
    """

    base: int
    shares: FloatArray
    split: FloatArray
    factor: FloatArray
    balance: float
    figures: Mapping[str, float]

    @property
    def others(self) -> FloatArray:
        """Shares (S,) with 0 at the base."""
        return self._with_base(0.0, self.shares)

    def shifted(self, *, base: float, others: FloatArray) -> Mix:
        """Return the mix whose shares stand as `base` to `others` (S,), whose own value at the base is void."""
        return replace(self, shares=one_slot(self._with_base(base, others))[0])

    def _with_base(self, base: float, others: FloatArray) -> FloatArray:
        result = others.copy()
        result[self.base] = base
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditGreedy:
    """Spend credit on the greener flavours, more of it when the grid is dirty now (credit-greedy).

    A = clamp(A0 M, 0, .95) goes to the others by (energy saved / error), the rest to the base. A0 is the level of
    the balance b, times max(.2, 1 - .5 b / lowest) in debt. M = .3 + 1.7 clamp((I - 80) / 200) for the intensity I
    that the provider states for this slot, in g/kWh, and 1 without a carbon signal. Memory: `balance`.
    """

    account: CreditAccount = field(default_factory=CreditAccount)

    def propose(self, situation: Situation) -> Proposal:
        """Return one row of shares; diagnostics as the reference names them."""
        return proposal(situation, self.account, greedy_mix(situation, self.account))

    def observe(self, memory: Mapping[str, float], *, mean_error: float, max_error: float) -> Mapping[str, float]:
        """Move the balance by the error realised."""
        return self.account.observed(memory, mean_error=mean_error, max_error=max_error)


def clamp(value: float, low: float, high: float) -> float:
    """Return `value`, or the end it lies beyond."""
    return max(low, min(high, value))


def carbon_slots(situation: Situation) -> tuple[float, ...]:
    """Return what the provider states for this slot and the next ones, g/kWh; empty without a carbon signal."""
    if situation.basis == "none":
        return ()
    return tuple(float(value) for value in situation.provided[:LOOKAHEAD_SLOTS])


def greedy_mix(situation: Situation, account: CreditAccount) -> Mix:
    """Return what credit-greedy would serve, before any foresight."""
    balance = account.balance(situation.memory)
    granted = _granted(account, balance)
    carbon = carbon_slots(situation)
    ratio = clamp((carbon[0] - CLEAN_G_PER_KWH) / (DIRTY_G_PER_KWH - CLEAN_G_PER_KWH), 0.0, 1.0) if carbon else None
    multiplier = 1.0 if ratio is None else 0.3 + 1.7 * ratio
    allowance = clamp(granted * multiplier, 0.0, MOST_ALLOWANCE)
    factor = _factors(situation.flavours)
    base = int(errors_of(situation.flavours).argmin())
    split = _split(situation.flavours, factor=factor, base=base)
    shares = allowance * split
    shares[base] = 1.0 - allowance
    figures = {
        "credit_balance": balance,
        "normalised_credit": account.level(balance),
        "base_allowance": granted,
        "carbon_multiplier": multiplier,
        "allowance": allowance,
    }
    if ratio is not None:
        figures |= {"carbon_now": carbon[0], "carbon_ratio": ratio}
    # one_slot, because a lone flavour keeps what no other can take.
    return Mix(base=base, shares=one_slot(shares)[0], split=split, factor=factor, balance=balance, figures=figures)


def proposal(
    situation: Situation,
    account: CreditAccount,
    mix: Mix,
    *,
    figures: Mapping[str, float] | None = None,
    memory: Mapping[str, float] | None = None,
) -> Proposal:
    """Answer with the shares of `mix`, and move the balance by the error they predict.

    `avg_precision` is that of these shares, where the reference repeats the one before its adjustments.
    """
    error = float(mix.shares @ errors_of(situation.flavours))
    balance = account.after(mix.balance, mean_error=error, max_error=situation.max_error)
    return Proposal(
        shares=mix.shares[None, :],
        diagnostics={**mix.figures, **(figures or {}), "avg_precision": 1.0 - error},
        memory={**(memory or {}), "balance": balance},
    )


def _granted(account: CreditAccount, balance: float) -> float:
    """Share of requests that the balance alone would give away (A0)."""
    granted = clamp(account.level(balance), 0.0, 1.0)
    if balance < 0.0:
        granted *= max(DEBT_KEEPS_AT_LEAST, 1.0 - 0.5 * min(1.0, balance / account.lowest))
    return granted


def _factors(flavours: tuple[Flavour, ...]) -> FloatArray:
    energy = np.array([flavour.energy_j for flavour in flavours])
    highest = float(energy.max())
    return energy / highest if highest > 0.0 else energy


def _split(flavours: tuple[Flavour, ...], *, factor: FloatArray, base: int) -> FloatArray:
    """How the others share what the base gives up: by (factor saved) / error, a trace where nothing is saved."""
    score: FloatArray = np.maximum(TINY, factor[base] - factor) / np.maximum(TINY, errors_of(flavours))
    score[base] = 0.0
    total = float(score.sum())
    return score / total if total > 0.0 else score
