"""How sure the estimate of carbon intensity is: quantiles from what the estimator got wrong before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scheduler.climatology import climatology
from scheduler.forecast import Past, bandwidth, bridge, carbon_ahead, looked_at, smooth
from scheduler.history import CarbonHistory
from scheduler.model import FloatArray
from scheduler.outlook import Outlook

LONGEST_LEAD_SLOTS = 48
"""Beyond this lead nothing is left of the last error, so errors are pooled there."""

LEAST_ERRORS = 8
"""With long slots a day is too few errors for a quantile."""


def carbon_quantiles(  # noqa: PLR0913 - the same question as carbon_ahead, and which levels
    history: CarbonHistory,
    outlook: Outlook,
    *,
    first: int,
    count: int,
    ar: float,
    levels: Sequence[float],
) -> FloatArray | None:
    """Quantiles at `levels` (in (0, 1)) of the `count` slots that `carbon_ahead` estimates: g/kWh (L, count) >= 0.

    None with less than a day of past errors. Rows rise with their level; the band widens with the lead and, beyond
    the forecast, on towards the spread of the zone's own days. Past errors are those of the forecasts remembered
    in the history: when these were shorter-lived than the outlook's, the band is too narrow. The result is shared
    between calls and read-only. Raises ValueError on a level out of range.
    """
    wanted = np.array(levels, dtype=float)
    if wanted.ndim != 1 or not ((wanted > 0.0) & (wanted < 1.0)).all():
        raise ValueError(f"levels must be between 0 and 1, not {levels!r}")
    estimate, _ = carbon_ahead(history, outlook, first=first, count=count, ar=ar)

    def make() -> FloatArray | None:
        past = Past.of(history, outlook, first=first, count=count)
        spread = _spread(past, ar=ar, levels=wanted)
        if spread is None:
            return None
        result: FloatArray = np.maximum(estimate * (1.0 + spread), 0.0)
        result.flags.writeable = False
        return result

    seen = looked_at(history, outlook, first=first, count=count)
    return history.remembered(("quantiles", *seen, first, count, ar, wanted.tobytes()), make)


def _spread(past: Past, *, ar: float, levels: FloatArray) -> FloatArray | None:
    """Quantiles of the relative error of each slot from the present on: (L, count), or None if too little is known."""
    errors, reach = _errors(past)
    if np.count_nonzero(np.isfinite(errors)) < max(past.day, LEAST_ERRORS):
        return None
    count = past.actual.size - past.now
    seen = np.flatnonzero(np.isfinite(past.actual))
    lead = np.arange(count) + past.now - int(seen[-1])
    near = _by_lead(errors, ar=ar, levels=levels)
    if near is None:
        return None
    offsets = near[:, np.minimum(lead, near.shape[1]) - 1]
    if 0 < reach < past.actual.size:
        offsets = _beyond(offsets, past, reach=reach, levels=levels)
    return _widening(offsets, levels=levels)


def _errors(past: Past) -> tuple[FloatArray, int]:
    """Relative errors of the smoothed forecast where an actual is known, NaN elsewhere, and where the forecast ends.

    Errors grow with the level, so they are kept as shares of what was foreseen. With no forecast ahead the zone's
    usual day takes its place, with no end.
    """
    if np.isfinite(past.forecast[past.now :]).any():
        reach = int(np.flatnonzero(np.isfinite(past.forecast))[-1]) + 1
        path = bridge(past.forecast[:reach])
        path = smooth(path, bandwidth=bandwidth(path, actual=past.actual[:reach]))
        known = np.isfinite(past.forecast[: past.now])
    else:
        seen = np.flatnonzero(np.isfinite(past.actual))
        if seen.size == 0:
            return np.full(0, np.nan), 0
        reach, known = 0, np.ones(past.now, dtype=bool)
        values = bridge(past.actual[seen[0] : seen[-1] + 1])
        usual = climatology(values, day=past.day)
        path = usual.usual + usual.shape[(np.arange(past.now) - int(seen[-1]) - 1) % past.day]
    path = path[: past.now]
    known &= path > 0.0
    errors = np.full(past.now, np.nan)
    errors[known] = past.actual[: past.now][known] / path[known] - 1.0
    return errors, reach


def _by_lead(errors: FloatArray, *, ar: float, levels: FloatArray) -> FloatArray | None:
    """Quantiles (L, K) of what is left of the errors (n,) after each was carried forward by 1 to K slots.

    None when no two errors are that close together.
    """
    most = min(LONGEST_LEAD_SLOTS, errors.size // 2)
    result = np.full((levels.size, most), np.nan)
    for lead in range(1, most + 1):
        left = errors[lead:] - ar**lead * errors[:-lead]
        left = left[np.isfinite(left)]
        if left.size:
            result[:, lead - 1] = np.quantile(left, levels)
    return np.vstack([bridge(row) for row in result]) if np.isfinite(result).any() else None


def _beyond(offsets: FloatArray, past: Past, *, reach: int, levels: FloatArray) -> FloatArray:
    """Beyond the forecast's end `reach`, go over from the forecast's errors to the spread of the zone's days.

    An AR(1) level that keeps k a day has lost the share 1 - k^(2 lead) of its variance to the unknown. Its n days
    in a row say as much of their mean as m = n (1 - k) / (1 + k) days apart; spread about a mean taken from the
    same m days is too narrow by 1 - 1/m in variance, and the mean itself is unsure by 1/m: together about 1 + 2/m.
    """
    seen = np.where(np.isfinite(past.actual), past.actual, past.forecast)[:reach]
    known = np.flatnonzero(np.isfinite(seen))
    values = bridge(seen[known[0] :])
    usual = climatology(values, day=past.day)
    expected = usual.usual + usual.shape[(np.arange(values.size) - values.size) % past.day]
    apart = np.quantile(values / np.maximum(expected, 1e-9) - 1.0, levels)[:, None]
    apart *= np.sqrt(1.0 + 2.0 * past.day * (1.0 + usual.kept) / (values.size * (1.0 - usual.kept)))
    lead = np.arange(1.0, past.actual.size - reach + 1)
    unknown = 1.0 - usual.kept ** (2.0 * lead / past.day)
    at = reach - past.now
    result = offsets.copy()
    result[:, at:] = np.sqrt(1.0 - unknown) * offsets[:, at:] + np.sqrt(unknown) * apart
    return result


def _widening(offsets: FloatArray, *, levels: FloatArray) -> FloatArray:
    """Let no later slot be surer than an earlier one: rows below the median only fall, rows above only rise."""
    low = np.minimum.accumulate(offsets, axis=1)
    high = np.maximum.accumulate(offsets, axis=1)
    return np.where(levels[:, None] < 0.5, low, np.where(levels[:, None] > 0.5, high, offsets))
