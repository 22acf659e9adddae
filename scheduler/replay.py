"""A recorded trace through the live controller, slot by slot, knowing at each slot only what came before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.controller import Controller
from scheduler.counterfactual import counterfactuals, served_grams
from scheduler.decision import Decision
from scheduler.ledger import over_budget
from scheduler.model import TOTAL_WEIGHT, Flavour, FloatArray
from scheduler.outlook import Outlook
from scheduler.settings import ControllerSettings
from scheduler.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """What one trace emitted under one error budget, beside its counterfactuals.

    Percentages are None where they have no meaning (a comparison with nothing emitted). `over_budget` is true
    when the mean error exceeds the budget by more than float rounding. `served` (T, S) and `decisions` are for
    closer looks and are not in `to_dict`.
    """

    trace: str
    max_error_pct: float
    requests: float
    grams: float
    mean_error_pct: float
    over_budget: bool
    always_best_g: float
    carbon_blind_mix_g: float
    clairvoyant_g: float
    gap_to_clairvoyant_pct: float | None
    saving_vs_always_best_pct: float | None
    gain_vs_blind_mix_pct: float | None
    notes: tuple[str, ...]
    served: FloatArray
    decisions: tuple[Decision, ...]

    def to_dict(self) -> dict[str, object]:
        """Return JSON-safe data."""
        return {
            "trace": self.trace,
            "max_error_pct": self.max_error_pct,
            "requests": self.requests,
            "grams": self.grams,
            "mean_error_pct": self.mean_error_pct,
            "over_budget": self.over_budget,
            "always_best_g": self.always_best_g,
            "carbon_blind_mix_g": self.carbon_blind_mix_g,
            "clairvoyant_g": self.clairvoyant_g,
            "gap_to_clairvoyant_pct": self.gap_to_clairvoyant_pct,
            "saving_vs_always_best_pct": self.saving_vs_always_best_pct,
            "gain_vs_blind_mix_pct": self.gain_vs_blind_mix_pct,
            "notes": list(self.notes),
        }


def settings_for(trace: Trace, *, max_error: float, guard: float | None = None) -> ControllerSettings:
    """Return default settings with the whole trace as one budget window."""
    window_s = trace.slot_s * trace.carbon_actual.size
    settings = ControllerSettings(max_error=max_error, window_s=window_s, window_offset_s=trace.start_s % window_s)
    if guard is None:
        return settings
    return ControllerSettings(
        max_error=max_error, window_s=window_s, window_offset_s=settings.window_offset_s, guard=guard
    )


def replay(trace: Trace, flavours: Sequence[Flavour], *, settings: ControllerSettings) -> ReplayResult:
    """Replay one trace. A trace without requests has constant demand; one without forecasts is planned without.

    Requests are split exactly as the integer weights say (a fluid, not single requests).
    """
    slots = trace.carbon_actual.size
    requests = trace.requests_actual if trace.requests_actual is not None else np.full(slots, 1000.0)
    outlook = _outlook(trace, requests=requests)
    controller = Controller(flavours, settings)
    served = np.zeros((slots, len(flavours)))
    decisions = []
    uncounted = np.zeros(len(flavours))
    for slot in range(slots):
        start_s, end_s = outlook.start_of(slot), outlook.start_of(slot + 1)
        decision = controller.decide(outlook, now_s=start_s)
        decisions.append(decision)
        shares = np.array([decision.weights[flavour.name] for flavour in flavours]) / TOTAL_WEIGHT
        served[slot] = shares * requests[slot]
        uncounted += served[slot]
        if slot not in trace.unseen_requests:
            counts = {flavour.name: float(n) for flavour, n in zip(flavours, uncounted, strict=True)}
            controller.observe_requests(counts, until_s=end_s)
            uncounted[:] = 0.0
        if slot not in trace.unseen_carbon:
            forecast = None if trace.carbon_forecast is None else float(trace.carbon_forecast[slot])
            actual = float(trace.carbon_actual[slot])
            controller.observe_carbon(start_s, actual_g_per_kwh=actual, forecast_g_per_kwh=forecast)
    return _judge(trace, flavours, settings, requests=requests, served=served, decisions=tuple(decisions))


def _outlook(trace: Trace, *, requests: FloatArray) -> Outlook:
    # Demand that is constant by definition is known to be; recorded demand without a forecast is not.
    known = requests if trace.requests_actual is None else None
    return Outlook(
        start_s=trace.start_s,
        slot_s=trace.slot_s,
        carbon_g_per_kwh=trace.carbon_forecast,
        requests=known if trace.requests_forecast is None else trace.requests_forecast,
    )


def _judge(  # noqa: PLR0913 - one day and all that was decided on it
    trace: Trace,
    flavours: Sequence[Flavour],
    settings: ControllerSettings,
    *,
    requests: FloatArray,
    served: FloatArray,
    decisions: tuple[Decision, ...],
) -> ReplayResult:
    grams = served_grams(flavours, served=served, carbon_g_per_kwh=trace.carbon_actual)
    bounds = counterfactuals(
        flavours,
        requests=requests,
        served=served,
        carbon_g_per_kwh=trace.carbon_actual,
        max_error=settings.max_error,
    )
    total = float(requests.sum())
    error_requests = float((served @ np.array([flavour.error for flavour in flavours])).sum())
    mean_error = error_requests / total if total > 0.0 else 0.0
    return ReplayResult(
        trace=trace.name,
        max_error_pct=settings.max_error * 100.0,
        requests=total,
        grams=grams,
        mean_error_pct=mean_error * 100.0,
        over_budget=over_budget(mean_error, settings.max_error),
        always_best_g=bounds.always_best_g,
        carbon_blind_mix_g=bounds.carbon_blind_mix_g,
        clairvoyant_g=bounds.clairvoyant_g,
        gap_to_clairvoyant_pct=_percent_above(grams, bounds.clairvoyant_g),
        saving_vs_always_best_pct=_percent_below(grams, bounds.always_best_g),
        gain_vs_blind_mix_pct=_percent_below(grams, bounds.carbon_blind_mix_g),
        notes=_notes(trace),
        served=served,
        decisions=decisions,
    )


def _notes(trace: Trace) -> tuple[str, ...]:
    notes = [f"bridged {what}" for what in trace.bridged]
    if trace.carbon_forecast is None:
        notes.append("no carbon forecast: planned from past actuals")
    if trace.requests_actual is None:
        notes.append("no requests: constant demand")
    elif trace.requests_forecast is None:
        notes.append(
            "no request forecast: demand is taken to stay as it is; the budget holds while it less than doubles"
        )
    return tuple(notes)


def _percent_above(value: float, reference: float) -> float | None:
    if reference > 0.0:
        return (value / reference - 1.0) * 100.0
    return 0.0 if value == reference else None


def _percent_below(value: float, reference: float) -> float | None:
    above = _percent_above(value, reference)
    return None if above is None else -above
