"""What is played: recordings by whole days, patterns, what is known when, and how wrong forecasts are."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.carbon import FileSource
from controlplane.carbonsim import SLOT_S, AnchoredClock, Tape, pattern_named, pattern_names, read_pattern, recorded
from controlplane.carbonsim.noise import KEPT, Noise
from controlplane.carbonsim.provider import Provider
from scheduler import TraceError
from scheduler.scenarios import scenario_names
from tests.carbonsim.sim import DAY, HALF_HOUR, NOON_S, StillClock, trace
from tests.support.properties import deterministic

FIRST = int(DAY.timestamp() // SLOT_S)
NOW = int(NOON_S // SLOT_S)
REFERENCE = {"rising", "peak", "falling", "low", "volatile", "stable", "extreme-peak", "extreme-clean", "fast-test"}


@pytest.mark.parametrize("days", [0.5, 1, 1.75, 2])
async def test_a_recording_repeats_as_the_file_source_does(tmp_path, days):
    made = trace(days)
    path = tmp_path / "made.csv"
    lines = [
        f"{(DAY + place * HALF_HOUR).isoformat()},{made.carbon_actual[place]},{made.carbon_forecast[place]}"
        for place in range(made.carbon_actual.size)
    ]
    path.write_text("time,carbon_actual_g_per_kwh,carbon_forecast_g_per_kwh\n" + "\n".join(lines))
    for distance_s in (-3600, 5 * 86_400 - 3 * 3600, -40 * 86_400 - 3600):
        series = await FileSource(path, repeat=True).fetch(now_s=NOON_S + distance_s)
        provider = Provider(recorded(made), clock=StillClock(NOON_S + distance_s))
        known = provider.known(int(series.start_s // SLOT_S), series.forecast_g_per_kwh.size)
        np.testing.assert_array_equal(known.forecast, series.forecast_g_per_kwh)
        np.testing.assert_array_equal(known.actual, series.actual_g_per_kwh)


def test_longer_slots_are_held_and_shorter_ones_averaged():
    assert recorded(trace(1, slot_s=3600.0)).forecast[:4].tolist() == [300, 300, 301, 301]
    assert recorded(trace(1, slot_s=900.0)).forecast[:2].tolist() == [300.5, 302.5]


@pytest.mark.parametrize(
    "unfit", [trace(1, slot_s=2700.0), trace(1, slot_s=700.0), trace(1, start=DAY + HALF_HOUR / 2)]
)
def test_slots_that_do_not_fit_half_hours(unfit):
    with pytest.raises(TraceError, match="half"):
        recorded(unfit)


@deterministic
@given(st.integers(-(10**6), 10**6), st.integers(1, 700))
def test_times_of_day_meet_their_own(first, count):
    tape = recorded(trace(2))
    forecast, _ = tape.at(np.arange(first, first + count))
    assert ((forecast - 300) % 48 == (np.arange(first, first + count) - FIRST) % 48).all()


def test_the_future_has_no_actual_values():
    known = Provider(recorded(trace()), clock=StillClock()).known(NOW - 2, 4)
    assert known.forecast.tolist() == [322, 323, 324, 325]
    assert known.actual[:2].tolist() == [122, 123]
    assert np.isnan(known.actual[2:]).all()  # neither of the slot that is going on nor of the next


def test_what_nobody_observed_is_unknown():
    made = trace()
    tape = recorded(type(made)(**{name: getattr(made, name) for name in made.__slots__} | {"unseen_carbon": {3}}))
    assert np.flatnonzero(np.isnan(tape.actual)).tolist() == [3]


# Patterns


def test_the_reference_and_the_built_in_scenarios_are_there():
    assert set(pattern_names()) == {*REFERENCE, *scenario_names()}


def test_a_pattern_repeats_or_holds_its_ends():
    slots = np.arange(FIRST - 1, FIRST + 12)
    rising, _ = pattern_named("rising").tape(first_slot=FIRST).at(slots)
    assert rising.tolist() == [350, 120, 150, 180, 220, 280, 320, 350, 120, 150, 180, 220, 280]
    peak, _ = pattern_named("extreme_peak").tape(first_slot=FIRST).at(slots)
    assert peak.tolist() == [150, 150, 200, 350, 450, 500, 480, 420, 350, 280, 200, 200, 200]


def test_a_short_slot_of_a_scenario_becomes_a_half_hour():
    tape = pattern_named("carbon-scenario").tape(first_slot=FIRST)
    assert tape.forecast[:9].tolist() == [40, 45, 50, 55, 60, 65, 70, 80, 120]


def test_a_change_leaves_the_past_alone():
    clock = StillClock()
    provider = Provider(recorded(trace()), clock=clock)
    before = provider.known(NOW - 10, 10)
    provider.play(pattern_named("low").tape(first_slot=NOW))
    assert provider.known(NOW, 3).forecast.tolist() == [50, 45, 40]
    clock.time_s += 2 * SLOT_S
    provider.restart()
    known = provider.known(NOW - 10, 14)
    np.testing.assert_array_equal(known.actual[:10], before.actual)
    assert known.forecast[10:].tolist() == [50, 45, 50, 45]
    assert known.actual[10:12].tolist() == [50, 45]


def test_a_recording_cannot_begin_anew():
    with pytest.raises(ValueError, match="times of day"):
        Provider(recorded(trace()), clock=StillClock()).restart()


@pytest.mark.parametrize(
    ("content", "values", "repeat"),
    [([80, 120.5], [80, 120.5], True), ({"pattern": [1, 2], "repeat": False}, [1, 2], False)],
)
def test_a_pattern_from_a_file(tmp_path, content, values, repeat):
    path = tmp_path / "pattern.json"
    path.write_text(json.dumps(content))
    found = read_pattern(path)
    assert (list(found.values), found.repeat) == (values, repeat)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("nonsense", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "1 to 10000 values"),
        ('["1"]', "no number"),
        ("[true]", "no number"),
        ("[NaN]", "no number"),
        ("[-1]", "no number"),
        ("[" + "9" * 400 + "]", "no number"),
        ("[1, 2" + ", 1" * 10_000 + "]", "1 to 10000 values"),
        ('{"pattern": 3}', "list of numbers"),
        ('{"pattern": [1], "repeat": 1}', "list of numbers"),
        ("[1]" + " " * 1_000_000, "larger than"),
    ],
)
def test_what_is_no_pattern(tmp_path, content, complaint):
    path = tmp_path / "pattern.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=complaint) as raised:
        read_pattern(path)
    assert str(path) in str(raised.value)


# Noise


@deterministic
@given(st.integers(-(10**5), 10**5), st.integers(-2000, 2000), st.integers(1, 300), st.integers(0, 2**40))
def test_an_error_depends_on_seed_issue_and_target_only(issue, lead, count, seed):
    noise = Noise(pct=10.0, seed=seed)
    errors = noise.errors(first=issue + lead, count=count, issue=issue)
    assert errors.shape == (count,)
    one_by_one = [noise.errors(first=issue + lead + place, count=1, issue=issue)[0] for place in (0, count - 1)]
    np.testing.assert_allclose(errors[[0, -1]], one_by_one, atol=1e-6)


def test_errors_grow_with_the_lead_to_the_percentage_asked_for():
    issues = np.arange(4000)
    errors = np.array([Noise(pct=10.0, seed=3).errors(first=int(at), count=97, issue=int(at)) for at in issues])
    for lead in (0, 8, 96):
        expected = 0.10 * np.sqrt(1 - KEPT ** (2 * (lead + 1)))
        assert errors[:, lead].std() == pytest.approx(expected, rel=0.1)
    assert abs(errors.mean()) < 0.01


def test_successive_forecasts_differ_by_one_shock():
    noise = Noise(pct=10.0, seed=3)
    older, newer = (noise.errors(first=101, count=50, issue=issue) for issue in (100, 101))
    difference = older - newer
    np.testing.assert_allclose(difference[1:], KEPT * difference[:-1], atol=1e-12)
    assert abs(difference[0]) > 0


def test_of_the_past_the_forecast_stays():
    noise = Noise(pct=10.0, seed=3)
    np.testing.assert_array_equal(
        noise.errors(first=0, count=50, issue=49), noise.errors(first=0, count=50, issue=5000)
    )


def test_no_noise_is_none():
    assert not Noise().errors(first=0, count=96, issue=0).any()


def test_forecasts_do_not_become_negative():
    tape = Tape(name="low", first_slot=0, forecast=np.full(48, 5.0), actual=np.full(48, 5.0))
    known = Provider(tape, clock=StillClock(), noise=Noise(pct=100.0)).known(NOW, 672)
    assert known.forecast.min() == 0.0
    assert known.forecast.max() > 5.0


# Clock


def test_clocks_with_the_same_anchor_agree(monkeypatch):
    wall_s = 1_000_000.0
    monkeypatch.setattr("time.time", lambda: wall_s)
    early = AnchoredClock(start_s=NOON_S, speed=900.0, anchor_s=999_990.0)
    wall_s += 5.0
    late = AnchoredClock(start_s=NOON_S, speed=900.0, anchor_s=999_990.0)
    assert early.now_s() == late.now_s() == NOON_S + 900 * 15.0


def test_a_clock_stays_within_the_time_that_can_be_written():
    assert AnchoredClock(start_s=NOON_S, speed=1e9, anchor_s=0.0).now_s() == AnchoredClock(start_s=1e12).now_s()
    assert AnchoredClock(start_s=-5e9).now_s() == 0.0


@pytest.mark.parametrize(
    "numbers", [{"speed": 0.0}, {"speed": -1.0}, {"speed": float("nan")}, {"start_s": float("inf")}]
)
def test_a_clock_that_cannot_be(numbers):
    with pytest.raises(ValueError, match="clock"):
        AnchoredClock(**{"start_s": NOON_S} | numbers)


async def test_sleeping_is_as_fast_as_the_clock():
    clock = AnchoredClock(start_s=NOON_S, speed=1e6)
    await clock.sleep(1000.0)
    assert clock.now_s() >= NOON_S + 1000.0
