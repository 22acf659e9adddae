"""Results to report: recorded days through real policies, and single ones bent to be broken, empty or hostile."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from controlplane.report import SourceNote, report_page
from scheduler import Flavour, ReplayResult, parse_flavours, parse_trace, replay, settings_for

DATA = Path(__file__).parents[1] / "scheduler" / "data"
SOURCE = SourceNote(
    name="two days",
    kind="average, direct, Great Britain",
    origin="GB Carbon Intensity API",
    licence="CC BY 4.0",
    lead="near zero",
    notes=("requests are synthetic",),
)


def flavours() -> tuple[Flavour, ...]:
    return parse_flavours((DATA / "flavours_paper.csv").read_text(), name="flavours_paper.csv")


@functools.cache
def results() -> tuple[ReplayResult, ...]:
    """Three policies, two promises, two days."""
    return tuple(
        result
        for policy in ("optimal", "carbon-blind", "always-cheapest")
        for percent in (2.0, 4.0)
        for name in ("camel_m03", "stable_m06")
        for result in _replayed(name, percent, policy)
    )


def _replayed(name: str, percent: float, policy: str) -> tuple[ReplayResult, ...]:
    trace = parse_trace((DATA / f"{name}.csv").read_text(), name=f"{name}.csv")
    return replay(trace, flavours(), settings=settings_for(trace, max_error=percent / 100.0, policy=policy))


def one(**changes: object) -> ReplayResult:
    """The first day, changed."""
    return dataclasses.replace(results()[0], **changes)


def page(*chosen: ReplayResult, **changes: object) -> str:
    given: dict[str, object] = {
        "sources": [SOURCE],
        "command": "carbonrouter replay",
        "made_at": None,
        "version": "1.2",
    }
    given |= changes
    return report_page(chosen or results(), given.pop("flavours", flavours()), **given)
