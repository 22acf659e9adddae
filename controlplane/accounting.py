"""What a service really served, slot by slot, and what that says about emissions.

Counts, carbon and energy are kept apart until somebody asks, so that every printed saving can be recomputed from
them: grams of what was served and grams of each counterfactual come from the same requests.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat

from scheduler import Flavour, FloatArray, counterfactuals, over_budget, served_grams


class SlotRecord(BaseModel):
    """One slot of `Account.slot_s` seconds; counts are by flavour.

    Counts are fractions where a report spans two slots and is shared out between them.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    served: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    failed: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    metered_requests: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    metered_j: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    commanded: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    carbon_forecast: float | None = None
    carbon_actual: float | None = None

    @property
    def carbon(self) -> float | None:
        """Actual intensity where known, else the forecast; g/kWh."""
        return self.carbon_forecast if self.carbon_actual is None else self.carbon_actual

    def split(self) -> dict[str, float]:
        """The measured share of each flavour; empty when nothing was served."""
        total = sum(self.served.values())
        return {name: count / total for name, count in self.served.items()} if total else {}

    def command(self) -> dict[str, float]:
        """The commanded share of each flavour, averaged over the time it held."""
        total = sum(self.commanded.values())
        return {name: seconds / total for name, seconds in self.commanded.items()} if total else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlavourLoad:
    """What one flavour did in one report: answers, failed attempts, and the joules some of the answers reported."""

    served: float = 0.0
    failed: float = 0.0
    metered_requests: float = 0.0
    metered_j: float = 0.0

    def __add__(self, other: FlavourLoad) -> FlavourLoad:
        return FlavourLoad(
            served=self.served + other.served,
            failed=self.failed + other.failed,
            metered_requests=self.metered_requests + other.metered_requests,
            metered_j=self.metered_j + other.metered_j,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A stretch of time judged; grams are g CO2e and leave out requests in slots without any carbon figure.

    Attributes:
        requests: answers served.
        failed_attempts: attempts that failed; a fallback may have answered the request.
        mean_error: request-weighted mean error of the answers, 0-1; None without answers.
        grams, always_best_g, carbon_blind_mix_g, clairvoyant_g: what was served, and the same requests otherwise.
        requests_without_carbon: answers left out of the grams.
        requests_on_forecast: answers in slots whose actual intensity is not known (yet).
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
        """How much more than the least possible within the budget; None where the budget is (still) exceeded."""
        if self.mean_error is not None and over_budget(self.mean_error, self.max_error):
            return None
        less = _percent_less(self.grams, self.clairvoyant_g)
        return None if less is None else -less


class Account(BaseModel):
    """The records of one service on a grid of `slot_s` seconds aligned to the epoch, by slot number."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    slot_s: float
    slots: dict[int, SlotRecord] = Field(default_factory=dict)

    def slot(self, time_s: float) -> SlotRecord:
        """The record of the slot that holds `time_s`, made if missing."""
        return self.slots.setdefault(math.floor(time_s / self.slot_s), SlotRecord())

    def peek(self, time_s: float) -> SlotRecord:
        """The record of the slot that holds `time_s`; an empty one that is kept nowhere if there is none."""
        return self.slots.get(math.floor(time_s / self.slot_s), SlotRecord())

    def add(self, loads: Mapping[str, FlavourLoad], *, since_s: float, until_s: float) -> None:
        """Enter what was served in (since_s, until_s], shared out over the slots it spans by time."""
        for record, share in self._spread(since_s, until_s):
            for name, load in loads.items():
                _add(record.served, name, load.served * share)
                _add(record.failed, name, load.failed * share)
                _add(record.metered_requests, name, load.metered_requests * share)
                _add(record.metered_j, name, load.metered_j * share)

    def command(self, weights: Mapping[str, int], *, since_s: float, until_s: float) -> None:
        """Enter that `weights` were commanded from `since_s` to `until_s`."""
        for record, share in self._spread(since_s, until_s):
            for name, weight in weights.items():
                _add(record.commanded, name, weight * share * (until_s - since_s))

    def note_carbon(self, *, start_s: float, slot_s: float, forecast: FloatArray, actual: FloatArray) -> None:
        """Enter a source's series, g/kWh (T,), NaN where unknown, into the slots in which something happened.

        The source's slots may be longer or shorter than ours: each of ours gets the mean over the time it spans. What
        is known already stays where the series knows nothing; an actual value needs the whole slot to be known.
        """
        for number, record in self.slots.items():
            begin = (number * self.slot_s - start_s) / slot_s
            end = begin + self.slot_s / slot_s
            first, last = max(0, math.floor(begin)), min(forecast.size, math.ceil(end))
            if first >= last:
                continue
            cells = np.arange(first, last)
            spans = np.minimum(end, cells + 1) - np.maximum(begin, cells)
            record.carbon_forecast = _mean(forecast[first:last], spans, otherwise=record.carbon_forecast)
            if begin >= -1e-9 and end <= forecast.size + 1e-9 and np.isfinite(actual[first:last]).all():
                record.carbon_actual = _mean(actual[first:last], spans, otherwise=record.carbon_actual)

    def forget_before(self, time_s: float) -> None:
        """Drop the slots that ended before `time_s`."""
        first = math.floor(time_s / self.slot_s)
        self.slots = {number: record for number, record in self.slots.items() if number >= first}

    def between(self, start_s: float, end_s: float) -> list[tuple[float, SlotRecord]]:
        """(start, record) of the slots that begin in [start_s, end_s), in order of time."""
        numbers = sorted(number for number in self.slots if start_s <= number * self.slot_s < end_s)
        return [(number * self.slot_s, self.slots[number]) for number in numbers]

    def summary(self, flavours: Sequence[Flavour], *, max_error: float, start_s: float, end_s: float) -> Summary:
        """Judge the slots that begin in [start_s, end_s); answers of flavours no longer listed are left out."""
        records = [record for _, record in self.between(start_s, end_s)]
        served = _matrix([record.served for record in records], flavours)
        carbon = np.array([math.nan if record.carbon is None else record.carbon for record in records])
        known = ~np.isnan(carbon)
        counted, intensity = served[known], np.maximum(carbon[known], 0.0)
        bounds = counterfactuals(
            flavours,
            requests=counted.sum(axis=1),
            served=counted,
            carbon_g_per_kwh=intensity,
            max_error=max_error,
        )
        actual = np.array([record.carbon_actual is not None for record in records], dtype=bool)
        total = float(served.sum())
        errors = np.array([flavour.error for flavour in flavours])
        metered_j = _totals([record.metered_j for record in records])
        metered = _totals([record.metered_requests for record in records])
        return Summary(
            max_error=max_error,
            requests=total,
            failed_attempts=sum(_totals([record.failed for record in records]).values()),
            mean_error=float((served @ errors).sum()) / total if total else None,
            grams=served_grams(flavours, served=counted, carbon_g_per_kwh=intensity),
            always_best_g=bounds.always_best_g,
            carbon_blind_mix_g=bounds.carbon_blind_mix_g,
            clairvoyant_g=bounds.clairvoyant_g,
            requests_without_carbon=float(served[~known].sum()),
            requests_on_forecast=float(served[known & ~actual].sum()),
            served={flavour.name: float(column) for flavour, column in zip(flavours, served.sum(axis=0), strict=True)},
            metered_j_per_request={name: metered_j[name] / count for name, count in metered.items() if count},
        )

    def _spread(self, since_s: float, until_s: float) -> list[tuple[SlotRecord, float]]:
        """The slots in (since_s, until_s] and the share of that time in each; all in the last one if it is empty."""
        if until_s <= since_s:
            return [(self.slot(math.nextafter(until_s, -math.inf)), 1.0)]
        first = math.floor(since_s / self.slot_s)
        last = math.floor(math.nextafter(until_s, -math.inf) / self.slot_s)
        edges = [since_s, *(number * self.slot_s for number in range(first + 1, last + 1)), until_s]
        length = until_s - since_s
        return [
            (self.slots.setdefault(first + place, SlotRecord()), (end - start) / length)
            for place, (start, end) in enumerate(itertools.pairwise(edges))
        ]


def _mean(values: FloatArray, spans: FloatArray, *, otherwise: float | None) -> float | None:
    known = np.isfinite(values) & (spans > 1e-9)
    return float(np.average(values[known], weights=spans[known])) if known.any() else otherwise


def _add(totals: dict[str, float], name: str, amount: float) -> None:
    if amount:
        totals[name] = totals.get(name, 0.0) + amount


def _totals(records: Sequence[Mapping[str, float]]) -> dict[str, float]:
    totals: dict[str, float] = {}
    for record in records:
        for name, amount in record.items():
            _add(totals, name, amount)
    return totals


def _matrix(records: Sequence[Mapping[str, float]], flavours: Sequence[Flavour]) -> FloatArray:
    rows = [[record.get(flavour.name, 0.0) for flavour in flavours] for record in records]
    return np.array(rows, dtype=np.float64).reshape(len(records), len(flavours))


def _percent_less(value: float, reference: float) -> float | None:
    return (1.0 - value / reference) * 100.0 if reference > 0.0 else None
