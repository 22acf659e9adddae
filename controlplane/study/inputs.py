"""From what a person typed to a study: files read, names checked, and errors that say what would be right."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from controlplane.study.study import Study
from controlplane.traces import read_text, read_trace
from scheduler import Flavour, Trace, TraceError, parse_flavours, policy_named, policy_names
from scheduler.issues import ForecastIssues, parse_issues
from scheduler.replay import PROCESSING, WINDOWS, Deferral
from scheduler.scenarios import REFERENCE_FLAVOURS, scenario, scenario_names
from scheduler.trace import join

_ALL = "all"
_HOURS = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(m|h|d)?")
_IN_HOURS = {"m": 1 / 60, "h": 1.0, "d": 24.0, None: 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyInputs:
    """The options of `carbonrouter replay` as they were given."""

    max_error_pct: tuple[float, ...]
    traces: tuple[Path, ...]
    flavours: Path | None
    policies: tuple[str, ...]
    window: str
    rolling: bool
    carry_over_pct: float
    join: bool
    lead: str | None
    forecasts: Path | None
    defer: str | None
    processing: str
    scenarios: tuple[str, ...]
    guard_pct: float | None
    seed: int


def read_study(inputs: StudyInputs) -> Study:
    """Read the files and check the options.

    Raises:
        TraceError: a file or an option cannot be used; the message names it.
    """
    errors = [_percent("--max-error-pct", value) for value in inputs.max_error_pct]
    guard = None if inputs.guard_pct is None else _percent("--guard-pct", inputs.guard_pct)
    if inputs.window != _ALL and inputs.window not in WINDOWS:
        raise TraceError(f"--window: {inputs.window!r} is none of {', '.join(WINDOWS)} and all")
    if inputs.processing not in PROCESSING:
        raise TraceError(f"--processing: {inputs.processing!r} is none of {', '.join(PROCESSING)}")
    if inputs.rolling and inputs.carry_over_pct:
        raise TraceError("--carry-over-pct: a rolling window carries everything over already")
    if inputs.lead is not None and inputs.forecasts is not None:
        raise TraceError("--lead: forecasts as they were issued have their own lead; give only one of the two")
    if inputs.join and inputs.forecasts is not None:
        raise TraceError("--join: joined traces have other times than the forecasts that were issued for them")
    return Study(
        traces=_traces(inputs),
        flavours=_flavours(inputs),
        max_errors=tuple(errors),
        policies=_policies(inputs.policies),
        window=inputs.window,
        rolling=inputs.rolling,
        carry_over=_percent("--carry-over-pct", inputs.carry_over_pct),
        guard=guard,
        seed=inputs.seed,
        lead_s=None if inputs.lead is None else 3600.0 * _hours("--lead", inputs.lead),
        issues=None if inputs.forecasts is None else _issues(inputs.forecasts),
        deferral=None if inputs.defer is None else _deferral(inputs.defer, processing=inputs.processing),
    )


def _traces(inputs: StudyInputs) -> tuple[Trace, ...]:
    names = scenario_names() if _ALL in inputs.scenarios else inputs.scenarios
    if not (inputs.traces or names):
        raise TraceError("nothing to replay: name at least one trace, or a --scenario")
    try:
        scenarios = [scenario(name) for name in names]
    except ValueError as error:
        raise TraceError(f"--scenario: {error}") from error
    traces = (*(read_trace(path) for path in inputs.traces), *scenarios)
    if not inputs.join or len(traces) == 1:
        return traces
    return (join(traces, name=f"{traces[0].name} and {len(traces) - 1} more"),)


def _flavours(inputs: StudyInputs) -> tuple[Flavour, ...]:
    if inputs.flavours is not None:
        return parse_flavours(read_text(inputs.flavours), name=str(inputs.flavours))
    if inputs.traces:
        raise TraceError("--flavours is missing: a CSV with flavour, error_pct and energy_j")
    return REFERENCE_FLAVOURS


def _policies(names: tuple[str, ...]) -> tuple[str, ...]:
    if _ALL in names:
        return tuple(name for name in policy_names() if name != "p100")  # the other name of always-best
    for name in names:
        try:
            policy_named(name)
        except ValueError as error:
            raise TraceError(f"--policy: {error}") from error
    return names


def _issues(path: Path) -> ForecastIssues:
    return parse_issues(read_text(path), name=str(path))


def _deferral(text: str, *, processing: str) -> Deferral:
    share, _, hours = text.partition(":")
    try:
        return Deferral(share=float(share), wait_s=3600.0 * _hours("--defer", hours), processing=processing)
    except ValueError as error:
        raise TraceError(f"--defer: {text!r} is not SHARE:HOURS, such as 0.3:6 ({error})") from error


def _percent(option: str, value: float) -> float:
    if not 0.0 <= value <= 100.0:
        raise TraceError(f"{option}: {value:g} is not between 0 and 100")
    return value / 100.0


def _hours(option: str, text: str) -> float:
    match = _HOURS.fullmatch(text.strip())
    hours = float(match[1]) * _IN_HOURS[match[2]] if match else 0.0
    if match is None or hours > 24 * 366:
        raise TraceError(f"{option}: {text!r} is not a time such as 48h, 90m or 7d")
    return hours
