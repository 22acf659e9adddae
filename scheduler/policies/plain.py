"""Policies without foresight: the yardsticks that a carbon-aware one is held against.

`AlwaysBest`, `RoundRobin` and `RandomShares` are what the reference system calls p100, round-robin and random.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from scheduler.model import FloatArray, errors_of
from scheduler.planner import plan
from scheduler.policies.base import Binding, Proposal, Situation

_MOST_EVALUATIONS = 2.0**53
"""Beyond it a float counts no more."""

_Rank = Callable[[float, float], tuple[float, float]]


def one_slot(shares: FloatArray) -> FloatArray:
    """Return shares (S,) as those of a proposal for one slot, (1, S): none below 0, their sum 1."""
    kept = np.maximum(shares, 0.0)
    result: FloatArray = (kept / kept.sum())[None, :]
    return result


class _Memoryless:
    """What was really answered changes nothing."""

    __slots__ = ()

    def observe(
        self,
        memory: Mapping[str, float],
        *,
        mean_error: float,  # noqa: ARG002 - the interface of a policy
        max_error: float,  # noqa: ARG002
    ) -> Mapping[str, float]:
        """Return the memory as it is."""
        return memory


@dataclass(frozen=True, slots=True)
class AlwaysBest(_Memoryless):
    """All requests to the flavour of least error, the cheapest of equals."""

    def propose(self, situation: Situation) -> Proposal:
        """Return one row with a single 1."""
        return _all_on(situation, key=lambda error, energy_j: (error, energy_j))


@dataclass(frozen=True, slots=True)
class AlwaysCheapest(_Memoryless):
    """All requests to the flavour of least energy, the better of equals, whatever it errs."""

    def propose(self, situation: Situation) -> Proposal:
        """Return one row with a single 1."""
        return _all_on(situation, key=lambda error, energy_j: (energy_j, error))


@dataclass(frozen=True, slots=True)
class RoundRobin(_Memoryless):
    """The same share to every flavour, whatever it errs."""

    def propose(self, situation: Situation) -> Proposal:
        """Return one row of 1/S."""
        count = len(situation.flavours)
        return _answer(situation, np.ones(count), figures={"num_flavours": float(count)})


@dataclass(frozen=True, slots=True)
class RandomShares(_Memoryless):
    """Uniform draws, normalised, new at each evaluation: the same for the same seed and number of evaluations.

    Memory: `evaluations`, how many there were.
    """

    def propose(self, situation: Situation) -> Proposal:
        """Return one row of chance."""
        evaluations = _counted(situation.memory.get("evaluations", 0.0))
        seed = situation.seed % 2**64  # numpy takes no negative entropy
        draws = np.random.default_rng([seed, evaluations]).random(len(situation.flavours))
        # 1 - draw lies in (0, 1]: the sum is never zero.
        return _answer(situation, 1.0 - draws, memory={"evaluations": (evaluations + 1.0) % _MOST_EVALUATIONS})


@dataclass(frozen=True, slots=True)
class CarbonBlind(_Memoryless):
    """The constant mix of least energy whose mean error is `max_error`: what can be had without any carbon signal.

    It lies on the hull of (error, energy): at most two flavours. Below the least error the best flavour serves.
    """

    def propose(self, situation: Situation) -> Proposal:
        """Return one row; binding "infeasible" when no flavour errs as little as `max_error`."""
        energy = np.array([[flavour.energy_j for flavour in situation.flavours]])
        mix = plan(
            error=errors_of(situation.flavours)[None, :],
            grams=energy,  # at any constant intensity the cheapest mix is that of least energy
            requests=np.ones(1),
            budget_error_requests=situation.max_error,
        )
        binding: Binding = "budget" if mix.binding else "none"
        return _answer(situation, mix.weights[0], binding=binding if mix.feasible else "infeasible")


def _counted(evaluations: float) -> int:
    """A counter read from a state that anybody may have written: a whole number that one can be added to."""
    return int(min(max(evaluations, 0.0), _MOST_EVALUATIONS - 1.0)) if math.isfinite(evaluations) else 0


def _all_on(situation: Situation, *, key: _Rank) -> Proposal:
    flavours = situation.flavours
    chosen = min(range(len(flavours)), key=lambda index: key(flavours[index].error, flavours[index].energy_j))
    shares = np.zeros(len(flavours))
    shares[chosen] = 1.0
    return _answer(situation, shares)


def _answer(
    situation: Situation,
    shares: FloatArray,
    *,
    binding: Binding = "none",
    figures: Mapping[str, float] | None = None,
    memory: Mapping[str, float] | None = None,
) -> Proposal:
    row = one_slot(shares)
    precision = 1.0 - float(row[0] @ errors_of(situation.flavours))
    return Proposal(
        shares=row,
        binding=binding,
        diagnostics={**(figures or {}), "avg_precision": precision},
        memory=memory or {},
    )
