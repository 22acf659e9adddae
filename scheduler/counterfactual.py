"""What the same requests would have emitted otherwise: three honest yardsticks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.model import Flavour, FloatArray, check_flavours, errors_of, grams_per_request
from scheduler.planner import plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactuals:
    """Grams CO2e of the same requests under three other policies.

    `always_best_g`: all on the flavour of least error. `carbon_blind_mix_g`: the cheapest constant mix with the
    mean error that was really served. `clairvoyant_g`: the least grams within the budget, knowing everything.
    """

    always_best_g: float
    carbon_blind_mix_g: float
    clairvoyant_g: float


def counterfactuals(  # noqa: PLR0913 - what was served, and what was granted for it
    flavours: Sequence[Flavour],
    *,
    requests: FloatArray,
    served: FloatArray,
    carbon_g_per_kwh: FloatArray,
    max_error: float,
    carried: float = 0.0,
) -> Counterfactuals:
    """Judge what was served, (T, S) requests by flavour, on actual `requests` (T,) and carbon (T,).

    The budget is `max_error` of all requests and the error-requests `carried` over from before.
    Grams = energy_j / 3.6e6 * g/kWh. A budget below the least error, or no request at all, gives the least error
    everywhere; a realised error beyond what any useful flavour has gives the cheapest flavour.
    """
    chosen = check_flavours(flavours)
    errors = errors_of(chosen)
    grams = grams_per_request(chosen, carbon_g_per_kwh)
    total = float(requests.sum())
    error_requests = float((served @ errors).sum())
    # One slot that holds the whole day: a constant mix pays the request-weighted carbon intensity.
    day = requests @ grams / total if total > 0.0 else np.zeros(errors.size)
    blind = plan(
        error=errors[None, :],
        grams=day[None, :],
        requests=np.array([total]),
        budget_error_requests=error_requests,
    )
    best = plan(error=errors[None, :], grams=day[None, :], requests=np.array([total]), budget_error_requests=0.0)
    clairvoyant = plan(
        error=np.tile(errors, (requests.size, 1)),
        grams=grams,
        requests=requests,
        budget_error_requests=max_error * total + carried,
    )
    return Counterfactuals(
        always_best_g=best.grams,
        carbon_blind_mix_g=blind.grams,
        clairvoyant_g=clairvoyant.grams,
    )


def served_grams(flavours: Sequence[Flavour], *, served: FloatArray, carbon_g_per_kwh: FloatArray) -> float:
    """Grams CO2e of the requests (T, S) that each flavour served at carbon (T,) in g/kWh."""
    return float((served * grams_per_request(flavours, carbon_g_per_kwh)).sum())
