"""What a run emitted, window by window, judged by what really happened and beside what was possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scheduler.counterfactual import Counterfactuals, counterfactuals, served_grams
from scheduler.decision import Decision
from scheduler.ledger import over_budget
from scheduler.model import Flavour, FloatArray, errors_of
from scheduler.replay.defer import WaitingLine, clairvoyant_loads
from scheduler.replay.known import Known
from scheduler.replay.result import ReplayResult, above, below, iso, rolling_exceeds
from scheduler.settings import ControllerSettings

_ROUNDING = 1e-9
"""Two bounds that differ by a smaller part are equal but for the rounding of floats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Requests served by flavour (T, S), the credit each slot's window had taken over (T,), and what was decided."""

    served: FloatArray
    carried: FloatArray
    decisions: tuple[Decision, ...]
    line: WaitingLine | None


def judge(  # noqa: PLR0913 - one window of one run, and of the same without waiting
    known: Known,
    flavours: Sequence[Flavour],
    settings: ControllerSettings,
    run: Run,
    at_once: Run | None,
    *,
    window: slice,
    notes: tuple[str, ...],
) -> ReplayResult:
    """Return the result of one `window` of a run; `at_once` is the run in which nothing waits."""
    trace = known.trace
    served, carbon = run.served[window], trace.carbon_actual[window]
    carried = float(run.carried[window][-1])
    bounds = _bounds(known, flavours, settings, served, carried=carried, window=window)
    gain = None if at_once is None else _share_of_gain(known, flavours, settings, run, at_once, window=window)
    total = float(served.sum())
    grams = served_grams(flavours, served=served, carbon_g_per_kwh=carbon)
    carried_pct = carried / total * 100.0 if total > 0.0 else 0.0
    mean_error = float((served @ errors_of(flavours)).sum()) / total if total > 0.0 else 0.0
    start_s = trace.start_s + window.start * trace.slot_s
    return ReplayResult(
        trace=trace.name,
        policy=settings.policy,
        window=known.label,
        window_start=iso(start_s),
        window_end=iso(trace.start_s + window.stop * trace.slot_s),
        max_error_pct=settings.max_error * 100.0,
        carried_pct=carried_pct,
        granted_pct=settings.max_error * 100.0 + carried_pct,
        requests=total,
        grams=grams,
        mean_error_pct=mean_error * 100.0,
        over_budget=_over(
            settings, run, window=window, start_s=start_s, slot_s=trace.slot_s, errors=errors_of(flavours)
        ),
        always_best_g=bounds.always_best_g,
        carbon_blind_mix_g=bounds.carbon_blind_mix_g,
        clairvoyant_g=bounds.clairvoyant_g,
        gap_to_clairvoyant_pct=above(grams, bounds.clairvoyant_g),
        saving_vs_always_best_pct=below(grams, bounds.always_best_g),
        gain_vs_blind_mix_pct=below(grams, bounds.carbon_blind_mix_g),
        lead=known.lead,
        lead_h=None if known.lead_s is None else known.lead_s / 3600.0,
        deferred_requests=0.0 if run.line is None else float(run.line.deferred[window].sum()),
        deadlines_missed=0.0 if run.line is None else float(run.line.missed[window].sum()),
        realised_deferral_gain_pct=gain,
        notes=notes,
        start_s=start_s,
        slot_s=trace.slot_s,
        carbon_g_per_kwh=carbon,
        served=served,
        decisions=run.decisions[window],
    )


def _bounds(  # noqa: PLR0913 - one window, and what it was granted
    known: Known,
    flavours: Sequence[Flavour],
    settings: ControllerSettings,
    served: FloatArray,
    *,
    carried: float,
    window: slice,
) -> Counterfactuals:
    """The yardsticks: the requests as they came, but with each of them at its best moment for the clairvoyant.

    The clairvoyant has the credit that the run had `carried` over besides: it is granted what the run was granted.
    """
    trace = known.trace
    carbon, waiting = trace.carbon_actual[window], known.demand[window] * known.waiting_share
    bounds = counterfactuals(
        flavours,
        requests=known.demand[window],
        served=served,
        carbon_g_per_kwh=carbon,
        max_error=settings.max_error,
        carried=carried,
    )
    if known.deferral is None:
        return bounds
    loads = clairvoyant_loads(waiting, carbon=carbon, wait_s=known.deferral.wait_s, slot_s=trace.slot_s)
    best = counterfactuals(
        flavours,
        requests=known.demand[window] - waiting + loads,
        served=served,
        carbon_g_per_kwh=carbon,
        max_error=settings.max_error,
        carried=carried,
    )
    return replace(bounds, clairvoyant_g=best.clairvoyant_g)


def _share_of_gain(  # noqa: PLR0913 - one window of one run, and of the same without waiting
    known: Known,
    flavours: Sequence[Flavour],
    settings: ControllerSettings,
    run: Run,
    at_once: Run,
    *,
    window: slice,
) -> float | None:
    """What waiting gained of what it gains a clairvoyant, in percent; both decide quality as without waiting.

    None where a clairvoyant gains no more than the rounding of floats, and where deadlines were missed: then the
    requests waited longer than the clairvoyant may let them.
    """
    if run.line is not None and (run.line.missed[window] > 0.0).any():
        return None
    carbon = known.trace.carbon_actual[window]
    grams, without = (
        served_grams(flavours, served=each.served[window], carbon_g_per_kwh=carbon) for each in (run, at_once)
    )
    bound, bound_without = (
        _bounds(
            each, flavours, settings, run.served[window], carried=float(run.carried[window][-1]), window=window
        ).clairvoyant_g
        for each in (known, replace(known, deferral=None))
    )
    possible = bound_without - bound
    return 100.0 * (without - grams) / possible if possible > _ROUNDING * bound_without else None


def _over(  # noqa: PLR0913 - one window of one run
    settings: ControllerSettings, run: Run, *, window: slice, start_s: float, slot_s: float, errors: FloatArray
) -> bool:
    served = run.served[window]
    if settings.window.kind == "rolling":
        slots = max(1, round(settings.window.length_s / slot_s))
        ends_s = start_s + slot_s * np.arange(1.0, served.shape[0] + 1.0)
        booked = [abs(settings.window.part_of(end_s + 0.5e-6 * slot_s)[0] - end_s) < 1e-6 * slot_s for end_s in ends_s]
        fine = settings.window.length_s / settings.window.parts <= slot_s * (1.0 + 1e-9)
        return rolling_exceeds(
            served, errors, slots=slots, max_error=settings.max_error, judged=np.array(booked) | fine
        )
    carried = float(run.carried[window][-1])
    return over_budget(float((served @ errors).sum()), settings.max_error * float(served.sum()) + carried)
