"""Where the lines of the page's charts run; what they look like is the template's and the style sheet's business.

Coordinates are in units of the drawing, which is scaled as a whole.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from controlplane.report.numbers import plain
from controlplane.report.series import blind_mix_curve, series_of
from controlplane.report.summary import Group, clairvoyant_saving, error_of
from scheduler import Flavour, FloatArray, ReplayResult

LEFT, RIGHT = 60.0, 696.0
MOST_STEPS = 240
_CARBON, _SPLIT, _ERROR = (24.0, 124.0), (156.0, 296.0), (328.0, 428.0)
_COMPARISON = (16.0, 336.0)
_HOUR_S = 3600.0
_TIME_STEPS_H = (1, 2, 3, 6, 12, 24, 48, 168, 336, 720, 1440, 2160, 4320, 8760)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A place on an axis and what stands there."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One window over time: paths of the carbon line, of one area a flavour, and of the running mean error."""

    title: str
    carbon: str
    areas: tuple[str, ...]
    error: str
    promise: float
    times: tuple[Tick, ...]
    carbon_ticks: tuple[Tick, ...]
    split_ticks: tuple[Tick, ...]
    error_ticks: tuple[Tick, ...]
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One policy under one promise: where it came out; `number` is the policy's, from 1."""

    x: float
    y: float
    number: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Saving against error: marks, the line of carbon-blind mixes, and each promise with the clairvoyant's place."""

    marks: tuple[Mark, ...]
    mix: str
    promises: tuple[tuple[Tick, float | None], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    def ticks(self, *, about: int = 4) -> tuple[Tick, ...]:
        rough = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= rough * (1.0 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(Tick(at=self(place * step), text=plain(place * step)) for place in range(first, last + 1))


def course(result: ReplayResult, flavours: Sequence[Flavour]) -> Course:
    """Draw one window; long ones in steps that are the mean of several slots."""
    series = series_of(result, flavours, at_most=MOST_STEPS)
    across = _Scale(low=series.edges_s[0], high=series.edges_s[-1], start=LEFT, end=RIGHT)
    x = [across(edge) for edge in series.edges_s]
    carbon = _upwards(series.carbon, _CARBON)
    split = _Scale(low=0.0, high=100.0, start=_SPLIT[1], end=_SPLIT[0])
    error = _upwards([*series.running_error_pct, result.max_error_pct], _ERROR)
    rows = [[split(value) for value in row] for row in series.cumulative_pct]
    known = [(x[step + 1], error(value)) for step, value in enumerate(series.running_error_pct) if math.isfinite(value)]
    return Course(
        title=f"{result.policy}, at most {plain(result.max_error_pct)} %, {result.trace}",
        carbon=f"M{_steps(x, [carbon(value) for value in series.carbon])}",
        areas=tuple(_area(x, below, above) for below, above in itertools.pairwise(rows)),
        error="M" + "L".join(f"{across_at:g} {up_at:g}" for across_at, up_at in known) if known else "",
        promise=error(result.max_error_pct),
        times=_times(across),
        carbon_ticks=carbon.ticks(),
        split_ticks=split.ticks(),
        error_ticks=error.ticks(),
        slots=series.slots,
    )


def comparison(groups: Sequence[Group], flavours: Sequence[Flavour]) -> Comparison:
    """Draw means over the windows: error to the right, saving against always best upwards."""
    policies = tuple(dict.fromkeys(group.policy for group in groups))
    bounds = {group.max_error_pct: group.mean(clairvoyant_saving).value for group in reversed(groups)}
    points = [
        (group, error, saving)
        for group in groups
        if (error := group.mean(error_of).value) is not None
        and (saving := group.mean(lambda result: result.saving_vs_always_best_pct).value) is not None
    ]
    most = 1.06 * max([*bounds, *(error for _, error, _ in points)]) or 1.0
    errors, mixes = _until(most, *blind_mix_curve(flavours))
    savings = [0.0, *mixes, *(saving for _, _, saving in points), *(bound for bound in bounds.values() if bound)]
    room = 0.06 * (max(savings) - min(savings)) or 1.0
    across = _Scale(low=-0.03 * most, high=most, start=LEFT, end=RIGHT)
    up = _Scale(low=min(savings) - room, high=max(savings) + room, start=_COMPARISON[1], end=_COMPARISON[0])
    return Comparison(
        marks=tuple(
            Mark(
                x=across(error),
                y=up(saving),
                number=policies.index(group.policy) + 1,
                title=f"{group.policy}, at most {plain(group.max_error_pct)} %",
            )
            for group, error, saving in reversed(points)  # the first policy on top
        ),
        mix="M" + "L".join(f"{across(error):g} {up(saving):g}" for error, saving in zip(errors, mixes, strict=True)),
        promises=tuple(
            (Tick(at=across(promise), text=f"{plain(promise)} %"), None if bound is None else up(bound))
            for promise, bound in sorted(bounds.items())
        ),
        x_ticks=across.ticks(about=8),
        y_ticks=up.ticks(about=6),
        policies=policies,
    )


def _upwards(values: Iterable[float], panel: tuple[float, float]) -> _Scale:
    """A scale from 0, or from the least where that is less, with a little air above."""
    finite = [float(value) for value in values if math.isfinite(value)]
    low, high = min([0.0, *finite]), max([0.0, *finite])
    return _Scale(low=low, high=high + 0.08 * (high - low) if high > low else low + 1.0, start=panel[1], end=panel[0])


def _steps(x: Sequence[float], y: Sequence[float]) -> str:
    """Horizontal at y[i] from x[i] to x[i + 1]."""
    return f"{x[0]:g} {y[0]:g}" + "".join(f"H{x[step + 1]:g}V{at:g}" for step, at in enumerate([*y[1:], y[-1]]))


def _area(x: Sequence[float], below: Sequence[float], above: Sequence[float]) -> str:
    """Filled between two staircases; nothing where they are one."""
    if all(low == high for low, high in zip(below, above, strict=True)):
        return ""
    return f"M{_steps(x, above)}L{_steps(x[::-1], below[::-1])}Z"


def _until(most: float, errors: FloatArray, savings: FloatArray) -> tuple[list[float], list[float]]:
    """The curve cut off at `most`."""
    kept = errors < most
    if kept.all():
        return errors.tolist(), savings.tolist()
    end = float(np.interp(most, errors, savings))
    return [*errors[kept].tolist(), most], [*savings[kept].tolist(), end]


def _times(across: _Scale) -> tuple[Tick, ...]:
    """At most nine full hours or midnights, UTC."""
    hours = (across.high - across.low) / _HOUR_S
    step_s = _HOUR_S * next((step for step in _TIME_STEPS_H if hours / step <= 8.0), math.ceil(hours / 8.0))
    shape = "%H:%M" if step_s < 24 * _HOUR_S else "%d %b"
    first, last = math.ceil(across.low / step_s), math.floor(across.high / step_s)
    return tuple(
        Tick(at=across(place * step_s), text=f"{datetime.fromtimestamp(place * step_s, UTC):{shape}}")
        for place in range(first, last + 1)
    )
