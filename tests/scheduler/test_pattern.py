"""Demand learned from counts: what is learned, how well it foresees, and what it survives."""

import json
import math
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.pattern import HISTORY, DemandPattern, bucket_of
from scheduler.season import BUCKET_S, DAY, WEEK

MONDAY_S = 1_700_438_400.0
HOUR_S = 3600.0
EXAMPLES = Path(__file__).parents[2] / "examples" / "days"


def weekly(*, seed=0, days=28, scale=100.0, weekend=0.5, night=False):
    """Rates (days x DAY,) of a daily sine with a drop at the weekend, from a Monday on, and Poisson counts of them."""
    bucket = np.arange(days * DAY)
    rate = scale * (1.0 + 0.6 * np.sin(2.0 * np.pi * (bucket % DAY - 20) / DAY))
    rate = np.where(bucket // DAY % 7 >= 5, weekend * rate, rate)
    if night:
        rate[(bucket % DAY < 12) | (bucket % DAY >= 42)] = 0.0
    return rate, np.random.default_rng(seed).poisson(rate).astype(float)


def learn(counts, *, pattern=None, start_s=MONDAY_S):
    pattern = pattern or DemandPattern()
    for at, count in enumerate(counts):
        if np.isfinite(count):
            since_s = start_s + at * BUCKET_S
            pattern = pattern.observe(count, since_s=since_s, until_s=since_s + BUCKET_S)
    return pattern


def ahead_of(counts):
    """Foresee each bucket a day ahead (n, 4): learned, at the observed level, as yesterday, as last week."""
    result = np.full((counts.size, 4), np.nan)
    pattern, seen, seen_n = DemandPattern(), 0.0, 0.0
    for at in range(counts.size - DAY):
        if np.isfinite(counts[at]):
            pattern = learn(counts[at : at + 1], pattern=pattern, start_s=MONDAY_S + at * BUCKET_S)
            seen, seen_n = seen * math.exp(-1 / DAY) + counts[at], seen_n * math.exp(-1 / DAY) + 1.0
        to = at + DAY
        learned = pattern.expected(start_s=MONDAY_S + to * BUCKET_S, slot_s=BUCKET_S, count=1)
        level = seen / seen_n
        yesterday = counts[at] if np.isfinite(counts[at]) else level
        week = counts[to - WEEK] if to >= WEEK and np.isfinite(counts[to - WEEK]) else yesterday
        result[to] = (np.nan if learned is None else learned[0], level, yesterday, week)
    return result


def wape(counts, foreseen):
    both = np.isfinite(counts) & np.isfinite(foreseen).all(axis=1)
    return np.abs(counts[both, None] - foreseen[both]).sum(axis=0) / counts[both].sum()


def recorded(kind):
    """Requests of six recorded days, set one after another as if Monday to Saturday."""
    days = [np.genfromtxt(EXAMPLES / f"{kind}_m0{number}.csv", delimiter=",", skip_header=1) for number in range(1, 7)]
    return np.concatenate([table[:, 3] for table in days])


def rough_weeks():
    """A burst of 20 x in each of three weeks, a gap of six hours, and twice the demand from the third week on."""
    _, counts = weekly()
    counts[20 * DAY + 17 :] *= 2.0
    counts[[100, 500, 900]] *= 20.0
    counts[800:812] = np.nan
    return counts


CASES = {
    "camel": (recorded("camel"), (0.08, 0.5, 1.0, 1.0)),
    "stable": (recorded("stable"), (0.065, 1.03, 0.85, 0.85)),
    "weekly": (weekly()[1], (0.14, 0.35, 0.6, 0.95)),
    "tiny": (weekly(scale=3.0)[1], (0.56, 0.85, 0.8, 0.8)),
    "huge": (weekly(scale=1e6)[1], (0.06, 0.2, 0.4, 1.35)),
    "night": (weekly(night=True)[1], (0.14, 0.2, 0.6, 0.95)),
    "rough": (rough_weeks(), (0.21, 0.45, 0.7, 0.7)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_day_ahead_it_beats_the_level_yesterday_and_last_week(name):
    counts, (most, of_level, of_yesterday, of_week) = CASES[name]
    learned, level, yesterday, week = wape(counts, ahead_of(counts))
    print(f"{name}: WAPE {learned:.3f}, level {level:.3f}, yesterday {yesterday:.3f}, last week {week:.3f}")
    assert learned < most
    assert learned < of_level * level
    assert learned < of_yesterday * yesterday
    assert learned < of_week * week


def test_after_two_weeks_it_is_close_to_the_truth():
    rate, counts = weekly(days=21)
    expected = learn(counts[: 14 * DAY]).expected(start_s=MONDAY_S + 14 * 86400, slot_s=BUCKET_S, count=WEEK)
    assert np.abs(expected - rate[14 * DAY :]).sum() < 0.06 * rate[14 * DAY :].sum()


def test_nothing_before_an_hour_then_the_level_then_the_time_of_day():
    rate, counts = weekly(days=3, scale=1000.0)
    assert learn(counts[:1]).expected(start_s=MONDAY_S, slot_s=HOUR_S, count=3) is None
    assert learn(counts[:2]).error is None
    level = learn(counts[:4]).expected(start_s=MONDAY_S, slot_s=HOUR_S, count=24)
    assert np.ptp(level) < 1e-6
    assert level[0] == pytest.approx(2 * rate[:4].mean(), rel=0.1)
    day_two = learn(counts[: 2 * DAY]).expected(start_s=MONDAY_S + 2 * 86400, slot_s=BUCKET_S, count=DAY)
    assert day_two == pytest.approx(rate[2 * DAY :], rel=0.1)


def test_a_burst_does_not_become_a_habit():
    rate, counts = weekly(days=15)
    counts[14 * DAY - 30] *= 20.0
    expected = learn(counts[: 14 * DAY]).expected(start_s=MONDAY_S + 14 * 86400, slot_s=BUCKET_S, count=DAY)
    assert np.abs(expected - rate[14 * DAY :]).sum() < 0.08 * rate[14 * DAY :].sum()


def test_bursts_of_every_day_at_no_hour_of_their_own_count_in_the_total():
    rng = np.random.default_rng(3)
    counts = np.zeros((14, DAY))
    counts[np.arange(14), rng.integers(0, DAY, 14)] = 1000.0
    week = learn(counts.ravel()).expected(start_s=MONDAY_S, slot_s=7 * 86400.0, count=1)
    assert week[0] == pytest.approx(7000.0, rel=0.2)


def test_a_weekend_that_begins_at_an_hour_of_another_zone_is_found():
    rate, counts = weekly(days=35)
    rate, counts = np.roll(rate, -16), np.roll(counts, -16)
    expected = learn(counts[: 28 * DAY]).expected(start_s=MONDAY_S + 28 * 86400, slot_s=BUCKET_S, count=WEEK)
    assert np.abs(expected - rate[28 * DAY :]).sum() < 0.1 * rate[28 * DAY :].sum()


@pytest.mark.parametrize("factor", [0.3, 2.0, 6.0])
def test_a_lasting_change_of_level_is_followed_within_hours(factor):
    rate, counts = weekly(days=16)
    changed = 14 * DAY + 16
    counts[changed:] *= factor
    expected = learn(counts[: changed + 12]).expected(
        start_s=MONDAY_S + (changed + 12) * BUCKET_S, slot_s=BUCKET_S, count=24
    )
    assert expected.sum() == pytest.approx(factor * rate[changed + 12 :][:24].sum(), rel=0.2)


def test_hours_without_reports_are_not_hours_without_demand():
    rate, counts = weekly(days=15)
    counts[13 * DAY + 20 : 13 * DAY + 32] = np.nan
    expected = learn(counts[: 14 * DAY]).expected(start_s=MONDAY_S + 14 * 86400, slot_s=BUCKET_S, count=DAY)
    assert np.abs(expected - rate[14 * DAY :]).sum() < 0.08 * rate[14 * DAY :].sum()


def test_a_bucket_covered_in_part_counts_by_its_rate_and_hardly_covered_not_at_all():
    pattern = learn([100.0, 100.0, 100.0])
    at_s = MONDAY_S + 3 * BUCKET_S
    half = pattern.observe(60.0, since_s=at_s, until_s=at_s + 0.6 * BUCKET_S)
    little = pattern.observe(1.0, since_s=at_s, until_s=at_s + 0.1 * BUCKET_S)
    for part in (half, little):
        later = part.observe(100.0, since_s=at_s + BUCKET_S, until_s=at_s + 2 * BUCKET_S)
        assert later.expected(start_s=at_s, slot_s=BUCKET_S, count=1) == pytest.approx([100.0], rel=0.01)


def test_a_service_that_is_never_asked_is_expected_to_stay_so():
    pattern = learn(np.zeros(3 * DAY))
    assert pattern.expected(start_s=MONDAY_S, slot_s=HOUR_S, count=24).sum() == 0.0
    assert (pattern.error, pattern.bias, pattern.worst) == (0.0, None, 0.0)
    assert learn([50.0] * 4, pattern=pattern, start_s=MONDAY_S + 3 * 86400).worst == 1.0


def test_its_own_error_is_that_of_forecasts_a_day_ahead():
    _, counts = weekly(days=28)
    pattern = learn(counts)
    learned = wape(counts[-WEEK:], ahead_of(counts)[-WEEK:])[0]
    assert pattern.error == pytest.approx(learned, rel=0.25)
    assert pattern.bias == pytest.approx(1.0, abs=0.03)
    assert pattern.error < pattern.worst <= 1.0
    assert pattern.worst_day < 0.1


def test_a_doubling_shows_in_error_bias_and_deviation():
    pattern = learn(np.concatenate((np.full(5 * DAY, 100.0), np.full(12, 250.0))))
    assert pattern.bias > 1.05
    assert pattern.worst == 1.0
    assert pattern.worst_day > 0.2


def test_slots_of_any_length_and_start_add_up():
    pattern = learn(weekly(days=15)[1])
    whole = pattern.expected(start_s=MONDAY_S + 777.0, slot_s=14 * 86400.0, count=1)
    parts = pattern.expected(start_s=MONDAY_S + 777.0, slot_s=420.0, count=14 * 86400 // 420)
    assert parts.shape == (2880,)
    assert parts.sum() == pytest.approx(whole[0], rel=1e-9)
    assert pattern.expected(start_s=MONDAY_S, slot_s=60.0, count=0).shape == (0,)


JUMPS = [-1e12, -3e8, -2 * 86400.0, -HOUR_S, 20 * 86400.0, 3e8, 1e12]


@pytest.mark.parametrize("jump_s", JUMPS)
@pytest.mark.parametrize("bridged", [True, False])
def test_a_clock_that_jumps_costs_neither_time_nor_what_was_learned(jump_s, bridged):
    rate, counts = weekly(days=14)
    pattern, end_s = learn(counts), MONDAY_S + 14 * 86400.0
    if bridged:
        pattern = pattern.observe(5.0, since_s=end_s, until_s=end_s + jump_s)
    start_s = math.floor((end_s + jump_s) / (WEEK * BUCKET_S)) * WEEK * BUCKET_S + MONDAY_S % (WEEK * BUCKET_S)
    begin_s = start_s if jump_s < -86400 or jump_s > 86400 else end_s
    pattern = learn(counts[:DAY], pattern=pattern, start_s=begin_s)
    assert pattern.bucket == bucket_of(begin_s) + DAY
    expected = pattern.expected(start_s=begin_s + 86400, slot_s=BUCKET_S, count=DAY)
    assert expected == pytest.approx(rate[DAY : 2 * DAY], rel=0.25)


def test_late_reports_are_left_out_and_proxies_may_report_in_turn():
    pattern = learn([100.0, 100.0])
    assert pattern.observe(900.0, since_s=MONDAY_S, until_s=MONDAY_S + HOUR_S - 1.0) == pattern
    now_s = MONDAY_S + HOUR_S
    for _ in range(2):
        pattern = pattern.observe(30.0, since_s=now_s, until_s=now_s + 1200.0)
    pattern = pattern.observe(30.0, since_s=now_s + 1200.0, until_s=now_s + 1200.0)
    assert (pattern.requests, pattern.covered_s) == (90.0, 1200.0)


@pytest.mark.parametrize("bad", [(-1.0, 0.0, 1.0), (math.nan, 0.0, 1.0), (1.0, -math.inf, 1.0), (1.0, 0.0, math.inf)])
def test_what_is_no_report_is_refused(bad):
    with pytest.raises(ValueError, match="cannot observe"):
        DemandPattern().observe(bad[0], since_s=bad[1], until_s=bad[2])


@settings(max_examples=60, deadline=None)
@given(
    requests=st.floats(0.0, 1e6),
    span_s=st.floats(1.0, 80_000.0),
    start_s=st.floats(-1e9, 4e9),
    cuts=st.lists(st.floats(0.0, 1.0), max_size=6),
)
def test_a_report_in_parts_teaches_the_same(requests, span_s, start_s, cuts):
    edges = [start_s, *sorted(start_s + cut * span_s for cut in cuts), start_s + span_s]
    whole = DemandPattern().observe(requests, since_s=start_s, until_s=edges[-1])
    parts = DemandPattern()
    for since_s, until_s in pairwise(edges):
        if until_s > since_s:
            share = requests * (until_s - since_s) / (edges[-1] - start_s)
            parts = parts.observe(share, since_s=since_s, until_s=until_s)
    assert (parts.bucket, len(parts.history)) == (whole.bucket, len(whole.history))
    assert np.allclose(parts.history, whole.history, atol=1.0)  # thousandths
    assert parts.requests == pytest.approx(whole.requests, rel=1e-6, abs=1e-6 * requests + 1e-9)
    assert parts.covered_s == pytest.approx(whole.covered_s, abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(
    reports=st.lists(
        st.tuples(
            st.one_of(st.floats(0.0, 1e3), st.floats(0.0, 1e300)),
            st.one_of(st.floats(-9e4, 9e4), st.floats(-1e12, 1e12)),
            st.one_of(st.floats(0.0, 9e4), st.just(0.0), st.floats(-1e4, 1e12)),
        ),
        max_size=12,
    ),
    slot_s=st.floats(1.0, 1e7),
)
def test_whatever_is_reported_expectations_are_finite_and_the_state_survives(reports, slot_s):
    pattern, now_s = DemandPattern(), MONDAY_S
    for requests, gap_s, span_s in reports:
        pattern = pattern.observe(requests, since_s=now_s + gap_s, until_s=now_s + gap_s + span_s)
        now_s = max(-1e13, min(1e13, now_s + gap_s + span_s))
    expected = pattern.expected(start_s=now_s, slot_s=slot_s, count=20)
    assert expected is None or (np.isfinite(expected).all() and (expected >= 0.0).all())
    figures = [getattr(pattern, field.name) for field in fields(pattern) if field.type == "float"]
    figures += [pattern.error, pattern.bias]
    assert len(figures) > 8
    assert all(math.isfinite(figure) and figure >= 0 for figure in figures if figure is not None)
    assert DemandPattern.from_dict(json.loads(json.dumps(pattern.to_dict()))) == pattern


def test_the_state_stays_small():
    pattern = learn(np.random.default_rng(1).uniform(0.0, 1e15, 29 * DAY))
    assert len(pattern.history) == HISTORY
    assert len(json.dumps(pattern.to_dict())) < 16_384


@pytest.mark.parametrize(
    "change",
    [
        {"bucket": 1.5},
        {"bucket": None},
        {"bucket": True},
        {"requests": -1.0},
        {"covered_s": 1801.0},
        {"history": [1.0]},
        {"history": [-2]},
        {"history": [10**6]},
        {"history": [1] * (HISTORY + 1)},
        {"foreseen": [-1]},
        {"foreseen": [1] * (DAY + 1)},
        {"worst": 1.5},
        {"until_s": math.inf},
        {"actual": "1"},
        {"surplus": 0},
    ],
)
def test_damaged_state_is_refused(change):
    data = learn([100.0] * 6).to_dict()
    with pytest.raises(ValueError, match="demand"):
        DemandPattern.from_dict({**data, **change})
