"""A recorded trace through the live controller, slot by slot, knowing at each slot only what came before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scheduler.controller import Controller
from scheduler.decision import Decision
from scheduler.issues import ForecastIssues
from scheduler.model import TOTAL_WEIGHT, Flavour
from scheduler.outlook import DAY_S, Outlook
from scheduler.policies import LOOKAHEAD_SLOTS
from scheduler.processing import carbon_expected
from scheduler.replay.defer import Deferral, WaitingLine
from scheduler.replay.judge import Run, judge
from scheduler.replay.known import Known
from scheduler.replay.result import ReplayResult, iso
from scheduler.replay.windows import name_of, windows_of
from scheduler.settings import ControllerSettings
from scheduler.table import TraceError
from scheduler.trace import Trace
from scheduler.window import BudgetWindow

MOST_SLOTS = 20_000
LONGEST_MONTH_S = 31 * DAY_S


def replay(  # noqa: PLR0913 - a trace, and what a person may choose about it
    trace: Trace,
    flavours: Sequence[Flavour],
    *,
    settings: ControllerSettings,
    lead_s: float | None = None,
    issues: ForecastIssues | None = None,
    deferral: Deferral | None = None,
    label: str | None = None,
) -> tuple[ReplayResult, ...]:
    """Replay one trace; one result for each of its budget windows, a rolling window has one for the whole trace.

    The forecast column is known `lead_s` ahead of each slot (None: all of it), or exactly as it was issued where
    `issues` are given. Requests are split exactly as the integer weights say (a fluid, not single requests). A
    trace without requests has constant demand; one without forecasts is planned without. `label` is what the
    results call the window, by default its length. Raises TraceError when a window is shorter than a slot or longer
    than MOST_SLOTS of them, when requests may wait of which none are foreseen, and when none of the `issues` is ever
    in force.
    """
    _check_window(trace, settings.window)
    known = Known(
        trace=trace,
        lead_s=lead_s,
        issues=issues,
        deferral=deferral,
        label=label or name_of(settings.window),
        ahead=max(LOOKAHEAD_SLOTS, math.ceil(_longest_s(settings.window) / trace.slot_s) + 1),
    )
    _check_issues(known)
    if deferral is not None and known.foreseen is None:
        raise TraceError(f"{trace.name}: requests that may wait need a forecast of requests")
    run = _run(known, flavours, settings=settings)
    at_once = None if deferral is None else _run(replace(known, deferral=None), flavours, settings=settings)
    notes = known.notes(settings.window)
    return tuple(
        judge(known, flavours, settings, run, at_once, window=window, notes=notes)
        for window in windows_of(trace, settings.window)
    )


def _check_window(trace: Trace, window: BudgetWindow) -> None:
    length_s = _longest_s(window)
    if length_s < trace.slot_s * (1.0 - 1e-9):
        raise TraceError(f"{trace.name}: a budget window of {length_s:g} s is shorter than a slot of the trace")
    slots = min(length_s / trace.slot_s, trace.carbon_actual.size)
    if slots > MOST_SLOTS:
        raise TraceError(
            f"{trace.name}: a budget window of {slots:.0f} slots; at each of them all that are left are planned, so "
            f"{MOST_SLOTS} is the most that can be replayed: choose a shorter window"
        )


def _longest_s(window: BudgetWindow) -> float:
    return LONGEST_MONTH_S if window.kind == "month" else window.length_s


def _check_issues(known: Known) -> None:
    """Forecasts of another time than the trace's would pass for forecasts that were of no use."""
    if known.issues is None or known.slots_in_force:
        return
    trace, issues = known.trace, known.issues.issues
    issued = f"issued from {iso(issues[0].issued_s)} to {iso(issues[-1].issued_s)}" if issues else "none at all"
    end_s = trace.start_s + trace.slot_s * trace.carbon_actual.size
    raise TraceError(
        f"{trace.name}: in none of its slots, from {iso(trace.start_s)} to {iso(end_s)}, is any of the forecasts "
        f"({issued}) in force"
    )


def _run(known: Known, flavours: Sequence[Flavour], *, settings: ControllerSettings) -> Run:
    trace = known.trace
    controller = Controller(flavours, settings)
    line = known.waiting_line(settings.window)
    served = np.zeros((trace.carbon_actual.size, len(flavours)))
    uncounted, carried = np.zeros(len(flavours)), np.zeros(trace.carbon_actual.size)
    decisions: list[Decision] = []
    for slot in range(trace.carbon_actual.size):
        outlook, requests = known.outlook(slot), float(known.requests[slot])
        start_s, end_s = outlook.start_of(slot), outlook.start_of(slot + 1)
        if line is not None:
            outlook = _with_planned(line, outlook, controller, slot=slot, decisions=decisions)
            requests += line.run(slot, now_s=start_s)
        decision = controller.decide(outlook, now_s=start_s)
        # A plan of the rest of the window for every slot, even behind a view of its first row, would fill the memory.
        decisions.append(replace(decision, planned_weights=decision.planned_weights[:1].copy()))
        carried[slot] = controller.state.ledger.open(settings.window, start_s).carried
        shares = np.array([decision.weights[flavour.name] for flavour in flavours]) / TOTAL_WEIGHT
        served[slot] = shares * requests
        uncounted += served[slot]
        if slot not in trace.unseen_requests:
            counts = {flavour.name: float(n) for flavour, n in zip(flavours, uncounted, strict=True)}
            controller.observe_requests(counts, until_s=end_s)
            uncounted[:] = 0.0
        if slot not in trace.unseen_carbon:
            actual = float(trace.carbon_actual[slot])
            controller.observe_carbon(start_s, actual_g_per_kwh=actual, forecast_g_per_kwh=known.issued(slot, outlook))
    return Run(served=served, carried=carried, decisions=tuple(decisions), line=line)


def _with_planned(
    line: WaitingLine, outlook: Outlook, controller: Controller, *, slot: int, decisions: Sequence[Decision]
) -> Outlook:
    """The outlook with the requests that are planned to have waited: deferral first, then quality."""
    count = outlook.requests.size - slot if outlook.requests is not None else 0
    carbon = carbon_expected(controller.carbon, outlook, first=slot, count=count, ar=controller.settings.carbon_ar)
    balance = decisions[-1].reasons.diagnostics.get("credit_balance", 0.0) if decisions else 0.0
    planned = line.plan(slot, carbon, now_s=outlook.start_of(slot), credit_balance=balance)
    assert outlook.requests is not None  # noqa: S101 - a replay with a waiting line always has some
    requests = outlook.requests.copy()
    requests[slot : slot + planned.size] += planned
    return replace(outlook, requests=requests)
