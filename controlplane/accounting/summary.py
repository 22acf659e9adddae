"""A stretch of time judged: what was served beside what the same requests would have emitted otherwise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from controlplane.accounting.records import SlotRecord
from controlplane.accounting.scenarios import credit_elsewhere
from scheduler import Flavour, FloatArray, counterfactuals, over_budget, served_grams


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A stretch of time judged; grams are g CO2e and leave out requests in slots without any carbon figure.

    Attributes:
        max_error, carried: what may be spent: a share of all requests, and error-requests from before.
        requests: answers served.
        failed_attempts: attempts that failed; a fallback may have answered the request.
        mean_error: request-weighted mean error of the answers, 0-1; None without answers.
        grams, always_best_g, carbon_blind_mix_g, clairvoyant_g: what was served, and the same requests otherwise.
        requests_without_carbon: answers left out of the grams.
        requests_on_forecast: answers in slots whose actual intensity is not known (yet).
        requests_left_out: answers of flavours that are no longer listed; they are in no other figure here.
    """

    max_error: float
    requests: float
    failed_attempts: float
    mean_error: float | None
    grams: float
    always_best_g: float
    carbon_blind_mix_g: float
    clairvoyant_g: float
    requests_without_carbon: float
    requests_on_forecast: float
    served: Mapping[str, float]
    metered_j_per_request: Mapping[str, float]
    carried: float = 0.0
    requests_left_out: float = 0.0

    @property
    def saving_vs_always_best_pct(self) -> float | None:
        """How much less than always serving the best flavour."""
        return _percent_less(self.grams, self.always_best_g)

    @property
    def gain_vs_blind_mix_pct(self) -> float | None:
        """The part of the saving that is due to carbon: how much less than the constant mix of equal quality."""
        return _percent_less(self.grams, self.carbon_blind_mix_g)

    @property
    def gap_to_clairvoyant_pct(self) -> float | None:
        """How much more than the least possible within the budget.

        None where the budget is (still) exceeded, or where it cannot be told since answers are left out.
        """
        if self.requests_left_out > 0.0:
            return None
        allowed = self.max_error * self.requests + self.carried
        if self.mean_error is not None and over_budget(self.mean_error * self.requests, allowed):
            return None
        less = _percent_less(self.grams, self.clairvoyant_g)
        return None if less is None else -less


def summarise(
    records: Sequence[SlotRecord], flavours: Sequence[Flavour], *, max_error: float, carried: float = 0.0
) -> Summary:
    """Judge these slots; answers of flavours no longer listed are left out.

    `carried` is the credit, in error-requests, that may be spent besides `max_error`.
    """
    served = served_by_slot(records, flavours)
    carbon = np.array([math.nan if record.carbon is None else record.carbon for record in records])
    known = ~np.isnan(carbon)
    counted, intensity = served[known], np.maximum(carbon[known], 0.0)
    bounds = counterfactuals(
        flavours,
        requests=counted.sum(axis=1),
        served=counted,
        carbon_g_per_kwh=intensity,
        max_error=max_error,
        carried=carried + credit_elsewhere(flavours, max_error=max_error, requests=float(served[~known].sum())),
    )
    actual = np.array([record.carbon_actual is not None for record in records], dtype=bool)
    total = float(served.sum())
    every = sum(_totals([record.served for record in records]).values())
    errors = np.array([flavour.error for flavour in flavours])
    metered_j = _totals([record.metered_j for record in records])
    metered = _totals([record.metered_requests for record in records])
    return Summary(
        max_error=max_error,
        carried=carried,
        requests=total,
        requests_left_out=max(0.0, every - total) if every > total * (1.0 + 1e-9) else 0.0,
        failed_attempts=sum(_totals([record.failed for record in records]).values()),
        mean_error=float((served @ errors).sum()) / total if total else None,
        grams=served_grams(flavours, served=counted, carbon_g_per_kwh=intensity),
        always_best_g=bounds.always_best_g,
        carbon_blind_mix_g=bounds.carbon_blind_mix_g,
        clairvoyant_g=bounds.clairvoyant_g,
        requests_without_carbon=float(served[~known].sum()),
        requests_on_forecast=float(served[known & ~actual].sum()),
        served={flavour.name: float(column) for flavour, column in zip(flavours, served.sum(axis=0), strict=True)},
        metered_j_per_request={name: metered_j.get(name, 0.0) / count for name, count in metered.items() if count},
    )


def served_by_slot(records: Sequence[SlotRecord], flavours: Sequence[Flavour]) -> FloatArray:
    """Answers by slot and flavour, (T, S)."""
    rows = [[record.served.get(flavour.name, 0.0) for flavour in flavours] for record in records]
    return np.array(rows, dtype=np.float64).reshape(len(records), len(flavours))


def add_to(totals: dict[str, float], name: str, amount: float) -> None:
    """Add to one of some totals; what is nothing makes no entry."""
    if amount:
        totals[name] = totals.get(name, 0.0) + amount


def _totals(records: Sequence[Mapping[str, float]]) -> dict[str, float]:
    totals: dict[str, float] = {}
    for record in records:
        for name, amount in record.items():
            add_to(totals, name, amount)
    return totals


def _percent_less(value: float, reference: float) -> float | None:
    return (1.0 - value / reference) * 100.0 if reference > 0.0 else None
