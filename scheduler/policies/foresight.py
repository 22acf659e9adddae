"""The reference system's two policies that look ahead, for comparison (see scheduler.policies.credit).

Both start from credit-greedy and shift share between the base and the others. I is the intensity that the provider
states for this slot, N that for the next one, in g/kWh, uncorrected as the reference takes them. Without a carbon
signal both are credit-greedy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from scheduler.model import FloatArray
from scheduler.policies.base import Proposal, Situation
from scheduler.policies.credit import (
    CLEAN_G_PER_KWH,
    TINY,
    CreditAccount,
    Mix,
    carbon_slots,
    clamp,
    greedy_mix,
    proposal,
)

GREEN_G_PER_KWH = CLEAN_G_PER_KWH
RED_G_PER_KWH = 220.0

LEAST_TREND_G_PER_KWH = 15.0
"""Smaller steps from one slot to the next are noise to forecast-aware."""

EVALUATIONS_TO_JUDGE = 10.0
"""The average emissions of fewer evaluations say nothing."""

LEAST_ADJUSTMENT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastAware:
    """Credit-greedy, leaning against the step to the next slot (forecast-aware).

    For a step t = N - I of 15 g/kWh or more the base gives up a = min(.15, .25 |t| / I) when carbon falls (save
    quality for cleaner power) and gains as much when it rises. Memory: `balance`.
    """

    account: CreditAccount = field(default_factory=CreditAccount)

    def propose(self, situation: Situation) -> Proposal:
        """Return one row of shares."""
        mix = greedy_mix(situation, self.account)
        carbon = carbon_slots(situation)
        if not carbon:
            return proposal(situation, self.account, mix)
        trend = carbon[1] - carbon[0]
        adjustment = _step_adjustment(trend, now=carbon[0])
        leaning = _lean(mix, adjustment)
        figures = {"trend": trend, "adjustment": adjustment, "baseline_weight": float(leaning.shares[mix.base])}
        return proposal(situation, self.account, leaning, figures=figures)

    def observe(self, memory: Mapping[str, float], *, mean_error: float, max_error: float) -> Mapping[str, float]:
        """Move the balance by the error realised."""
        return self.account.observed(memory, mean_error=mean_error, max_error=max_error)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastAwareGlobal:
    """Credit-greedy, shifted by a weighted sum of six signals (forecast-aware-global).

    T = clamp(.30 trend + .30 look-ahead + .20 credit + .10 demand + .10 emissions + zone) to [-1, 1]. T > 0 takes
    from the base, T < 0 gives to it; |T| < .01 does nothing.

    In the reference the demand signal is dead: it is fed a constant. Here it does what it claims, from the requests
    expected in the next slot over those in this one (nothing where either is unknown), so give constant requests
    to compare with the reference as it runs. Memory: `balance`; `evaluations` and `emissions`, the sum over them of
    share x factor x I in g/kWh, which the reference calls cumulative gCO2.
    """

    account: CreditAccount = field(default_factory=CreditAccount)

    def propose(self, situation: Situation) -> Proposal:
        """Return one row of shares; `evaluation_count` and `cumulative_carbon_gco2` are those decided on."""
        mix = greedy_mix(situation, self.account)
        evaluations = float(situation.memory.get("evaluations", 0.0))
        emissions = float(situation.memory.get("emissions", 0.0))
        carbon = carbon_slots(situation)
        if not carbon:
            kept = {"evaluations": evaluations, "emissions": emissions}
            return proposal(situation, self.account, mix, memory=kept)
        signals = {
            "carbon_adjustment": _trend_signal(carbon),
            "lookahead_adjustment": _lookahead_signal(carbon),
            "credit_pressure": 0.6 * (self.account.level(mix.balance) - 0.5),
            "demand_adjustment": _demand_signal(situation.requests),
            "emissions_adjustment": _emissions_signal(emissions, evaluations=evaluations, now=carbon[0]),
            "zone_adjustment": _zone_signal(carbon),
        }
        total = clamp(math.fsum(_WEIGHTS[name] * signal for name, signal in signals.items()), -1.0, 1.0)
        shifted = _shift(mix, total, now=carbon[0])
        figures = {
            **signals,
            "total_adjustment": total,
            "cumulative_carbon_gco2": emissions,
            "evaluation_count": evaluations,
        }
        emitted = float(shifted.shares @ mix.factor) * carbon[0]
        kept = {"evaluations": evaluations + 1.0, "emissions": emissions + emitted}
        return proposal(situation, self.account, shifted, figures=figures, memory=kept)

    def observe(self, memory: Mapping[str, float], *, mean_error: float, max_error: float) -> Mapping[str, float]:
        """Move the balance by the error realised."""
        return self.account.observed(memory, mean_error=mean_error, max_error=max_error)


_WEIGHTS = {
    "carbon_adjustment": 0.30,
    "lookahead_adjustment": 0.30,
    "credit_pressure": 0.20,
    "demand_adjustment": 0.10,
    "emissions_adjustment": 0.10,
    "zone_adjustment": 1.0,
}


def _step_adjustment(trend: float, *, now: float) -> float:
    """What the base gives up (> 0) before a fall of carbon, or gains (< 0) before a rise."""
    if abs(trend) < LEAST_TREND_G_PER_KWH:
        return 0.0
    size = min(0.15, 0.25 * abs(trend) / max(now, TINY))
    return -size if trend > 0.0 else size


def _lean(mix: Mix, adjustment: float) -> Mix:
    """Move `adjustment` from the base to the others."""
    base, others = float(mix.shares[mix.base]), mix.others
    total = float(others.sum())
    if others.size == 1 or adjustment == 0.0 or (adjustment > 0.0 and total <= 0.0):
        return mix
    if adjustment > 0.0:
        moved = min(adjustment, base)
        grown = np.minimum(0.95, others * ((total + moved) / total))
        return mix.shifted(base=max(0.05, base - moved), others=grown)
    moved = min(-adjustment, total)
    portion = others / total if total > 0.0 else others
    return mix.shifted(base=min(0.98, base + moved), others=np.maximum(0.02, others - moved * portion))


def _trend_signal(carbon: tuple[float, ...]) -> float:
    now, after = carbon[:2]
    return clamp(-2.0 * (after - now) / now, -1.0, 1.0) if now > 0.0 else 0.0


def _lookahead_signal(carbon: tuple[float, ...]) -> float:
    """Compare the slots seen, this one the first, with this one: later slots count less, those <= 0 g/kWh not at all.

    The two last terms ask for any slot of the same colour as this one. As this one is among them they always find
    it; the reference's words leave open whether it is meant to be.
    """
    now = carbon[0]
    if now <= 0.0:
        return 0.0
    seen = [value for value in carbon if value > 0.0]
    weights = [1.0 / (1.0 + 0.3 * index) for index in range(len(seen))]
    mean = sum(weight * (value / now) for weight, value in zip(weights, seen, strict=True)) / sum(weights)
    signal = -1.2 * math.log(mean)
    signal += 0.2 * (min(seen) / now < 0.6) - 0.2 * (max(seen) / now > 1.4)
    signal -= 0.4 * (now <= GREEN_G_PER_KWH and min(seen) <= GREEN_G_PER_KWH)
    signal += 0.5 * (now >= RED_G_PER_KWH and max(seen) >= RED_G_PER_KWH)
    return clamp(signal, -1.0, 1.0)


def _demand_signal(requests: FloatArray) -> float:
    """Keep quality up before a rush, give it away before a lull."""
    now, after = (float(requests[0]), float(requests[1])) if requests.size > 1 else (0.0, 0.0)
    ratio = after / now if now > 0.0 else 1.0
    steps = ((ratio > 1.5, -0.6), (ratio > 1.25, -0.3), (ratio < 0.6, 0.4), (ratio < 0.8, 0.2))
    return next((signal for applies, signal in steps if applies), 0.0)


def _emissions_signal(emissions: float, *, evaluations: float, now: float) -> float:
    """Hold the average of share x factor x I so far against the present intensity."""
    if evaluations < EVALUATIONS_TO_JUDGE or now <= GREEN_G_PER_KWH:
        return 0.0
    ratio = emissions / evaluations / now
    steps = ((ratio > 1.2, 0.5), (ratio > 1.05, 0.2), (ratio < 0.8, -0.3))
    return next((signal for applies, signal in steps if applies), 0.0)


def _zone_signal(carbon: tuple[float, ...]) -> float:
    """Green or red now, else what comes up in the first three slots, this one included."""
    now, soon = carbon[0], carbon[:3]
    if now <= GREEN_G_PER_KWH:
        return -0.6
    if now >= RED_G_PER_KWH:
        return 0.6
    return 0.2 * (max(soon) >= RED_G_PER_KWH) - 0.2 * (min(soon) <= GREEN_G_PER_KWH)


def _shift(mix: Mix, total: float, *, now: float) -> Mix:
    """Move share by T in [-1, 1]: from the base to the others when > 0, the other way when < 0."""
    base, others = float(mix.shares[mix.base]), mix.others
    if abs(total) < LEAST_ADJUSTMENT or (total < 0.0 and not others.any()):
        return mix
    green, red = now <= GREEN_G_PER_KWH, now >= RED_G_PER_KWH
    if total > 0.0:
        floor = 0.08 if green else 0.01 if red else 0.02
        cut = max(0.0, min(base * (0.4 + total) * (1.5 if red else 1.0), base - floor))
        return mix.shifted(base=base - cut, others=others + cut * mix.split)
    kept = max(0.1, 1.0 + total * (1.5 if green else 1.0))
    fewer = np.maximum(0.01, others * kept)
    fewer[mix.base] = 0.0
    return mix.shifted(base=min(0.98, base + float(others.sum() - fewer.sum())), others=fewer)
