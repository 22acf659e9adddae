"""Forecasts as issued: which was in force when, how many are kept, and the table they are written to."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.issues import ForecastIssues, Issue, parse_issues
from scheduler.table import TraceError

from .support import SLOT_S, START_S

HEADER = "issued,time,carbon_forecast_g_per_kwh\n"


def kept(*issues: tuple[float, list[float | None]], **limits: float) -> ForecastIssues:
    """An archive of (issued at slot, values from that slot on), kept in the given order."""
    archive = ForecastIssues(**limits)
    for slot, values in issues:
        archive = archive.keep(START_S + slot * SLOT_S, START_S + math.floor(slot) * SLOT_S, SLOT_S, values)
    return archive


def in_force(archive: ForecastIssues, slot: float) -> tuple[float | None, ...] | None:
    issue = archive.as_of(START_S + slot * SLOT_S)
    return None if issue is None else issue.values


def test_the_forecast_in_force_is_the_last_one_issued():
    archive = kept((2, [3.0, 4.0]), (0, [1.0, 2.0]))  # however they arrive
    assert in_force(archive, -0.1) is None
    assert in_force(archive, 0) == in_force(archive, 1.9) == (1.0, 2.0)
    assert in_force(archive, 2) == in_force(archive, 99) == (3.0, 4.0)


def test_what_was_said_before_is_not_kept_twice():
    archive = ForecastIssues()
    for issued in (0.0, 60.0, 120.0):
        archive = archive.keep(START_S + issued, START_S, SLOT_S, np.array([1.0, math.nan]))
    assert [issue.issued_s for issue in archive.issues] == [START_S]
    changed = archive.keep(START_S + 180.0, START_S, SLOT_S, [1.0, 5.0])
    back = changed.keep(START_S + 240.0, START_S, SLOT_S, [1.0, None])
    assert [issue.values[1] for issue in back.issues] == [None, 5.0, None]


def test_said_earlier_than_was_known_it_is_in_force_since_then():
    archive = ForecastIssues().keep(START_S + 60.0, START_S, SLOT_S, [1.0, 2.0])
    archive = archive.keep(START_S, START_S, SLOT_S, [1.0, 2.0])
    assert [issue.issued_s for issue in archive.issues] == [START_S]


def test_another_forecast_of_the_same_moment_replaces_the_first():
    archive = kept((0, [1.0, 2.0])).keep(START_S, START_S, SLOT_S, [7.0, 8.0])
    assert [issue.values for issue in archive.issues] == [(7.0, 8.0)]


def test_the_oldest_go_by_number_age_and_size_but_never_the_newest():
    many = [(slot, [float(slot), 0.0]) for slot in range(10)]
    assert [issue.values[0] for issue in kept(*many, most=3).issues] == [7.0, 8.0, 9.0]
    assert [issue.values[0] for issue in kept(*many, keep_s=2 * SLOT_S).issues] == [7.0, 8.0, 9.0]
    large = kept(*((slot, [float(slot)] * 4000) for slot in range(60)))
    assert sum(len(issue.values) for issue in large.issues) == 200_000
    assert large.issues[-1].values[0] == 59.0


AHEAD = 400 * 48
"""Slots of 400 days: as far off as a clock may be."""


def values_of(archive: ForecastIssues) -> list[float | None]:
    return [issue.values[0] for issue in archive.issues]


@pytest.mark.parametrize("wrong", [[AHEAD], [AHEAD, AHEAD + 1, AHEAD + 2]], ids=["once", "for a while"])
def test_a_clock_that_was_far_ahead_costs_nothing_that_was_kept_and_its_own_forecasts_go(wrong):
    good = [(slot, [float(slot), 0.0]) for slot in range(10)]
    archive = kept(*good, *((slot, [-1.0, float(slot)]) for slot in wrong))
    assert values_of(archive) == [*map(float, range(10)), *[-1.0] * len(wrong)]
    after = archive.keep(START_S + 10 * SLOT_S, START_S, SLOT_S, [10.0, 0.0])
    assert values_of(after) == [float(slot) for slot in range(11)]
    assert after.dropped == len(wrong)
    assert after.keep(START_S + 11 * SLOT_S, START_S, SLOT_S, [11.0, 0.0]).dropped == 0


def test_a_clock_that_starts_in_1970_costs_nothing_that_was_kept():
    good = [(slot, [float(slot), 0.0]) for slot in range(10)]
    archive = kept(*good).keep(60.0, 0.0, SLOT_S, [-1.0, -1.0])
    assert values_of(archive) == [-1.0, *map(float, range(10))]
    assert archive.as_of(60.0) == archive.issues[0]
    assert archive.dropped == 0


def test_what_is_being_kept_stays_whatever_is_full_and_the_wrong_clock_gives_way():
    ahead = kept(*((AHEAD + slot, [-1.0, float(slot)]) for slot in range(3)), most=3)
    for slot in range(3):
        ahead = ahead.keep(START_S + slot * SLOT_S, START_S, SLOT_S, [float(slot), 0.0])
        assert in_force(ahead, slot) == (float(slot), 0.0)
        assert len(ahead.issues) <= 3
    assert values_of(ahead) == [0.0, 1.0, 2.0]


def test_what_was_kept_before_a_long_outage_is_not_all_dropped_at_its_end():
    archive = kept(*((slot, [float(slot), 0.0]) for slot in (*range(5), AHEAD, AHEAD + 1)), keep_s=2 * SLOT_S)
    assert values_of(archive) == [3.0, 4.0, AHEAD, AHEAD + 1.0]


def test_how_many_were_dropped_at_once_is_told():
    archive = kept(*((slot, [float(slot), 0.0]) for slot in range(4)))
    assert archive.dropped == 0
    shorter = ForecastIssues(issues=archive.issues, keep_s=SLOT_S)
    assert shorter.keep(START_S + 4 * SLOT_S, START_S, SLOT_S, [4.0, 0.0]).dropped == 3


def test_a_moment_knows_only_what_was_issued_by_then_on_any_grid():
    archive = kept((0, [10.0, 20.0, None, 40.0]), (1, [21.0, 31.0]))
    known = archive.known_at(START_S + SLOT_S - 1.0, start_s=START_S - SLOT_S, slot_s=SLOT_S, count=6)
    assert np.array_equal(known, [math.nan, 10.0, 20.0, math.nan, 40.0, math.nan], equal_nan=True)
    later = archive.known_at(START_S + SLOT_S, start_s=START_S, slot_s=SLOT_S, count=4)
    assert np.array_equal(later, [math.nan, 21.0, 31.0, math.nan], equal_nan=True)
    finer = archive.known_at(START_S, start_s=START_S, slot_s=SLOT_S / 2, count=4)
    assert np.array_equal(finer, [10.0, 10.0, 20.0, 20.0])
    assert np.isnan(archive.known_at(START_S - 1.0, start_s=START_S, slot_s=SLOT_S, count=4)).all()


@pytest.mark.parametrize(
    ("archive", "slots"),
    [
        (kept((0, [1.0] * 8)), 8),
        (kept((-5, [1.0] * 8)), 3),
        (kept((4, [1.0, 2.0])), 2),
        (kept((0, [1.0, None, None]), (6, [2.0, 3.0])), 3),
        (kept((0, [None, None, None])), 0),
        (kept((-9, [1.0] * 9)), 0),
        (kept((8, [1.0] * 8)), 0),
        (kept().keep(START_S - SLOT_S, START_S + 20 * SLOT_S, SLOT_S, [1.0, 2.0]), 0),
        (kept(), 0),
    ],
)
def test_a_slot_has_a_forecast_where_one_in_force_reaches_it_or_a_later_one(archive, slots):
    assert archive.in_force(start_s=START_S, slot_s=SLOT_S, count=8) == slots


@pytest.mark.parametrize(
    "wrong",
    [
        {"issued_s": math.nan},
        {"start_s": -1.0},
        {"slot_s": 0.0},
        {"slot_s": math.inf},
        {"values": (1.0,)},
        {"values": (1.0, math.inf)},
        {"values": (1.0,) * 4001},
    ],
)
def test_a_forecast_that_cannot_be_is_refused(wrong):
    good = {"issued_s": START_S, "start_s": START_S, "slot_s": SLOT_S, "values": (1.0, 2.0)}
    Issue(**good)
    with pytest.raises(ValueError, match="a forecast needs"):
        Issue(**(good | wrong))


def test_limits_that_keep_nothing_are_refused():
    with pytest.raises(ValueError, match="keep_s"):
        ForecastIssues(keep_s=0.0)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 400),
            st.integers(-5, 5),
            st.sampled_from([300.0, 1800.0, 3600.0, 0.25]),
            st.lists(st.none() | st.floats(-1e6, 1e6), min_size=2, max_size=6),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_what_is_written_is_read_again(issues):
    archive = ForecastIssues()
    for minute, shift, slot_s, values in issues:
        archive = archive.keep(START_S + 60.0 * minute, START_S + 300.0 * shift, slot_s, values)
    assert parse_issues("".join(archive.to_csv()), name="issues.csv") == archive


def test_a_table_written_by_hand_is_read():
    archive = parse_issues(
        "\ufeffregion,time,issued,carbon_forecast_g_per_kwh\n"
        "GB,2023-01-01T00:30,2023-01-01T00:10:00Z,100\n"
        "GB,2023-01-01T01:00,2023-01-01T00:10:00Z,\n"
        "\n"
        "GB,2023-01-01T02:00+01:00,2023-01-01T01:40+01:00,90\n"
        "GB,2023-01-01T02:30+01:00,2023-01-01T01:40+01:00,80\n",
        name="issues.csv",
    )
    assert [issue.values for issue in archive.issues] == [(100.0, None), (90.0, 80.0)]
    assert archive.issues[1].issued_s - archive.issues[0].issued_s == 1800.0
    assert archive.issues[1].slot_s == 1800.0


def rows(*lines: str) -> str:
    return HEADER + "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", r"f\.csv: the file is empty"),
        (HEADER, r"f\.csv: no forecast in it"),
        ("issued,time\n", r"f\.csv:1: column carbon_forecast_g_per_kwh is missing"),
        ("issued,issued,time,carbon_forecast_g_per_kwh\n", r"f\.csv:1: column issued appears twice"),
        (rows("2023-01-01T00:00Z,2023-01-01T00:00Z"), r"f\.csv:2: 2 cells"),
        (rows("yesterday,2023-01-01T00:00Z,1"), r"f\.csv:2: column issued: 'yesterday' is not an ISO 8601 time"),
        (rows("2023-01-01T00:00Z,2023-01-01T00:00Z,1"), r"f\.csv:2: column time: a forecast needs at least two"),
        (
            rows("2023-01-01T00:00Z,2023-01-01T00:00Z,1", "2023-01-01T00:00Z,soon,1"),
            r"f\.csv:3: column time: 'soon' is not an ISO 8601 time",
        ),
        (
            rows("2023-01-01T00:00Z,2023-01-01T00:00Z,1", "2023-01-01T00:00Z,2023-01-01T00:30Z,many"),
            r"f\.csv:3: column carbon_forecast_g_per_kwh: 'many' is not a number",
        ),
        (
            rows("2023-01-01T00:00Z,2023-01-01T00:30Z,1", "2023-01-01T00:00Z,2023-01-01T00:30Z,1"),
            r"f\.csv:3: column time: .* does not come after",
        ),
        (
            rows(*(f"2023-01-01T00:00Z,2023-01-01T0{hour}Z,1" for hour in ("0:00", "0:30", "2:00"))),
            r"f\.csv:3: column time: .* is not 3600 s after",
        ),
        (
            rows(*(f"2023-01-0{day}T00:00Z,2023-01-01T0{hour}:00Z,1" for day in (2, 1) for hour in (0, 1))),
            r"f\.csv:4: column issued: it does not come after the forecast before",
        ),
        (
            rows(*(f"1950-01-01T00:00Z,2023-01-01T0{hour}:00Z,1" for hour in (0, 1))),
            r"f\.csv:2: column time: a forecast needs times from 1970",
        ),
    ],
)
def test_a_table_that_cannot_be_used_says_where_and_why(text, complaint):
    with pytest.raises(TraceError, match=complaint):
        parse_issues(text, name="f.csv")


def test_a_table_without_end_is_refused():
    endless = (f"2023-01-01T00:00Z,2023-01-01T00:{second:02d}Z,1\n" for second in [0] * 10**7)
    with pytest.raises(TraceError, match="more than"):
        parse_issues((line for lines in ([HEADER], endless) for line in lines), name="f.csv")
