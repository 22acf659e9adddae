"""Budget windows laid over a trace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scheduler.settings import ControllerSettings
from scheduler.trace import Trace
from scheduler.window import BudgetWindow


def settings_for(  # noqa: PLR0913 - what a person chooses for a replay
    trace: Trace,
    *,
    max_error: float,
    window: BudgetWindow | None = None,
    guard: float | None = None,
    policy: str = "optimal",
    seed: int = 0,
) -> ControllerSettings:
    """Return default settings with the `window` fitted to the trace, by default one window that is all of it."""
    return ControllerSettings(
        max_error=max_error, window=fitted(trace, window or WHOLE), guard=guard, policy=policy, seed=seed
    )


WHOLE = BudgetWindow(length_s=1e12)
"""A window longer than any trace: all of it."""


def fitted(trace: Trace, window: BudgetWindow) -> BudgetWindow:
    """The window as it is laid over a trace: beginning with it, and no longer; months are those of the calendar.

    What is planned for a window that never ends within the trace cannot be judged, so one that the trace nowhere
    fills becomes one of the trace's length.
    """
    whole_s = trace.slot_s * trace.carbon_actual.size
    if window.kind == "month":
        if _filled(trace, window):
            return window
        window = replace(window, kind="calendar", length_s=whole_s)
    length_s = min(window.length_s, whole_s)
    return replace(window, length_s=length_s, offset_s=trace.start_s % length_s)


def name_of(window: BudgetWindow) -> str:
    """What to call a window: `24h`, `168h rolling`, `month`."""
    if window.kind == "month":
        return "month"
    hours = f"{window.length_s / 3600.0:g}h"
    return f"{hours} rolling" if window.kind == "rolling" else hours


def windows_of(trace: Trace, window: BudgetWindow) -> list[slice]:
    """The slots of each window that the trace fills, or all of its slots where it fills none.

    A window that is cut off cannot be judged: its budget is planned for what would have come. A rolling window is
    judged over the whole trace. A slot belongs to the window it begins in.
    """
    whole = slice(0, trace.carbon_actual.size)
    return [whole] if window.kind == "rolling" else _filled(trace, window) or [whole]


def _filled(trace: Trace, window: BudgetWindow) -> list[slice]:
    slots = trace.carbon_actual.size
    starts = trace.start_s + trace.slot_s * np.arange(slots)
    filled = []
    first = 0
    while first < slots:
        start_s, end_s = window.of(float(starts[first]))
        last = max(first + 1, int(np.searchsorted(starts, end_s - 1e-6 * trace.slot_s)))
        if (last - first) * trace.slot_s > (end_s - start_s) * (1.0 - 1e-6):
            filled.append(slice(first, last))
        first = last
    return filled


def left_out(trace: Trace, windows: list[slice]) -> str | None:
    """What a reader must know of slots that are in no window."""
    slots = trace.carbon_actual.size
    missing = slots - sum(window.stop - window.start for window in windows)
    return f"{missing} of {slots} slots fill no whole window and are left out" if missing else None
