"""A replay as one HTML page that needs nothing else: no script, no font, no picture, no request."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from controlplane.report.chart import Course, comparison, course
from controlplane.report.numbers import GramUnit, plain
from controlplane.report.sources import SourceNote
from controlplane.report.summary import Group, checked, groups_of
from controlplane.report.tables import (
    MOST_BROKEN,
    broken_rows,
    flavour_rows,
    group_row,
    moment,
    notes_of,
    window_tables,
)
from scheduler import Flavour, ReplayResult

MOST_COURSES = 6
_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


def report_page(  # noqa: PLR0913 - what was found, and what a reader must know to trust it
    results: Sequence[ReplayResult],
    flavours: Sequence[Flavour],
    *,
    sources: Sequence[SourceNote],
    command: str,
    made_at: datetime | None,
    version: str,
) -> str:
    """Return the page, the same for the same input.

    `flavours` are those the results were made with; `made_at` without a zone is taken for UTC. Percentages are
    rounded against us and carry their exact value in `<data value>`. Raises ValueError without results, or when
    they were made with another number of flavours.
    """
    chosen = checked(results, flavours)
    groups = groups_of(chosen)
    unit = GramUnit.fitting(result.always_best_g for result in chosen)
    broken = broken_rows(groups, unit=unit)
    page = (
        _environment()
        .get_template("template.html")
        .render(
            unit=unit.name,
            windows=len(chosen),
            traces=len({result.trace for result in chosen}),
            summary=[group_row(group, unit=unit) for group in groups],
            broken=broken[:MOST_BROKEN],
            broken_count=len(broken),
            comparison=comparison(groups, flavours),
            courses=_courses(groups, flavours),
            names=[flavour.name for flavour in flavours],
            tables=window_tables(groups, unit=unit),
            varied=len({(group.window, group.lead) for group in groups}) > 1,
            defers=any(group.defers for group in groups),
            carries=any(group.carries for group in groups),
            below_bound=any((result.gap_to_clairvoyant_pct or 0.0) < -1e-9 for result in chosen),
            rolling=any("rolling" in group.window for group in groups),
            flavours=flavour_rows(flavours),
            sources=sources,
            leads=list(dict.fromkeys(group.lead for group in groups)),
            notes=notes_of(chosen),
            command=command,
            made_at=None if made_at is None else _utc(made_at).isoformat(timespec="seconds"),
            version=version,
        )
    )
    # A file name may hold bytes that are no text; they must not keep the page from being written.
    return page.encode("utf-8", "replace").decode("utf-8")


def _courses(groups: Sequence[Group], flavours: Sequence[Flavour]) -> list[tuple[ReplayResult, Course]]:
    """One window of each of the first groups: the worst broken one, or the first."""
    chosen = [(group.broken or group.results)[0] for group in groups[:MOST_COURSES]]
    return [(result, course(result, flavours)) for result in chosen]


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@functools.cache
def _environment() -> Environment:
    # What autoescape does not cover: controls that no HTML document may hold.
    environment = Environment(
        loader=PackageLoader("controlplane", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(plain=plain, moment=moment)
    return environment


def _printable(value: object) -> object:
    return value.translate(_CONTROLS) if isinstance(value, str) and not isinstance(value, Markup) else value
