"""A picture of a replay: one window's course, and how policies compare."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from controlplane.report.numbers import plain
from controlplane.report.series import blind_mix_curve, series_of
from controlplane.report.summary import Group, checked, clairvoyant_saving, error_of, groups_of
from scheduler import Flavour, ReplayResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours: distinguishable with any colour vision, and in print.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
_MOST_WINDOWS = 31
_METADATA: dict[str, dict[str, str | None]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""What to leave out: the time of writing. (Bytes may differ all the same: the layout is solved to rounding.)"""


def picture_ending(path: Path) -> str:
    """The ending of a picture that can be drawn; ValueError for another."""
    ending = path.suffix.lower()
    if ending not in _METADATA:
        raise ValueError(f"{path}: a picture ends in .png, .svg or .pdf")
    return ending


def replay_plot(results: Sequence[ReplayResult], flavours: Sequence[Flavour], path: Path) -> None:
    """Draw results to a PNG, SVG or PDF, by the ending of `path`.

    Above, on one time axis in UTC: actual carbon, the split and the running mean error, for the first trace under
    the first policy and promise. Below, where there is more than that: saving against error, one marker for each
    policy and promise. Raises ValueError for another ending or without results, OSError when it cannot be written.
    """
    ending = picture_ending(path)
    chosen = checked(results, flavours)
    import matplotlib as mpl  # noqa: PLC0415 - half a second that only this needs

    # Names are not formulas, whatever dollar signs are in them; a salt makes the ids of an SVG the same each time.
    settings = mpl.rc_context({"text.parse_math": False, "svg.hashsalt": "carbonrouter", "date.converter": "concise"})
    with settings, warnings.catch_warnings():
        # A name in a script the font lacks shows as boxes; that is no reason to print a warning for each.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        _figure(chosen, flavours).savefig(path, dpi=130, format=ending[1:], metadata=_METADATA[ending])


def _figure(results: tuple[ReplayResult, ...], flavours: Sequence[Flavour]) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above; no pyplot: it keeps state, and wants a display

    groups = groups_of(results)
    shown = [result for result in groups[0].results if result.trace == results[0].trace]
    compare = len(results) > len(shown)
    figure = Figure(figsize=(10, 13.0 if compare else 8.5), layout="constrained")
    heights = (1.0, 1.4, 1.0, 2.6) if compare else (1.0, 1.4, 1.0)
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    carbon = figure.add_subplot(grid[0])
    split, error = (figure.add_subplot(grid[row], sharex=carbon) for row in (1, 2))
    for axis in (carbon, split):
        axis.tick_params(labelbottom=False)
    _course(carbon, split, error, shown[:_MOST_WINDOWS], flavours)
    figure.suptitle(_title(groups[0], shown))
    if compare:
        _comparison(figure.add_subplot(grid[3]), groups, flavours)
    return figure


def _title(group: Group, shown: Sequence[ReplayResult]) -> str:
    drawn = min(len(shown), _MOST_WINDOWS)
    some = f", first {drawn} of {len(shown)} windows" if drawn < len(shown) else ""
    over = sum(result.over_budget for result in shown[:drawn])
    kept = f"OVER in {over} of {drawn} window{'s' if drawn > 1 else ''}" if over else "held"
    return (
        f"{shown[0].trace}{some}\n"
        f"policy {group.policy}, mean error at most {plain(group.max_error_pct)} % over {group.window}: {kept}"
    )


def _course(
    carbon: Axes, split: Axes, error: Axes, results: Sequence[ReplayResult], flavours: Sequence[Flavour]
) -> None:
    """The windows one after another; a mean error begins anew with each."""
    for place, result in enumerate(results):
        series = series_of(result, flavours)
        days = series.edges_s / 86400.0
        first = place == 0
        carbon.stairs(series.carbon, days, baseline=None, color="#444444")
        for row, flavour in enumerate(flavours):
            split.stairs(
                series.cumulative_pct[row + 1],
                days,
                baseline=series.cumulative_pct[row],
                fill=True,
                color=_COLOURS[row % len(_COLOURS)],
                label=_label(f"{flavour.name} ({100.0 * flavour.error:.4g} % error)") if first else None,
            )
        error.plot(
            days[1:], series.running_error_pct, color="#D55E00", label="served, since it began" if first else None
        )
        promise = [result.max_error_pct] * 2
        error.plot(days[[0, -1]], promise, "--", color="black", linewidth=1, label="promised" if first else None)
        if not first:
            for axis in (carbon, split, error):
                axis.axvline(days[0], color="#888888", linewidth=0.8)
    carbon.set(ylabel="actual carbon\ng CO2e/kWh", xlim=(results[0].start_s / 86400.0, days[-1]), ylim=(0, None))
    split.set(ylabel="share of requests, %", ylim=(0, 100))
    error.set(ylabel="mean error of\nthe window, %", xlabel="time, UTC", ylim=(0, None))
    error.xaxis_date("UTC")
    for axis in (split, error):
        # Above the panel: inside, it would cover some of the day.
        axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, frameon=False, borderaxespad=0.2)


def _comparison(axis: Axes, groups: Sequence[Group], flavours: Sequence[Flavour]) -> None:
    """Saving against error, means over the windows: what lies above the line of constant mixes came from carbon."""
    policies = list(dict.fromkeys(group.policy for group in groups))
    bounds = _bounds(groups)
    named: set[str] = set()
    right, savings = max(promise for promise, _ in bounds), [bound for _, bound in bounds if bound is not None]
    for group in groups:
        error = group.mean(error_of).value
        saving = group.mean(lambda result: result.saving_vs_always_best_pct).value
        if error is None or saving is None:
            continue
        label = None if group.policy in named else _label(group.policy)
        axis.plot([error], [saving], label=label, **_marker(policies.index(group.policy)))
        named.add(group.policy)
        right = max(right, error)
        savings.append(saving)
    for place, (promise, bound) in enumerate(bounds):
        axis.axvline(promise, color="black", linewidth=0.8, linestyle="--", label=None if place else "promised")
        if bound is not None:
            axis.plot([promise], [bound], "k_", markersize=14, label=None if place else "clairvoyant bound")
    right = right * 1.05 or 1.0
    errors, mixes = blind_mix_curve(flavours)
    axis.plot(errors, mixes, color="#888888", linewidth=1, zorder=0, label="carbon-blind mix")
    # The line goes on to the worst flavour; what nobody served need not squeeze what somebody did.
    low, high = min([0.0, *savings]), max([float(np.interp(right, errors, mixes)), *savings])
    room = 0.06 * (high - low) or 1.0
    axis.set(xlim=(-0.03 * right, right), ylim=(low - room, high + room))
    axis.set(xlabel="mean error, % (mean over the windows)", ylabel="saving vs always best, %")
    axis.set_title("above the grey line: what looking at carbon brought; along it: lower quality", fontsize="medium")
    axis.grid(color="#dddddd", linewidth=0.6)
    axis.legend(loc="lower right", ncols=2)


def _marker(place: int) -> dict[str, Any]:
    return {
        "linestyle": "none",
        "marker": _MARKERS[place % len(_MARKERS)],
        "color": _COLOURS[place % len(_COLOURS)],
        "markeredgecolor": "black",
        "markeredgewidth": 0.6,
    }


def _bounds(groups: Sequence[Group]) -> list[tuple[float, float | None]]:
    """Each promise with what the clairvoyant would have saved, for the first policy that made it."""
    bounds: dict[float, float | None] = {}
    for group in groups:
        if group.max_error_pct not in bounds:
            bounds[group.max_error_pct] = group.mean(clairvoyant_saving).value
    return sorted(bounds.items())


def _label(name: str) -> str:
    """Matplotlib leaves labels that begin with an underscore out of the legend."""
    return f" {name}" if name.startswith("_") else name
