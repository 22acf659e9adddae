"""What a grid usually does: carbon intensity beyond the last forecast, from the days before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.model import FloatArray

KEPT_PER_DAY = 0.6
"""Prior of how much of a day's deviation from the usual level is left a day later: weather lasts about two days."""

KEPT_PRIOR_DAYS = 10.0
"""How many days that prior is worth: a week hardly tells a calm spell from a calm country."""

KEPT_LEAST, KEPT_MOST = 0.2, 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Climatology:
    """A zone's usual day and how far the last one was from usual, g/kWh.

    `shape` (day,) are the usual deviations from a day's mean, beginning with the slot after the last one known;
    `level` is the mean of the last day known, `usual` that of all days; `kept` is the share of `level - usual`
    that is left a day later.
    """

    shape: FloatArray
    level: float
    usual: float
    kept: float = KEPT_PER_DAY

    def expect(self, lead: FloatArray) -> FloatArray:
        """Expected carbon intensity `lead` >= 0 (n,) slots after the last one known: g/kWh (n,).

        The level returns to the usual one, so a far slot is never expected to be extreme.
        """
        day = self.shape.size
        left = self.kept ** (lead / day)
        shape = self.shape[(lead.astype(int) - 1) % day]
        expected: FloatArray = self.usual + (self.level - self.usual) * left + shape
        return expected


def climatology(values: FloatArray, *, day: int) -> Climatology:
    """Learn from values (n,), n >= 1, oldest first, without gaps, `day` slots to a day; below a day only a level."""
    if values.size < day:
        mean = float(values.mean())
        return Climatology(shape=np.zeros(day), level=mean, usual=mean)
    # The shape sums to zero over a day, so the mean of any whole day is its level.
    days = values.size // day
    levels = values[values.size - days * day :].reshape(days, day).mean(axis=1)
    kept = kept_per_day(levels)
    return Climatology(
        shape=usual_shape(values, day=day),
        level=float(levels[-1]),
        usual=usual_level(levels, kept=kept),
        kept=kept,
    )


def usual_shape(values: FloatArray, *, day: int) -> FloatArray:
    """Mean deviation of values (n,), n >= day, from the running daily mean by slot of day: (day,), sum 0.

    It begins with the slot that follows the last value. It is not shrunk where days are few: a shape too flat hides
    that there will be peaks, and costs more than one that is a little wrong.
    """
    half = day // 2
    # The first and the last day repeat beyond the ends: equal days have their shape exactly.
    padded = np.concatenate((values[day - half : day], values, values[values.size - day :][:half]))
    total = np.cumsum(np.concatenate((np.zeros(1), padded)))
    running = (total[day:] - total[:-day]) / day
    if running.size > values.size:  # an even day has no middle slot
        running = (running[1:] + running[:-1]) / 2.0
    slot = (np.arange(values.size) - values.size) % day
    deviations = np.bincount(slot, weights=values - running, minlength=day)
    shape = deviations / np.bincount(slot, minlength=day)
    centred: FloatArray = shape - shape.mean()
    return centred


def kept_per_day(levels: FloatArray) -> float:
    """Share of a daily level's deviation left a day later, from levels (n,) and a prior.

    The lag-1 autocorrelation r of n values about their own mean is too low by about (1 + 3 r) / n (Kendall 1954,
    doi:10.1093/biomet/41.3-4.403), which is added back; n days then stand beside KEPT_PRIOR_DAYS of prior.
    """
    deviation = levels - usual_level(levels, kept=KEPT_PER_DAY)
    power = float(deviation @ deviation)
    days = levels.size
    if days < 3 or power <= 1e-12 * float(levels @ levels):
        return KEPT_PER_DAY
    seen = float(deviation[1:] @ deviation[:-1]) / power
    corrected = seen + (1.0 + 3.0 * seen) / days
    kept = (KEPT_PRIOR_DAYS * KEPT_PER_DAY + days * corrected) / (KEPT_PRIOR_DAYS + days)
    return min(max(kept, KEPT_LEAST), KEPT_MOST)


def usual_level(levels: FloatArray, *, kept: float) -> float:
    """Long-run mean of daily levels (n,), oldest first: generalised least squares for an AR(1) of factor `kept`.

    Days in a row say the same thing twice, so inner days weigh 1 - kept and the two ends 1 (the inverse of an
    AR(1)'s covariance is tridiagonal). Nothing is assumed of the mean itself: a wrong prior hurts more than none.
    """
    weight = np.full(levels.size, 1.0 - kept)
    weight[[0, -1]] = 1.0
    return float(levels @ weight / weight.sum())
