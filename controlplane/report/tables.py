"""The rows of the page's tables: every figure ready to be shown, in the unit of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from controlplane.report import numbers
from controlplane.report.numbers import GramUnit, Number
from controlplane.report.summary import Group, error_of, excess_points, verdict
from scheduler import Flavour, ReplayResult
from scheduler.hull import off_hull

MOST_WINDOWS = 1000
MOST_BROKEN = 50
_MOST_NAMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one window, or the windows of one group together, promised, delivered and emitted.

    For a group the errors and percentages are means over its windows, masses and requests sums; `broken` of
    `windows` broke the promise. `deferral` is requests deferred, deadlines missed and the share of the gain.
    """

    policy: str
    window: str
    lead: str
    promise: str
    trace: str
    start: str
    end: str
    verdict: str
    windows: int
    broken: int
    carried: Number
    granted: Number
    error: Number
    excess: Number | None
    requests: Number
    emitted: Number
    always_best: Number
    blind_mix: Number
    clairvoyant: Number
    saving: Number
    gain: Number
    gap: Number
    deferral: tuple[Number, Number, Number]


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The single windows of one group; `left_out` of them are not among the rows."""

    row: Row
    rows: tuple[Row, ...]
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlavourRow:
    """One flavour; `energy_pct` is relative to the flavour of least error, `off_hull` says that no plan uses it."""

    name: str
    error: str
    energy: str
    energy_pct: Number
    off_hull: bool


def group_row(group: Group, *, unit: GramUnit) -> Row:
    """The group in one row; its excess is that of the worst broken window."""
    worst = group.broken[0] if group.broken else None
    return _row(group.results, group=group, unit=unit, worst=worst)


def broken_rows(groups: Sequence[Group], *, unit: GramUnit) -> tuple[Row, ...]:
    """Every broken promise, the worst first."""
    broken = sorted(
        ((group, result) for group in groups for result in group.broken),
        key=lambda pair: excess_points(pair[1]),
        reverse=True,
    )
    return tuple(_row((result,), group=group, unit=unit, worst=result) for group, result in broken)


def window_tables(groups: Sequence[Group], *, unit: GramUnit) -> tuple[Windows, ...]:
    """The windows of each group, as many as a page can hold: broken promises before others, in their order."""
    room = max(1, MOST_WINDOWS // len(groups))
    tables = []
    for group in groups:
        kept = sorted(range(len(group.results)), key=lambda place: not group.results[place].over_budget)[:room]
        shown = [group.results[place] for place in sorted(kept)]
        rows = (_row((each,), group=group, unit=unit, worst=each if each.over_budget else None) for each in shown)
        left_out = len(group.results) - len(shown)
        tables.append(Windows(row=group_row(group, unit=unit), rows=tuple(rows), left_out=left_out))
    return tuple(tables)


def flavour_rows(flavours: Sequence[Flavour]) -> tuple[FlavourRow, ...]:
    """The flavours by rising error."""
    unused = off_hull(flavours)
    ordered = sorted(flavours, key=lambda flavour: (flavour.error, flavour.energy_j))
    best = ordered[0].energy_j
    return tuple(
        FlavourRow(
            name=flavour.name,
            error=numbers.plain(100.0 * flavour.error),
            energy=numbers.plain(flavour.energy_j),
            energy_pct=numbers.relative(100.0 * flavour.energy_j / best if best > 0.0 else None),
            off_hull=flavour.name in unused,
        )
        for flavour in ordered
    )


def notes_of(results: Sequence[ReplayResult]) -> tuple[tuple[str, str], ...]:
    """Each note of the replays with the traces it is about."""
    traces: dict[str, dict[str, None]] = {}
    for result in results:
        for note in result.notes:
            traces.setdefault(note, {})[result.trace] = None
    return tuple((note, _named(tuple(names))) for note, names in traces.items())


def moment(iso: str) -> str:
    """An ISO 8601 time in UTC as people read it; anything else as it is."""
    return iso[: -len(":00Z")].replace("T", " ") if iso.endswith(":00Z") else iso


def _named(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _row(results: tuple[ReplayResult, ...], *, group: Group, unit: GramUnit, worst: ReplayResult | None) -> Row:
    windows = Group(
        policy=group.policy,
        window=group.window,
        max_error_pct=group.max_error_pct,
        lead=group.lead,
        results=results,
    )
    return Row(
        policy=group.policy,
        window=group.window,
        lead=group.lead,
        promise=numbers.plain(group.max_error_pct),
        trace=results[0].trace,
        start=moment(results[0].window_start),
        end=moment(results[-1].window_end),
        verdict=verdict(worst or max(results, key=excess_points)),
        windows=len(results),
        broken=len(windows.broken),
        carried=_mean(windows, lambda each: each.carried_pct, numbers.granted),
        granted=_mean(windows, lambda each: each.granted_pct, numbers.granted),
        error=_mean(windows, error_of, numbers.error),
        excess=None if worst is None else numbers.error(excess_points(worst)),
        requests=numbers.amount(windows.total(lambda each: each.requests)),
        emitted=unit.number(windows.total(lambda each: each.grams)),
        always_best=unit.number(windows.total(lambda each: each.always_best_g)),
        blind_mix=unit.number(windows.total(lambda each: each.carbon_blind_mix_g)),
        clairvoyant=unit.number(windows.total(lambda each: each.clairvoyant_g)),
        saving=_mean(windows, lambda each: each.saving_vs_always_best_pct, numbers.saved),
        gain=_mean(windows, lambda each: each.gain_vs_blind_mix_pct, numbers.saved),
        gap=_mean(windows, lambda each: each.gap_to_clairvoyant_pct, numbers.above_bound),
        deferral=(
            numbers.amount(windows.total(lambda each: each.deferred_requests)),
            numbers.amount(windows.total(lambda each: each.deadlines_missed)),
            _realised(windows),
        ),
    )


def _realised(windows: Group) -> Number:
    mean = windows.mean(lambda each: each.realised_deferral_gain_pct)
    missed = any(each.deadlines_missed for each in windows.results)
    why = numbers.WAITED_TOO_LONG if missed else numbers.NO_WAITING_GAIN
    return numbers.realised(mean.value, mean.remark, missing=why)


def _mean(
    windows: Group, figure: Callable[[ReplayResult], float | None], shown: Callable[[float | None, str], Number]
) -> Number:
    mean = windows.mean(figure)
    return shown(mean.value, mean.remark)
