"""Budget windows laid over a trace."""

from __future__ import annotations

import numpy as np

from scheduler.outlook import DAY_S
from scheduler.settings import ControllerSettings
from scheduler.trace import Trace
from scheduler.window import BudgetWindow

WINDOWS = {"1d": DAY_S, "7d": 7 * DAY_S, "30d": 30 * DAY_S}
"""Lengths of the named windows in seconds; `all` is the whole trace."""


def settings_for(  # noqa: PLR0913 - what a person chooses for a replay
    trace: Trace,
    *,
    max_error: float,
    window: str = "all",
    rolling: bool = False,
    carry_over: float = 0.0,
    guard: float | None = None,
    policy: str = "optimal",
    seed: int = 0,
) -> ControllerSettings:
    """Return default settings with windows that begin with the trace, no longer than it.

    Raises ValueError on a window that is not named.
    """
    if window != "all" and window not in WINDOWS:
        raise ValueError(f"a window is one of {', '.join(WINDOWS)} or all, not {window!r}")
    whole_s = trace.slot_s * trace.carbon_actual.size
    length_s = min(WINDOWS.get(window, whole_s), whole_s)
    return ControllerSettings(
        max_error=max_error,
        window=BudgetWindow(
            length_s=length_s,
            offset_s=trace.start_s % length_s,
            kind="rolling" if rolling else "calendar",
            carry_over=carry_over,
        ),
        guard=guard,
        policy=policy,
        seed=seed,
    )


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
    slots = trace.carbon_actual.size
    starts = trace.start_s + trace.slot_s * np.arange(slots)
    if window.kind == "rolling":
        return [slice(0, slots)]
    filled = []
    first = 0
    while first < slots:
        start_s, end_s = window.of(float(starts[first]))
        last = max(first + 1, int(np.searchsorted(starts, end_s - 1e-6 * trace.slot_s)))
        if (last - first) * trace.slot_s > (end_s - start_s) * (1.0 - 1e-6):
            filled.append(slice(first, last))
        first = last
    return filled or [slice(0, slots)]


def left_out(trace: Trace, windows: list[slice]) -> str | None:
    """What a reader must know of slots that are in no window."""
    slots = trace.carbon_actual.size
    missing = slots - sum(window.stop - window.start for window in windows)
    return f"{missing} of {slots} slots fill no whole window and are left out" if missing else None
