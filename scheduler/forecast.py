"""Carbon intensity to come: the provider's forecast, smoothed and corrected by what was observed.

A forecast's error is nearly white noise on top of a slowly moving bias, so a planner that chases the forecast's
minimum chases noise. Smoothing over the slots removes the first, carrying the last error forward the second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scheduler.climatology import climatology
from scheduler.history import CarbonHistory
from scheduler.model import FloatArray
from scheduler.outlook import DAY_S, Outlook

ROUGHNESS = 0.035
"""Prior standard deviation of a grid's second differences from slot to slot, as a share of its level."""

ROUGHNESS_SLOTS = 10.0
"""How many observed slots that prior is worth."""

NOISE_WEIGHT = 12.0
"""Noise costs more than roughness: chasing it moves quality to the wrong slot, smoothing it away only blurs."""

CORRECTED_SLOTS = 7 * 48
"""How far back a forecast and its errors are looked at to correct what is left of it."""

Basis = Literal["provider", "provider+climatology", "provider+level", "past-actuals", "none"]
"""What an estimate rests on. Where the provider's forecast ends sooner than what was asked for, it goes on by the
zone's usual day ("provider+climatology") or, with less than a day of actuals, by the forecast's own last level and
shape ("provider+level"). With no forecast it rests on "past-actuals", or on nothing: "none" is flat."""


def carbon_ahead(  # noqa: PLR0913 - what is known, and of what to speak
    history: CarbonHistory,
    outlook: Outlook,
    *,
    first: int,
    count: int,
    ar: float,
    needed: int | None = None,
) -> tuple[FloatArray, Basis]:
    """Estimate the carbon intensity of `count` outlook slots from index `first`: g/kWh (count,) >= 0, and its basis.

    The provider's forecast is corrected by what was observed; beyond its end the level returns to the zone's usual
    day (scheduler.climatology). With no forecast at all the same is done from past actuals; with nothing known the
    result is flat. The basis speaks of the first `needed` slots, by default of all. The result is shared between
    calls and read-only.
    """
    needed = count if needed is None else needed
    key = ("ahead", *looked_at(history, outlook, first=first, count=count), first, count, ar, needed)
    return history.remembered(key, lambda: _estimate(Past.of(history, outlook, first=first, count=count), ar, needed))


def looked_at(
    history: CarbonHistory, outlook: Outlook, *, first: int, count: int
) -> tuple[float, float, int, bytes | None]:
    """All of an outlook that `Past.of` looks at, as a key: a long one would cost more to compare than to look at."""
    return outlook.carbon_key(first=first - history.keep, count=history.keep + count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is known on one grid of `day` slots to a day, before and after the present slot at index `now`.

    `actual` (n,) is NaN from `now` on, `forecast` (n,) where the provider says nothing.
    """

    actual: FloatArray
    forecast: FloatArray
    now: int
    day: int

    @classmethod
    def of(cls, history: CarbonHistory, outlook: Outlook, *, first: int, count: int) -> Past:
        """Gather the `count` outlook slots from index `first`, the present one, and those before it."""
        past = _past_slots(history, outlook, first=first)
        actual, remembered = history.on_grid(outlook, first=first - past, count=past + count)
        given = outlook.carbon_at(first=first - past, count=past + count)
        actual[past:] = np.nan  # the slot that is running is not known yet
        forecast = np.where(np.isnan(given), remembered, given)
        return cls(actual=actual, forecast=forecast, now=past, day=max(1, round(DAY_S / outlook.slot_s)))


def _past_slots(history: CarbonHistory, outlook: Outlook, *, first: int) -> int:
    """How many slots before `first` are known of, by the outlook or by observation."""
    oldest = min(0, first)
    if history.slots:
        oldest = min(oldest, round((history.slots[0][0] - outlook.start_s) / outlook.slot_s))
    return min(first - oldest, history.keep)


def _estimate(past: Past, ar: float, needed: int) -> tuple[FloatArray, Basis]:
    basis: Basis
    if np.isfinite(past.forecast[past.now :]).any():
        estimate, basis = _from_provider(past, ar=ar, needed=needed)
    elif np.isfinite(past.actual).any():
        estimate, basis = _from_actuals(past, ar=ar), "past-actuals"
    else:
        estimate, basis = np.ones(past.actual.size - past.now), "none"
    estimate = np.maximum(estimate, 0.0)
    estimate.flags.writeable = False
    return estimate, basis


def _from_provider(past: Past, *, ar: float, needed: int) -> tuple[FloatArray, Basis]:
    """Correct the forecast as far as it reaches and continue it by what the zone usually does."""
    known = np.where(np.isfinite(past.forecast), past.forecast, past.actual)
    end = _last(known) + 1
    begin = max(0, past.now - CORRECTED_SLOTS)
    corrected = correct(bridge(known[begin:end]), actual=past.actual[begin:end], ar=ar)
    beyond = past.actual.size - end
    if beyond == 0:
        return corrected[past.now - begin :], "provider"
    seen = known[:end].copy()
    seen[begin:] = corrected
    seen = np.where(np.isfinite(past.actual[:end]), past.actual[:end], seen)
    usual = climatology(bridge(seen[_first(seen) :]), day=past.day)
    estimate = np.concatenate((corrected[past.now - begin :], usual.expect(np.arange(1.0, beyond + 1))))
    if end - past.now >= needed:
        return estimate, "provider"
    enough = np.count_nonzero(np.isfinite(past.actual)) >= past.day
    return estimate, "provider+climatology" if enough else "provider+level"


def _from_actuals(past: Past, *, ar: float) -> FloatArray:
    """Continue past actuals by the zone's usual day and the last deviation from it.

    Less than a day says nothing of what is to come: a night's low would make every later hour look dear. The
    result is then flat, which is planned as a constant mix.
    """
    begin, end = _first(past.actual), _last(past.actual) + 1
    seen = bridge(past.actual[begin:end])
    lead = np.arange(past.now - end + 1.0, past.actual.size - end + 1.0)
    usual = climatology(seen, day=past.day)
    if seen.size < past.day:
        return usual.expect(lead)
    deviation = float(seen[-1] - usual.expect(np.zeros(1))[0])
    expected: FloatArray = usual.expect(lead) + deviation * ar**lead
    return expected


def _first(values: FloatArray) -> int:
    return int(np.flatnonzero(np.isfinite(values))[0])


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
