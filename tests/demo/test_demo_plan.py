"""What the demo plays: days, their windows, and where an outage lies in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controlplane.demo import browser
from controlplane.demo.plan import DAY_S, DemoPlan, aligned, days_of, window_length_s
from controlplane.demo.view import title_of
from controlplane.traces import read_trace
from scheduler import Trace, TraceError

EXAMPLES = Path(__file__).parents[2] / "examples"
DAY = EXAMPLES / "demo" / "day.csv"
WEEKS = EXAMPLES / "weeks" / "gb_2023-01-01_20days.csv"


@pytest.fixture(scope="module")
def day() -> Trace:
    return read_trace(DAY)


@pytest.fixture(scope="module")
def weeks() -> Trace:
    return read_trace(WEEKS)


def plan_of(trace: Trace) -> DemoPlan:
    return DemoPlan(
        trace=trace, trace_path=DAY, speed=900, requests_per_slot=100, max_error_pct=4, numbers=1000, demand_path=DAY
    )


def cut(trace: Trace, first: int, count: int) -> Trace:
    """Some slots of a trace without requests."""
    assert trace.carbon_forecast is not None
    return replace(
        trace,
        start_s=trace.start_s + first * trace.slot_s,
        carbon_actual=trace.carbon_actual[first : first + count],
        carbon_forecast=trace.carbon_forecast[first : first + count],
        requests_actual=None,
        requests_forecast=None,
    )


def test_one_day_is_one_window(day: Trace) -> None:
    plan = plan_of(day)
    assert plan.windows == [(day.start_s, day.start_s + DAY_S)]
    assert plan.requests_between(*plan.windows[0]) == sum(plan.requests)
    assert title_of(plan) == "one recorded day"


def test_several_days_have_a_window_each_and_the_requests_of_one_day(day: Trace, weeks: Trace) -> None:
    plan = plan_of(days_of(weeks, first_s=weeks.start_s + 5 * DAY_S, count=3, requests=day))
    assert [start_s - weeks.start_s for start_s, _ in plan.windows] == [5 * DAY_S, 6 * DAY_S, 7 * DAY_S]
    assert plan.windows[-1][1] == plan.end_s
    assert plan.trace.carbon_actual.tolist() == weeks.carbon_actual[5 * 48 : 8 * 48].tolist()
    a_day = plan_of(day).requests
    assert plan.requests == a_day * 3
    assert [plan.requests_between(*window) for window in plan.windows] == [sum(a_day)] * 3
    assert plan.window_of(plan.start_s - 1) == plan.windows[0]
    assert plan.window_of(plan.start_s + 1.5 * DAY_S) == plan.windows[1]
    assert plan.window_of(plan.end_s) == plan.windows[2]
    assert title_of(plan) == "3 recorded days"


@pytest.mark.parametrize(
    ("first", "count", "length_s", "fits"),
    [
        (0, 48, DAY_S, True),
        (0, 96, DAY_S, True),
        (48, 48 * 7, DAY_S, True),
        (0, 24, DAY_S / 2, True),
        (24, 24, DAY_S / 2, True),
        (12, 24, DAY_S / 2, False),
        (24, 48, DAY_S, False),
        (0, 72, 1.5 * DAY_S, False),
    ],
)
def test_windows_are_days_or_the_whole_trace(weeks: Trace, first: int, count: int, length_s: float, fits: bool) -> None:
    trace = cut(weeks, first, count)
    assert window_length_s(trace) == length_s
    assert aligned(trace) == fits


def test_days_outside_the_recording_are_refused(day: Trace, weeks: Trace) -> None:
    with pytest.raises(TraceError, match="no 3 days"):
        days_of(weeks, first_s=weeks.start_s + 18 * DAY_S, count=3, requests=day)
    with pytest.raises(TraceError, match="no 1 days"):
        days_of(weeks, first_s=weeks.start_s - DAY_S, count=1, requests=day)
    with pytest.raises(TraceError, match="is no day"):
        days_of(weeks, first_s=weeks.start_s, count=1, requests=weeks)


def test_no_browser_is_opened_where_nobody_sits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not browser.can_show()
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("webbrowser.get", object)
    assert browser.can_show()
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    assert not browser.can_show()
