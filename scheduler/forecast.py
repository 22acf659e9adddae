"""Carbon intensity to come: the provider's forecast, smoothed and corrected by what was observed.

A forecast's error is nearly white noise on top of a slowly moving bias, so a planner that chases the forecast's
minimum chases noise. Smoothing over the slots removes the first, carrying the last error forward the second.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from scheduler.history import CarbonHistory
from scheduler.model import FloatArray
from scheduler.outlook import DAY_S, Outlook

LEVEL_KEPT_PER_DAY = 0.85
"""How much of the last day's level is left a day later where no forecast reaches (the rest is climatology)."""

ROUGHNESS = 0.035
"""Prior standard deviation of a grid's second differences from slot to slot, as a share of its level."""

ROUGHNESS_SLOTS = 10.0
"""How many observed slots that prior is worth."""

NOISE_WEIGHT = 4.0
"""Noise costs more than roughness: chasing it moves quality to the wrong slot, smoothing it away only blurs."""

Basis = Literal["provider", "past-actuals", "none"]


def carbon_ahead(
    history: CarbonHistory,
    outlook: Outlook,
    *,
    first: int,
    count: int,
    ar: float,
) -> tuple[FloatArray, Basis]:
    """Estimate the carbon intensity of `count` outlook slots from index `first`: g/kWh (count,) >= 0, and its basis.

    Slots beyond the outlook continue its last day's level, decaying towards the mean by slot of the day. With
    no forecast at all the same is done from past actuals; with nothing known the result is flat.
    """
    past = _past_slots(history, outlook, first=first)
    actual, forecast = history.on_grid(outlook, first=first - past, count=past + count)
    forecast = _provided(outlook, first=first - past, count=past + count, otherwise=forecast)
    actual[past:] = np.nan  # the slot that is running is not known yet
    if np.isfinite(forecast[past:]).any():
        known = np.where(np.isfinite(forecast), forecast, actual)
        path = extend(bridge(known), known=_last(known) + 1, slot_s=outlook.slot_s)
        estimate = correct(path, actual=actual, ar=ar)
        basis: Basis = "provider"
    elif np.isfinite(actual).any():
        estimate = _from_actuals(actual, slot_s=outlook.slot_s, ar=ar)
        basis = "past-actuals"
    else:
        return np.ones(count), "none"
    return np.maximum(estimate[past:], 0.0), basis


def _from_actuals(actual: FloatArray, *, slot_s: float, ar: float) -> FloatArray:
    """Continue past actuals (n,), NaN from the present on, by their mean day and the last deviation from it.

    Less than a day says nothing of what is to come: a night's low would make every later hour look dear. The
    result is then flat, which is planned as a constant mix.
    """
    known = _last(actual) + 1
    day = max(1, round(DAY_S / slot_s))
    first = int(np.flatnonzero(np.isfinite(actual))[0])
    if known - first < day:
        return np.full(actual.size, float(np.nanmean(actual)))
    path = bridge(actual[first:])
    usual = extend(path, known=known - first, slot_s=slot_s)
    lead = np.arange(1, path.size - (known - first) + 1)
    expected = usual[known - first :]
    same = path[(known - 1 - first) % day : known - first : day].mean()
    expected += (path[known - first - 1] - same) * ar**lead
    return np.concatenate((actual[:known], expected))


def _past_slots(history: CarbonHistory, outlook: Outlook, *, first: int) -> int:
    """How many slots before `first` are known of, by the outlook or by observation."""
    oldest = min(0, first)
    if history.slots:
        oldest = min(oldest, round((history.slots[0][0] - outlook.start_s) / outlook.slot_s))
    return min(first - oldest, history.keep)


def _provided(outlook: Outlook, *, first: int, count: int, otherwise: FloatArray) -> FloatArray:
    """The outlook's carbon on the grid, `otherwise` (count,) where it has none."""
    result = otherwise.copy()
    if outlook.carbon_g_per_kwh is not None:
        low, high = max(first, 0), min(first + count, outlook.carbon_g_per_kwh.size)
        if low < high:
            cells = outlook.carbon_g_per_kwh[low:high]
            result[low - first : high - first] = np.where(np.isnan(cells), result[low - first : high - first], cells)
    return result


def _last(values: FloatArray) -> int:
    return int(np.flatnonzero(np.isfinite(values))[-1])


def bridge(values: FloatArray) -> FloatArray:
    """Fill NaN linearly between known neighbours and flat beyond the ends; needs one known value."""
    known = np.flatnonzero(np.isfinite(values))
    return np.interp(np.arange(values.size), known, values[known])


def correct(forecast: FloatArray, *, actual: FloatArray, ar: float) -> FloatArray:
    """Smooth the forecast (n,) and carry its last error (actual, NaN where unobserved) forward as an AR(1)."""
    smoothed = smooth(forecast, bandwidth=bandwidth(forecast, actual=actual))
    seen = np.flatnonzero(np.isfinite(actual))
    if seen.size:
        last = int(seen[-1])
        lead = np.arange(1, forecast.size - last)
        smoothed[last + 1 :] += (actual[last] - smoothed[last]) * ar**lead
    return smoothed


def bandwidth(forecast: FloatArray, *, actual: FloatArray) -> float:
    """How far to smooth, in slots: as much as the forecast is rougher than the grid itself.

    White noise of variance v adds 6 v to the variance of the second differences. What is left is the grid's own
    roughness, learned from the actuals seen (NaN where unobserved) on top of a prior: grids differ in level, but
    their second differences are a few percent of it.
    """
    own = np.diff(actual, n=2)
    own = own[np.isfinite(own)]
    prior = (ROUGHNESS * float(np.abs(forecast).mean())) ** 2
    curvature = (ROUGHNESS_SLOTS * prior + float(own @ own)) / (ROUGHNESS_SLOTS + own.size)
    rough = np.diff(forecast, n=2)
    noise = max(0.0, float(rough @ rough) / max(1, rough.size) - curvature) / 6.0
    return float((4.0 * NOISE_WEIGHT * noise / curvature) ** 0.25) if noise > 0.0 and curvature > 0.0 else 0.0


def smooth(values: FloatArray, *, bandwidth: float) -> FloatArray:
    """Smooth (n,) by the kernel that a cubic smoothing spline amounts to (Silverman 1984, doi:10.1214/aos/1176346710).

    The ends are continued point-symmetrically, so that a slope stays one.
    """
    reach = min(math.ceil(6.0 * bandwidth), values.size - 1)
    if bandwidth < 0.3 or reach < 1:
        return values.copy()
    distance = np.abs(np.arange(-reach, reach + 1)) / bandwidth
    kernel = np.exp(-distance) * (np.cos(distance) + np.sin(distance))
    before = 2.0 * values[0] - values[reach:0:-1]
    after = 2.0 * values[-1] - values[-2 : -reach - 2 : -1]
    padded = np.concatenate((before, values, after))
    smoothed: FloatArray = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    return smoothed


def extend(values: FloatArray, *, known: int, slot_s: float) -> FloatArray:
    """Replace values from index `known` on by the last day's level decaying towards the mean by slot of day."""
    beyond = np.arange(known, values.size)
    if beyond.size == 0:
        return values
    day = max(1, round(DAY_S / slot_s))
    profile = np.full(day, values[:known].mean())
    for slot in range(min(day, known) if known >= day else 0):
        profile[slot] = values[slot:known:day].mean()
    recent = np.arange(max(0, known - day), known)
    level = float((values[recent] - profile[recent % day]).mean())
    decay = LEVEL_KEPT_PER_DAY ** ((beyond - known + 1) / day)
    result = values.copy()
    result[known:] = profile[beyond % day] + level * decay
    return result
