"""A picture of the days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from controlplane.demo.run import DemoOutcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours: distinguishable with any colour vision, and in print.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")


def draw(outcome: DemoOutcome, path: Path) -> None:
    """Write a PNG: carbon above, commanded and measured split, the error budget below, on one time axis in UTC."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second that only this needs

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of backend
    from matplotlib.ticker import MultipleLocator  # noqa: PLC0415

    figure, axes = plt.subplots(3, 1, figsize=(10, 8.5), sharex=True, height_ratios=(1, 1.4, 1), layout="constrained")
    start_s, end_s = outcome.plan.start_s, outcome.plan.end_s
    edges = [(slot_start_s - start_s) / 3600 for slot_start_s in (*(each for each, _ in outcome.slots), end_s)]
    _carbon(axes[0], outcome, edges)
    _split(axes[1], outcome, edges)
    _budget(axes[2], outcome, edges)
    axes[2].set_xlim(0, edges[-1])
    axes[2].xaxis.set_major_locator(MultipleLocator(3 if len(outcome.days) == 1 else 12))
    _outage(axes, outcome)
    first = f"{datetime.fromtimestamp(start_s, UTC):%Y-%m-%d}"
    axes[2].set_xlabel(f"hour of {first}, UTC" if len(outcome.days) == 1 else f"hours from the start of {first}, UTC")
    gain = outcome.summary.gain_vs_blind_mix_pct
    saving = outcome.summary.saving_vs_always_best_pct
    if gain is not None and saving is not None:
        figure.suptitle(
            f"carbonrouter, mean error at most {outcome.plan.max_error_pct:g} %: {_less(saving)} than always best,\n"
            f"{_less(gain)} than the carbon-blind mix of equal quality (energy modelled)"
        )
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _outage(axes: Sequence[Axes], outcome: DemoOutcome) -> None:
    if (outage := outcome.plan.outage) is None:
        return
    hours = [(moment_s - outcome.plan.start_s) / 3600 for moment_s in (outage.start_s, outage.end_s)]
    for axis in axes:
        axis.axvspan(hours[0], hours[1], color="#888888", alpha=0.2, linewidth=0, zorder=0)


def _carbon(axis: Axes, outcome: DemoOutcome, edges: list[float]) -> None:
    for name, values, style in (
        ("actual", [record.carbon_actual for _, record in outcome.slots], "-"),
        ("forecast", [record.carbon_forecast for _, record in outcome.slots], "--"),
    ):
        known = [np.nan if value is None else value for value in values]
        axis.stairs(known, edges, baseline=None, color="#444444", linestyle=style, label=name)
    axis.set_ylabel("carbon intensity\ng CO2e/kWh")
    axis.set_ylim(bottom=0)
    _legend(axis)


def _split(axis: Axes, outcome: DemoOutcome, edges: list[float]) -> None:
    names = [backend.flavour for backend in outcome.backends]
    records = [record for _, record in outcome.slots]
    measured = _stacked([[record.split().get(name, 0.0) for name in names] for record in records])
    commanded = _stacked([[record.command().get(name, 0.0) for name in names] for record in records])
    for place, name in enumerate(names):
        colour = _COLOURS[place % len(_COLOURS)]
        axis.stairs(
            measured[place + 1], edges, baseline=measured[place], fill=True, color=colour, alpha=0.85, label=name
        )
    for place in range(len(names) - 1):
        label = "commanded" if place == 0 else None
        axis.stairs(commanded[place + 1], edges, baseline=None, color="black", linewidth=1.4, label=label)
    axis.set_ylabel("share of requests, %\n(filled: measured)")
    axis.set_ylim(0, 100)
    _legend(axis)


def _stacked(shares: list[list[float]]) -> list[list[float]]:
    """Cumulative percentages: row 0 is zero, row k the sum of the first k flavours, one column per slot."""
    table = 100 * np.cumsum(np.array(shares).T, axis=0)
    return [[0.0] * len(shares), *table.tolist()]


def _budget(axis: Axes, outcome: DemoOutcome, edges: list[float]) -> None:
    errors = {backend.flavour: 1 - backend.precision_pct / 100 for backend in outcome.backends}
    done = 0
    for place, day in enumerate(outcome.days):
        records = [record for _, record in day.slots]
        spent = np.cumsum([0.0, *(sum(errors.get(n, 0.0) * c for n, c in each.served.items()) for each in records)])
        served = np.cumsum([0.0, *(sum(each.served.values()) for each in records)])
        whole = served[-1] * outcome.plan.max_error_pct / 100
        hours = edges[done : done + len(records) + 1]
        done += len(records)
        if whole <= 0:
            continue
        labels = ("spent", "share of the day's requests") if place == 0 else (None, None)
        axis.plot(hours, 100 * spent / whole, color="#D55E00", label=labels[0])
        axis.plot(hours, 100 * served / served[-1], ":", color="#444444", label=labels[1])
    axis.axhline(100, color="black", linewidth=1)
    axis.set_ylabel("error budget of the day, %")
    axis.set_ylim(0, 108)
    _legend(axis)


def _legend(axis: Axes) -> None:
    """Above the panel: inside, it would cover some of the day."""
    axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=5, frameon=False, borderaxespad=0.2)


def _less(percent: float) -> str:
    return f"{percent:.1f} % less" if percent >= 0 else f"{-percent:.1f} % MORE"
