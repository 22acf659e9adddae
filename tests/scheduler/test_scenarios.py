"""The reference's scenarios: what is in the package, and how it comes out as a trace."""

import numpy as np
import pytest

from scheduler.scenarios import START_S, demand_names, scenario, scenario_names


def test_all_scenarios_are_there():
    assert scenario_names() == (
        "carbon-scenario",
        "carbon-scenario-autoscaling",
        "coal-heavy-winter",
        "grid-emergency",
        "renewable-paradise",
        "solar-heavy-summer",
        "uk-daily-pattern",
        "wind-heavy",
    )
    assert demand_names() == ("demand-scenario",)


@pytest.mark.parametrize(
    ("name", "slots", "slot_s", "mean", "ends"),
    [
        ("carbon-scenario", 40, 15.0, 152.375, (40.0, 300.0)),  # printed by its authors as 152.4
        ("carbon-scenario-autoscaling", 120, 5.0, 164.917, (280.0, 78.0)),
        ("coal-heavy-winter", 24, 1800.0, 337.083, (200.0, 190.0)),
        ("grid-emergency", 24, 1800.0, 347.083, (150.0, 160.0)),
        ("renewable-paradise", 24, 1800.0, 12.708, (25.0, 25.0)),
        ("solar-heavy-summer", 24, 1800.0, 73.25, (120.0, 125.0)),
        ("uk-daily-pattern", 24, 1800.0, 148.542, (45.0, 60.0)),
        ("wind-heavy", 24, 1800.0, 55.625, (50.0, 60.0)),
    ],
)
def test_a_scenario_has_its_own_slots(name, slots, slot_s, mean, ends):
    trace = scenario(name)
    assert (trace.name, trace.start_s, trace.slot_s) == (name, START_S, slot_s)
    assert trace.carbon_actual.shape == (slots,)
    assert trace.carbon_actual.mean() == pytest.approx(mean, abs=5e-4)
    assert (trace.carbon_actual[0], trace.carbon_actual[-1]) == ends


def test_a_scenario_is_its_own_forecast_and_demands_nothing():
    trace = scenario("uk-daily-pattern")
    assert trace.carbon_forecast is not trace.carbon_actual
    assert (trace.carbon_forecast == trace.carbon_actual).all()
    assert trace.requests_actual is None
    assert trace.requests_forecast is None


def test_changing_a_trace_changes_no_other():
    scenario("wind-heavy").carbon_actual[:] = 0.0
    assert scenario("wind-heavy").carbon_actual[0] == 50.0


def test_a_pattern_repeats():
    once, thrice = scenario("wind-heavy"), scenario("wind-heavy", repeat=3)
    assert (thrice.carbon_actual == np.tile(once.carbon_actual, 3)).all()
    assert thrice.slot_s == once.slot_s


def test_demand_goes_round_over_all_slots():
    trace = scenario("carbon_scenario", repeat=2, demand="demand_scenario")
    assert trace.name == "carbon-scenario"
    assert trace.requests_actual.shape == (80,)
    assert trace.requests_actual[[0, 13, 33, 40, 41, 54]].tolist() == [10.0, 45.0, 100.0, 6.0, 10.0, 45.0]
    assert (trace.requests_forecast == trace.requests_actual).all()


def test_unknown_names_are_told_the_known_ones():
    with pytest.raises(ValueError, match=r"'nope'.*carbon-scenario, .*wind-heavy"):
        scenario("nope")
    with pytest.raises(ValueError, match=r"demand pattern.*'nope'.*demand-scenario"):
        scenario("wind-heavy", demand="nope")
    with pytest.raises(ValueError, match="at least once"):
        scenario("wind-heavy", repeat=0)
