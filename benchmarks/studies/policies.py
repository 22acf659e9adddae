"""Nine policies x four budgets on the twelve days, and the reference's own scenario."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.studies.data import BUDGETS, days, flavours, mean
from controlplane.study_inputs import REFERENCE_FLAVOURS
from scheduler import policy_names, replay, settings_for
from scheduler.scenarios import scenario


def main(console: Console) -> None:
    """Print both tables."""
    names = [name for name in policy_names() if name != "p100"]
    table = Table("policy", "budget %", "error %", "gap %", "vs best %", "vs mix %", "over", title="12 days")
    for name in names:
        for budget in BUDGETS:
            results = [
                replay(trace, flavours(), settings=settings_for(trace, max_error=budget, policy=name))[0]
                for trace in days()
            ]
            table.add_row(
                name,
                f"{100 * budget:g}",
                f"{mean([each.mean_error_pct for each in results]):.3f}",
                f"{mean([each.gap_to_clairvoyant_pct for each in results]):.3f}",
                f"{mean([each.saving_vs_always_best_pct for each in results]):.2f}",
                f"{mean([each.gain_vs_blind_mix_pct for each in results]):.2f}",
                f"{sum(each.over_budget for each in results)} of {len(results)}",
            )
        table.add_section()
    console.print(table)
    table = Table(
        "policy", "precision", "vs best %", "vs mix %", "gap %", "over", title="carbon-scenario, precision 0.85"
    )
    for name in names:
        trace = scenario("carbon-scenario")
        [result] = replay(trace, REFERENCE_FLAVOURS, settings=settings_for(trace, max_error=0.15, policy=name))
        table.add_row(
            name,
            f"{1 - result.mean_error_pct / 100:.4f}",
            f"{result.saving_vs_always_best_pct:.2f}",
            f"{result.gain_vs_blind_mix_pct:.2f}",
            f"{result.gap_to_clairvoyant_pct:.2f}",
            "OVER" if result.over_budget else "-",
        )
    console.print(table)
