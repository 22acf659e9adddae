"""Replays are causal, honest, and near the bound."""

import dataclasses
import json

import numpy as np
import pytest

from scheduler import BudgetWindow, Controller, TraceError, replay, settings_for
from scheduler.policies import LOOKAHEAD_SLOTS
from scheduler.replay import Deferral

from .support import day, paper_flavours


def run(trace, percent):
    [result] = replay(trace, paper_flavours(), settings=settings_for(trace, max_error=percent / 100))
    return result


@pytest.mark.parametrize("name", ["camel_m03", "stable_m06"])
@pytest.mark.parametrize("percent", [1, 2, 4, 8])
def test_a_day_ends_within_budget_and_near_the_bound(name, percent):
    result = run(day(name), percent)
    assert not result.over_budget
    assert result.mean_error_pct > 0.99 * percent
    assert 0.0 < result.gap_to_clairvoyant_pct < 1.0
    assert result.gain_vs_blind_mix_pct > 1.0
    json.dumps(result.to_dict(), allow_nan=False)


def test_the_future_does_not_change_the_past():
    trace = day("camel_m03")
    whole = run(trace, 2)
    carbon, requests = trace.carbon_actual.copy(), trace.requests_actual.copy()
    carbon[20:], requests[20:] = 500.0, 1.0
    other = run(dataclasses.replace(trace, carbon_actual=carbon, requests_actual=requests), 2)
    weights = [[decision.weights for decision in result.decisions] for result in (whole, other)]
    assert weights[0][:21] == weights[1][:21]
    assert weights[0] != weights[1]


def test_without_any_forecast_the_day_is_the_blind_mix():
    result = run(dataclasses.replace(day("stable_m06"), carbon_forecast=None), 2)
    assert result.gain_vs_blind_mix_pct == pytest.approx(0.0, abs=0.02)
    assert any("no carbon forecast" in note for note in result.notes)


def test_no_plan_of_the_rest_of_the_window_is_kept_behind_what_was_decided():
    for decision in run(day("stable_m06"), 2).decisions:
        assert decision.planned_weights.shape == (1, 3)
        assert decision.planned_weights.base is None


def test_a_trace_without_requests_has_constant_demand():
    result = run(dataclasses.replace(day("stable_m06"), requests_actual=None, requests_forecast=None), 2)
    assert np.ptp(result.served.sum(axis=1)) == pytest.approx(0.0, abs=1e-9)
    assert result.gap_to_clairvoyant_pct < 0.5


def test_a_slot_nobody_observed_is_served_and_judged_but_not_seen():
    trace = day("camel_m03")
    blind = dataclasses.replace(trace, unseen_carbon=frozenset({10}), unseen_requests=frozenset({10, 11}))
    result = run(blind, 2)
    assert not result.over_budget
    seen = run(trace, 2)
    assert result.requests == seen.requests
    left = [[d.reasons.budget_left_error_requests for d in r.decisions] for r in (result, seen)]
    assert left[0][:11] == left[1][:11]
    assert left[0][11] != left[1][11]


def test_a_day_without_traffic_has_no_percentages_to_boast_of():
    trace = day("camel_m03")
    result = run(dataclasses.replace(trace, requests_actual=np.zeros(48)), 2)
    assert (result.grams, result.mean_error_pct, result.over_budget) == (0.0, 0.0, False)
    assert result.gap_to_clairvoyant_pct == 0.0


def test_windows_that_cannot_be_replayed_are_refused_before_the_work():
    trace = day("camel_m03")
    for slot_s, told in ((2 * 86400.0, "shorter than a slot"), (1.0, "shorter window")):
        many = np.resize(trace.carbon_actual, 30_000)
        odd = dataclasses.replace(
            trace, slot_s=slot_s, carbon_actual=many, carbon_forecast=None, requests_actual=None, requests_forecast=None
        )
        with pytest.raises(TraceError, match=told):
            replay(odd, paper_flavours(), settings=settings_for(odd, max_error=0.02, window=BudgetWindow()))


def long_trace(days):
    trace = day("camel_m03")
    columns = ("carbon_actual", "carbon_forecast", "requests_actual", "requests_forecast")
    return dataclasses.replace(trace, **{name: np.tile(getattr(trace, name), days) for name in columns})


@pytest.mark.parametrize("window", [BudgetWindow(length_s=2 * 86400.0), BudgetWindow(kind="rolling")])
def test_a_decision_is_handed_no_more_of_a_long_trace_than_its_window_can_reach(monkeypatch, window):
    trace, handed, decide = long_trace(10), [], Controller.decide

    def recorded(self, outlook, *, now_s, **more):
        slot = outlook.slot_of(now_s)
        handed.append(max(outlook.requests.size, outlook.carbon_g_per_kwh.size) - slot)
        return decide(self, outlook, now_s=now_s, **more)

    monkeypatch.setattr(Controller, "decide", recorded)
    results = replay(trace, paper_flavours(), settings=settings_for(trace, max_error=0.02, window=window))
    assert len(handed) == 480
    assert max(handed) <= max(window.length_s / 1800.0, LOOKAHEAD_SLOTS) + 2
    assert not any(result.over_budget for result in results)


@pytest.mark.parametrize("deferral", [None, Deferral(share=0.3, wait_s=6 * 3600.0)], ids=["at once", "some wait"])
def test_what_comes_after_a_window_changes_nothing_in_it(deferral):
    short, long = (
        replay(
            trace,
            paper_flavours(),
            settings=settings_for(trace, max_error=0.02, window=BudgetWindow()),
            deferral=deferral,
        )[:2]
        for trace in (long_trace(4), long_trace(8))
    )
    assert [result.grams for result in short] == [result.grams for result in long]
