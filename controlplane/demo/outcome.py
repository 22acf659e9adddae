"""What the days came to: a table to read, data to compute with, a picture to look at."""

from __future__ import annotations

import math
import statistics
from typing import Any, NamedTuple

from rich.table import Table

from controlplane.accounting import SlotRecord
from controlplane.demo.aftermath import aftermath_of
from controlplane.demo.days import DayOutcome
from controlplane.demo.load import Tally
from controlplane.demo.run import DemoOutcome
from controlplane.demo.view import title_of
from controlplane.views import iso, summary_view
from scheduler import over_budget


def outcome_dict(outcome: DemoOutcome) -> dict[str, Any]:
    """Everything the table shows, and each slot, JSON-safe."""
    tally, plan = outcome.tally, outcome.plan
    return {
        "trace": plan.trace_path.name,
        "max_error_pct": plan.max_error_pct,
        "budget_held": budget_held(outcome),
        "split": split_distance(outcome.slots)._asdict(),
        "client": {
            "sent": tally.sent,
            "answered": tally.answered,
            "failed": tally.failed,
            "failures": tally.failures,
            "by_flavour": dict(tally.totals()),
        },
        "flavours": [
            {"name": each.flavour, "precision_pct": each.precision_pct, "energy_j": each.energy_j}
            for each in outcome.backends
        ],
        "proxy": summary_view(outcome.summary),
        "by_reported_energy": summary_view(outcome.by_reported_energy),
        "kept_up": kept_up(outcome),
        "days": [
            {
                "start": iso(day.books.start_s),
                "end": iso(day.books.end_s),
                "requests": day.books.requests,
                "error_requests": day.books.error_requests,
                "granted": day.books.granted,
                "held": held(day, outcome),
                "proxy": summary_view(day.summary),
            }
            for day in outcome.days
        ],
        "outage": None if (aftermath := aftermath_of(outcome)) is None else aftermath.to_dict(),
        "slots": [
            {
                "time": iso(start_s),
                "carbon_g_per_kwh": record.carbon,
                "commanded": record.command(),
                "served": record.served,
            }
            for start_s, record in outcome.slots
        ],
    }


class SplitDistance(NamedTuple):
    """Which part of all requests another flavour answered than commanded, 0-1, and what chance alone would give."""

    measured: float
    by_chance: float


def split_distance(slots: list[tuple[float, SlotRecord]]) -> SplitDistance:
    """Slot by slot, half the sum over flavours of |served - commanded|, as a part of all requests.

    Proxies draw a flavour for each request, so a binomial deviation remains: on average sqrt(2 n p (1 - p) / pi) for a
    flavour of share p in a slot of n requests.
    """
    total = differing = expected = 0.0
    for _, record in slots:
        count = sum(record.served.values())
        command = record.command()
        total += count
        for name in record.served.keys() | command.keys():
            share = command.get(name, 0.0)
            differing += abs(record.served.get(name, 0.0) - count * share) / 2
            expected += math.sqrt(2 * count * share * (1 - share) / math.pi) / 2
    return SplitDistance(differing / total, expected / total) if total else SplitDistance(0.0, 0.0)


def kept_up(outcome: DemoOutcome) -> bool:
    """Whether this machine could serve the day at this speed; if not, the figures say little about anything else."""
    slot_s = outcome.plan.trace.slot_s / outcome.plan.speed
    latencies = sorted(outcome.tally.latencies_s)
    slow = bool(latencies) and latencies[int(0.99 * (len(latencies) - 1))] > slot_s / 2
    return not (slow or outcome.tally.failed)


def budget_held(outcome: DemoOutcome) -> bool:
    """Whether each day's mean error stayed within the promise."""
    return all(held(day, outcome) for day in outcome.days)


def held(day: DayOutcome, outcome: DemoOutcome) -> bool:
    """Whether one day's did."""
    error = day.summary.mean_error
    return error is None or not over_budget(error, outcome.plan.max_error_pct / 100)


def outcome_table(outcome: DemoOutcome) -> Table:
    """The honest table: what was served beside what would have been, on the same requests."""
    summary, plan, tally = outcome.summary, outcome.plan, outcome.tally
    table = Table(
        title=f"{title_of(plan).capitalize()}: {plan.trace_path.name}", title_justify="left", show_header=False
    )
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column()
    table.add_row(
        "requests answered", f"{summary.requests:,.0f}", f"by the proxy's count; the client: {_client(tally)}"
    )
    table.add_row("failed", f"{tally.failed}", _latency(tally))
    for backend in outcome.backends:
        count = summary.served.get(backend.flavour, 0.0)
        share = 100 * count / summary.requests if summary.requests else 0.0
        told = summary.metered_j_per_request.get(backend.flavour)
        report = f"; answers reported {1000 * told:.1f} mJ" if told is not None else ""
        planned = f"planned with {1000 * backend.energy_j:.1f} mJ"
        note = f"{share:4.1f} %, precision {backend.precision_pct:g} %, {planned}{report}"
        table.add_row(f"  {backend.flavour}", f"{count:,.0f}", note)
    split = split_distance(outcome.slots)
    chance = f"of requests answered otherwise than commanded; chance alone gives {100 * split.by_chance:.2f} %"
    table.add_row("split", f"{100 * split.measured:.2f} %", chance)
    error = "-" if summary.mean_error is None else f"{100 * summary.mean_error:.3f} %"
    each = "" if len(outcome.days) == 1 else " on each day"
    kept = f"held{each}" if budget_held(outcome) else "EXCEEDED"
    table.add_row("mean error", error, f"budget {plan.max_error_pct:g} %: {kept}", end_section=True)
    table.add_row("emitted", _grams(summary.grams), "requests x energy x actual carbon intensity")
    table.add_row("always best", _grams(summary.always_best_g), _less(summary.saving_vs_always_best_pct))
    table.add_row(
        "carbon-blind mix",
        _grams(summary.carbon_blind_mix_g),
        f"same mean error; {_less(summary.gain_vs_blind_mix_pct)}",
    )
    gap = summary.gap_to_clairvoyant_pct
    above = "" if gap is None else f"least possible within the budget; we are {gap:.1f} % above"
    table.add_row("clairvoyant", _grams(summary.clairvoyant_g), above)
    reported = outcome.by_reported_energy
    table.add_row(
        "by reported energy",
        _grams(reported.grams),
        f"{_less(reported.saving_vs_always_best_pct)} than always best, "
        f"{_less(reported.gain_vs_blind_mix_pct)} than the mix",
    )
    if len(outcome.days) > 1:
        _add_days(table, outcome)
    if (aftermath := aftermath_of(outcome)) is not None:
        table.add_section()
        for row in aftermath.rows():
            table.add_row(*row)
    table.caption = (
        "Energy: modelled, CPU seconds x 10 W. Carbon: the intensity recorded in the trace.\n"
        "The gain over the carbon-blind mix is what looking at carbon brought; the rest of the saving is lower quality."
    )
    table.caption_justify = "left"
    return table


def _add_days(table: Table, outcome: DemoOutcome) -> None:
    """Each day's error budget and savings."""
    table.add_section()
    for day in outcome.days:
        books, summary = day.books, day.summary
        used = f"{100 * books.error_requests / books.granted:.1f} %" if books.granted else "-"
        saved, gained = _less(summary.saving_vs_always_best_pct), _less(summary.gain_vs_blind_mix_pct)
        kept = "held" if held(day, outcome) else "EXCEEDED"
        table.add_row(iso(books.start_s)[:10], used, f"of its budget: {kept}; {saved} than best, {gained} than the mix")


def _client(tally: Tally) -> str:
    return f"{tally.answered:,} of {tally.sent:,}"


def _latency(tally: Tally) -> str:
    if len(tally.latencies_s) < 2:
        return ""
    cuts = statistics.quantiles(tally.latencies_s, n=100)
    return f"latency p50 {1000 * cuts[49]:.1f} ms, p99 {1000 * cuts[98]:.1f} ms"


def _grams(grams: float) -> str:
    return f"{1000 * grams:.3f} mg"


def _less(percent: float | None) -> str:
    if percent is None:
        return ""
    return f"{percent:.1f} % less" if percent >= 0 else f"{-percent:.1f} % MORE"
