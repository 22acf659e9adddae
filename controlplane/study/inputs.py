"""From what a person typed to a study: files read, names checked, and errors that say what would be right."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from controlplane.config.fields import duration
from controlplane.config.promise import Budget
from controlplane.study.study import Study
from controlplane.traces import read_text, read_trace
from scheduler import BudgetWindow, Flavour, Trace, TraceError, parse_flavours, policy_named, policy_names
from scheduler.issues import ForecastIssues, parse_issues
from scheduler.replay import PROCESSING, WHOLE, Deferral
from scheduler.scenarios import REFERENCE_FLAVOURS, scenario, scenario_names
from scheduler.trace import join

_ALL = "all"
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_LONGEST_S = 366 * 86400.0


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
        window=_window(inputs),
        window_name=inputs.window,
        guard=guard,
        seed=inputs.seed,
        lead_s=None if inputs.lead is None else _seconds("--lead", inputs.lead),
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
        return Deferral(share=float(share), wait_s=_seconds("--defer", hours), processing=processing)
    except ValueError as error:
        raise TraceError(f"--defer: {text!r} is not SHARE:HOURS, such as 0.3:6 ({error})") from error


def _percent(option: str, value: float) -> float:
    if not 0.0 <= value <= 100.0:
        raise TraceError(f"{option}: {value:g} is not between 0 and 100")
    return value / 100.0


def _window(inputs: StudyInputs) -> BudgetWindow:
    """The window as it would be configured for a service, or all of the trace."""
    carry_over_pct = 100.0 * _percent("--carry-over-pct", inputs.carry_over_pct)
    if inputs.window == _ALL:
        return replace(WHOLE, kind="rolling" if inputs.rolling else "calendar", carry_over=carry_over_pct / 100.0)
    if inputs.rolling and inputs.window == "month":
        raise TraceError("--rolling: a rolling window needs a length, such as 30d")
    try:
        budget = Budget.model_validate(
            {
                "max_error_pct": 0.0,
                "window": inputs.window,
                "rolling": inputs.rolling,
                "carry_over_pct": carry_over_pct,
            }
        )
    except ValidationError as error:
        raise TraceError(
            f"--window: {inputs.window!r} is neither all, nor month, nor a length from 1h to 31d, such as 7d"
        ) from error
    return budget.budget_window()


def _seconds(option: str, text: str) -> float:
    """A time as in the configuration; a bare number is hours."""
    try:
        seconds = duration(f"{text}h" if _NUMBER.fullmatch(text.strip()) else text)
    except ValueError:
        seconds = math.inf
    if seconds > _LONGEST_S:
        raise TraceError(f"{option}: {text!r} is not a time of up to a year, such as 48h, 90m or 7d")
    return seconds
