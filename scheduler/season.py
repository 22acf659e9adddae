"""What a history of counts says about any hour of a week: level x time of day x day of the week.

Each effect is kept only as far as it stands out of its own noise (the positive-part James-Stein rule: of an
effect with mean square V, estimated with error variance N, the share max(0, 1 - N / V) is kept), so that little
data gives a flat forecast and much data a detailed one. Counts far from what the others say are clipped
(winsorised), so that a burst does not become a habit; what most days have clipped off is spread over all hours.
The level follows a lasting change within hours.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scheduler.model import FloatArray

BUCKET_S = 1800
DAY = 48
WEEK = 7 * DAY

_WEEKEND = (2, 3)
"""Saturday and Sunday in weeks that begin on a Thursday, as those since 1970 do."""

_LEAST_SHAPE = DAY // 4
_HALF_LIFE_DAYS = 7.0
_SLOW_BUCKETS = 72.0
_FAST_BUCKETS = 6.0
_CLIP = 2.5
_CLIP_SIGMAS = 3.0
_ROUNDS = 4
_TINY = 1e-12

# Two passes of the binomial kernel leave (1, 4, 6, 4, 1) / 16: the variance of white noise in what it keeps and takes.
_SMOOTH_VARIANCE = 70 / 256
_ROUGH_VARIANCE = 134 / 256

_Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int_]


def weekly_pattern(history: FloatArray, *, end: int) -> FloatArray:
    """Return the requests (WEEK,) expected in each bucket of a week, the first one being Thursday 00:00 UTC.

    `history` (n,): requests in the n buckets up to number `end` (exclusive; bucket i begins i x BUCKET_S after
    1970-01-01), NaN where unknown; at least one must be known.
    """
    days, first = _by_day(history, end=end)
    known = np.isfinite(days)
    pattern, bursts = np.ones(WEEK), 0.0
    if known.sum() >= _LEAST_SHAPE:
        counts, week_day = np.where(known, days, 0.0), (first + np.arange(len(days))) % 7
        pattern, bursts = _relative_week(counts, known, _weights(counts, known), week_day)
    return pattern * _level_now(history, pattern[np.arange(end - history.size, end) % WEEK]) + bursts


def _by_day(history: FloatArray, *, end: int) -> tuple[FloatArray, int]:
    """Lay the history out as whole days (D, DAY), NaN where unknown, with the number of the first day."""
    start = end - history.size
    first, last = start // DAY, -(-end // DAY)
    days = np.full((last - first) * DAY, np.nan)
    days[start - first * DAY : end - first * DAY] = history
    return days.reshape(-1, DAY), first


def _weights(counts: FloatArray, known: _Bools) -> FloatArray:
    """Weight of each count (D, DAY): recent days more, and days of unusually much demand less.

    Sums over days are weighted by volume besides, so that the first day of a new level would drown all others.
    """
    fade = 0.5 ** (np.arange(len(counts))[::-1] / _HALF_LIFE_DAYS)
    level = counts.sum(1) / np.maximum(known.sum(1), 1)
    usual = float(np.median(level[known.any(1)]))
    if usual > _TINY:
        fade *= usual / np.maximum(level, usual)
    return fade[:, None] * known


def _relative_week(counts: FloatArray, known: _Bools, weight: FloatArray, week_day: _Ints) -> tuple[FloatArray, float]:
    """Return the pattern of the week (WEEK,) but for its level, and the usual bursts, from counts (D, DAY)."""
    clipped, level, shape = _level_and_shape(counts, known, weight)
    shape = _filled(_denoised_shape(clipped, level, shape, weight), np.flatnonzero(known.any(0)))
    weekend = np.isin(week_day, _WEEKEND)
    profile = np.tile(shape, (7, 1))
    for members in (weekend, ~weekend, *(week_day == day for day in range(7))):
        expected = level[members, None] * profile[week_day[members]]
        profile[np.unique(week_day[members])] *= _own_shape(clipped[members], expected, weight[members])
    enough = known.sum(1) >= DAY / 2
    effects = _week_day_effects(level, week_day, enough)
    return (profile * effects[:, None]).reshape(WEEK), _usual_bursts(counts - clipped, known, enough)


def _usual_bursts(clipped_off: FloatArray, known: _Bools, enough: _Bools) -> float:
    """Return the requests per bucket in bursts that most days have, at no hour of their own; 0 before three days."""
    if enough.sum() < 3:
        return 0.0
    per_bucket = np.where(known, clipped_off, 0.0)[enough].sum(1) / known[enough].sum(1)
    return max(0.0, float(np.median(per_bucket)))


def _level_and_shape(
    counts: FloatArray, known: _Bools, weight: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return clipped counts (D, DAY), the level of each day (D,) and the shape of the day (DAY,), in turn refined."""
    level = counts.sum(1) / np.maximum(known.sum(1), 1)
    relative = np.where(known, counts / np.maximum(level, _TINY)[:, None], np.nan)
    seen = known.any(0)
    # The median of the days knows nothing of a burst; of two days the lower one does not.
    typical = np.nanmedian if known.any(1).sum() > 2 else np.nanmin
    shape = np.ones(DAY)
    shape[seen] = typical(relative[:, seen], axis=0)
    shape = np.maximum(shape, 0.3 * _smooth(shape))
    clipped = counts
    for _ in range(_ROUNDS):
        clipped = np.where(known, _clip(counts, level[:, None] * shape), 0.0)
        level = _ratio(clipped.sum(1), known @ shape, otherwise=0.0)
        shape = _ratio((weight * clipped).sum(0), weight.T @ level, otherwise=1.0)
        shape /= max(float(shape.mean()), _TINY)
    return clipped, level, shape


def _denoised_shape(clipped: FloatArray, level: FloatArray, shape: FloatArray, weight: FloatArray) -> FloatArray:
    """Shrink what is rough in the shape to what is smooth, and this to flat."""
    expected, below = level[:, None] * shape, weight.T @ level
    residual = np.where(weight > 0.0, clipped - expected, 0.0)
    smooth, smooth_residual = _smooth(shape), _smooth(residual)
    smooth_noise = _noise(smooth_residual, _SMOOTH_VARIANCE * expected, weight, below=below)
    rough_noise = _noise(residual - smooth_residual, _ROUGH_VARIANCE * expected, weight, below=below)
    return np.maximum(1.0 + _shrink(smooth - 1.0, smooth_noise) + _shrink(shape - smooth, rough_noise), 0.0)


def _filled(shape: FloatArray, seen: _Ints) -> FloatArray:
    """Bridge the times of day never seen, from the last one before to the first one after."""
    if seen.size == DAY:
        return shape
    filled = _smooth(_smooth(np.interp(np.arange(DAY), seen, shape[seen], period=DAY)))
    filled[seen] = shape[seen]
    return filled


def _own_shape(clipped: FloatArray, expected: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the smooth factor (DAY,) by which some of the days differ in shape from all days together."""
    if weight.any(1).sum() < 2:
        return np.ones(DAY)
    below = (weight * expected).sum(0)
    own = _smooth(_ratio((weight * clipped).sum(0), below, otherwise=1.0))
    residual = _smooth(np.where(weight > 0.0, clipped - expected * own, 0.0))
    noise = _noise(residual, _SMOOTH_VARIANCE * expected, weight, below=below)
    return np.maximum(1.0 + _shrink(own - 1.0, noise, weight=below**2), 0.0)


def _week_day_effects(level: FloatArray, week_day: _Ints, enough: _Bools) -> FloatArray:
    """Return the factors (7,) of the days of the week; 1 before a weekend and weekdays were seen.

    A day is measured by the mean of the seven days around it, of which the effects known so far are taken out.
    """
    effects = np.ones(7)
    weekend = np.isin(week_day, _WEEKEND)
    if not (enough & weekend).any() or (enough & ~weekend).sum() < 3:
        return effects
    window = np.ones(min(7, level.size))
    for _ in range(_ROUNDS):
        flat = np.where(enough, _ratio(level, effects[week_day], otherwise=0.0), 0.0)
        around = _ratio(np.convolve(flat, window, "same"), np.convolve(enough, window, "same"), otherwise=0.0)
        relative = _ratio(level, around, otherwise=1.0)
        effects = _effects(relative[enough], week_day[enough], weekend[enough])
    return effects


def _effects(relative: FloatArray, week_day: _Ints, weekend: _Bools) -> FloatArray:
    """Shrink the means by day of the week to those of weekdays and weekend, and these to each other."""
    off, work = relative[weekend], relative[~weekend]
    within = float(((off - off.mean()) ** 2).sum() + ((work - work.mean()) ** 2).sum())
    variance = within / max(relative.size - 2, 1) + 1e-4  # a few days that agree by chance prove little
    gap = _shrink(np.array([off.mean() - work.mean()]), variance * (1.0 / off.size + 1.0 / work.size))
    middle = (5.0 * float(work.mean()) + 2.0 * float(off.mean())) / 7.0
    effects: FloatArray = middle + gap * np.where(np.isin(np.arange(7), _WEEKEND), 5.0 / 7.0, -2.0 / 7.0)
    seen = [relative[week_day == day] for day in range(7)]
    if min(map(len, seen)) >= 2:
        own = np.array([values.mean() for values in seen])
        noise = float(np.mean([values.var(ddof=1) / values.size for values in seen]))
        effects = effects + _shrink(own - effects, noise)
    return np.maximum(effects, 0.0)


def _level_now(history: FloatArray, pattern: FloatArray) -> float:
    """Return the factor on `pattern` (n,) of recent days, moved to that of recent hours as far as these stand out."""
    known = np.isfinite(history)
    age = np.arange(history.size)[::-1][known]
    counts, expected = history[known], pattern[known]
    slow = _factor(counts, expected, np.exp(-age / _SLOW_BUCKETS))
    weight = np.exp(-age / _FAST_BUCKETS)
    below = float(weight @ expected)
    if slow <= _TINY or below <= _TINY:
        return slow
    fast = _factor(counts, expected, weight)
    residual = _clip(counts, fast * expected) - fast * expected
    noise = float(weight**2 @ np.maximum(residual**2, fast * expected)) / (slow * below) ** 2
    return slow * (1.0 + float(_shrink(np.array([fast / slow - 1.0]), noise)[0]))


def _factor(counts: FloatArray, expected: FloatArray, weight: FloatArray) -> float:
    """Return the ratio of counts, clipped around it, to what is expected; the mean count when this is nothing."""
    below = float(weight @ expected)
    if below <= _TINY:
        return float(weight @ counts) / float(weight.sum())
    factor = float(weight @ counts) / below
    for _ in range(_ROUNDS):
        factor = max(0.0, float(weight @ _clip(counts, factor * expected)) / below)
    return factor


def _clip(counts: FloatArray, expected: FloatArray) -> FloatArray:
    """Bound counts to a factor and some Poisson deviations around what is expected."""
    noise = _CLIP_SIGMAS * np.sqrt(expected + 1.0)
    result: FloatArray = np.clip(counts, expected / _CLIP - noise, expected * _CLIP + noise)
    return result


def _noise(residual: FloatArray, poisson: FloatArray, weight: FloatArray, *, below: FloatArray) -> float:
    """Mean error variance of sum(weight x counts) / below by time of day, from what is left of the counts (D, DAY).

    The residuals are smoothed like the effect in question, as days that differ do so for hours on end; less than
    the variance `poisson` that counts have by themselves is not believed.
    """
    rows = int(weight.any(1).sum())
    squares = float((weight**2 * residual**2).sum()) * rows / (rows - 1) if rows > 1 else 0.0
    return max(squares, float((weight**2 * poisson).sum())) / max(float((below**2).sum()), _TINY)


def _shrink(raw: FloatArray, noise: float, *, weight: FloatArray | None = None) -> FloatArray:
    """Keep of the deviations `raw` what stands out of their error variance `noise`, both as weighted means."""
    if weight is not None and float(weight.sum()) <= _TINY:
        return raw * 0.0
    signal = float(np.average(raw * raw, weights=weight))
    return raw * (max(0.0, 1.0 - noise / signal) if signal > _TINY else 0.0)


def _smooth(circle: FloatArray) -> FloatArray:
    """Pass the binomial kernel (1, 2, 1) / 4 twice over days (..., DAY) that each follow themselves."""
    around = np.concatenate((circle[..., -2:], circle, circle[..., :2]), axis=-1)
    smoothed: FloatArray = (
        6.0 * circle + 4.0 * (around[..., 1:-3] + around[..., 3:-1]) + around[..., :-4] + around[..., 4:]
    ) / 16.0
    return smoothed


def _ratio(above: FloatArray, below: FloatArray, *, otherwise: float) -> FloatArray:
    """Divide where there is something to divide by."""
    result: FloatArray = np.where(below > _TINY, above / np.maximum(below, _TINY), otherwise)
    return result
