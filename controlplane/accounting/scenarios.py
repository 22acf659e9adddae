"""The same requests under four ways to answer them, with all that each takes, not grams alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from controlplane.accounting.records import Terms
from scheduler import Flavour, FloatArray, plan
from scheduler.model import errors_of, grams_per_request

Scenario = Literal["served", "always_best", "carbon_blind_mix", "clairvoyant"]
SCENARIOS: tuple[Scenario, ...] = ("served", "always_best", "carbon_blind_mix", "clairvoyant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What answering took: joules, operational and embodied g CO2e."""

    energy_j: float
    grams: float
    embodied_g: float


def credit_elsewhere(flavours: Sequence[Flavour], *, max_error: float, requests: float) -> float:
    """Error-requests that answers in slots without carbon figures leave to the others, at most.

    They count towards the promise, though no grams can be told of them: whoever knew all would have answered them at
    the least error, and spent what they were granted where it saves grams.
    """
    least = min(flavour.error for flavour in flavours)
    return max(0.0, max_error - least) * requests


def scenarios(
    terms: Terms, *, served: FloatArray, carbon_g_per_kwh: FloatArray, carried: float = 0.0
) -> dict[Scenario, Spent]:
    """What the requests served, (T, S) by slot and flavour at carbon (T,), took and would have taken.

    Defined as in `scheduler.counterfactuals`, whose grams these are; `carried` is the credit, in error-requests,
    that the clairvoyant bound may spend besides `terms.max_error`.
    """
    mixes = _mixes(terms, served=served, carbon_g_per_kwh=carbon_g_per_kwh, carried=carried)
    per_request = grams_per_request(terms.flavours, carbon_g_per_kwh)
    energy_j = np.array([flavour.energy_j for flavour in terms.flavours])
    embodied_g = np.array([terms.embodied_of(flavour.name) for flavour in terms.flavours])
    return {
        name: Spent(
            energy_j=float(mix.sum(axis=0) @ energy_j),
            grams=float((mix * per_request).sum()),
            embodied_g=float(mix.sum(axis=0) @ embodied_g),
        )
        for name, mix in mixes.items()
    }


def _mixes(
    terms: Terms, *, served: FloatArray, carbon_g_per_kwh: FloatArray, carried: float
) -> dict[Scenario, FloatArray]:
    """Requests by slot and flavour, (T, S), in each scenario."""
    errors, requests = errors_of(terms.flavours), served.sum(axis=1)
    grams = grams_per_request(terms.flavours, carbon_g_per_kwh)
    total = float(requests.sum())
    # One slot that holds all: a constant mix pays the request-weighted intensity.
    whole = requests @ grams / total if total else np.zeros(errors.size)
    blind = plan(
        error=errors[None, :],
        grams=whole[None, :],
        requests=np.array([total]),
        budget_error_requests=float((served @ errors).sum()),
    )
    clairvoyant = plan(
        error=np.tile(errors, (requests.size, 1)),
        grams=grams,
        requests=requests,
        budget_error_requests=terms.max_error * total + carried,
    )
    return {
        "served": served,
        "always_best": requests[:, None] * _only(terms.best, terms.flavours),
        "carbon_blind_mix": requests[:, None] * blind.weights,
        "clairvoyant": requests[:, None] * clairvoyant.weights,
    }


def _only(chosen: Flavour, flavours: Sequence[Flavour]) -> FloatArray:
    return np.array([float(flavour is chosen) for flavour in flavours])
