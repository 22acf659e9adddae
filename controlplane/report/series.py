"""One window over time, as both the picture and the page draw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scheduler import Flavour, FloatArray, ReplayResult
from scheduler.hull import hull_corners


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Steps between `edges_s` (N + 1,), epoch seconds; each is the mean of `slots` slots (the last may have fewer).

    `carbon` (N,) g/kWh; `cumulative_pct` (S + 1, N): row k is the share of the first k flavours, all 0 in a step
    without requests; `running_error_pct` (N,): mean error from the window's beginning to the end of each step,
    NaN before the first request.
    """

    edges_s: FloatArray
    carbon: FloatArray
    cumulative_pct: FloatArray
    running_error_pct: FloatArray
    slots: int


def series_of(result: ReplayResult, flavours: Sequence[Flavour], *, at_most: int | None = None) -> Series:
    """Follow a window, in at most so many steps."""
    slots = result.carbon_g_per_kwh.size
    size = 1 if at_most is None else max(1, -(-slots // at_most))
    first = np.arange(0, slots, size)
    ends = np.append(first[1:], slots)
    served = np.add.reduceat(result.served, first, axis=0)
    total = served.sum(axis=1)
    errors = np.array([flavour.error for flavour in flavours])
    shares = np.divide(served, total[:, None], out=np.zeros_like(served), where=total[:, None] > 0.0)
    so_far = np.cumsum(total)
    running = np.full(total.size, np.nan)
    np.divide(np.cumsum(served @ errors), so_far, out=running, where=so_far > 0.0)
    cumulative = np.zeros((len(flavours) + 1, total.size))
    cumulative[1:] = np.cumsum(shares, axis=1).T
    return Series(
        edges_s=result.start_s + result.slot_s * np.append(first, slots),
        carbon=np.add.reduceat(result.carbon_g_per_kwh, first) / (ends - first),
        cumulative_pct=100.0 * cumulative,
        running_error_pct=100.0 * running,
        slots=size,
    )


def blind_mix_curve(flavours: Sequence[Flavour]) -> tuple[FloatArray, FloatArray]:
    """Error and saving against always best, in percent, of every constant mix on the hull: its corners, rising.

    A constant mix pays the same mean intensity as always best, so its saving does not depend on the day.
    """
    errors = hull_corners(flavours)
    energies = np.array([min(each.energy_j for each in flavours if each.error == error) for error in errors])
    saving = 1.0 - energies / energies[0] if energies[0] > 0.0 else np.zeros_like(energies)
    return 100.0 * errors, 100.0 * saving
