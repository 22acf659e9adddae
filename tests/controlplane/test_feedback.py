"""From load reports to what was served: sorted, complete, and with nothing believed that cannot be."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane import feedback as feedback_module
from controlplane.accounting import FlavourLoad
from controlplane.feedback import Feedback, Target
from tests.controlplane.fakes import load_report, steady
from xds import ClusterLoad

ENERGY = "named_metrics.energy_j"
TARGETS = {"c-best": Target("shop", "best"), "c-fast": Target("shop", "fast"), "c-other": Target("other", "best")}


class Times:
    """Real seconds, and an engine's clock that runs with them."""

    now_s = 1000.0


@pytest.fixture
def times(monkeypatch) -> Times:
    times = Times()
    monkeypatch.setattr(feedback_module, "time", SimpleNamespace(monotonic=lambda: times.now_s))
    return times


@pytest.fixture
def feedback(times) -> Feedback:
    return Feedback(now_s=lambda: times.now_s + 5e8, targets=TARGETS)


def test_counts_are_sorted_by_service_and_flavour(feedback):
    loads = feedback.take(
        load_report(
            {
                "c-best": ClusterLoad(succeeded=5, failed=2, in_progress=9, metrics={ENERGY: (4, 10.0), "x": (1, 7.0)}),
                "c-fast": 3,
                "c-other": 1,
            }
        )
    )
    assert loads == {
        "shop": {
            "best": FlavourLoad(served=5, failed=2, metered_requests=4, metered_j=10.0),
            "fast": FlavourLoad(served=3),
        },
        "other": {"best": FlavourLoad(served=1)},
    }


def test_clusters_that_nobody_asked_for_are_ignored(feedback):
    assert feedback.take(load_report({"c-gone": 7, "xds_cluster": 8, "": 9})) == {}
    assert feedback.reports == 1


@pytest.mark.parametrize("delay_s", [0.0, 0.5, 1.0, -0.5], ids=str)
def test_intervals_that_follow_each_other_leave_no_hole_whatever_their_way_takes(feedback, times, delay_s):
    feedback.take(load_report({"c-best": 1}, interval_s=10.0))
    times.now_s += 10.0 + delay_s
    feedback.take(load_report({"c-best": 1}, interval_s=10.0))
    assert feedback.unreported_s == 0.0


def test_time_between_two_intervals_is_told_as_unreported(feedback, times):
    feedback.take(load_report({"c-best": 1}, interval_s=10.0))
    times.now_s += 30.0
    feedback.take(load_report({"c-best": 1}, interval_s=10.0))
    assert feedback.unreported_s == pytest.approx(20.0)


def test_a_proxy_that_could_not_reach_us_has_counted_on(feedback, times):
    feedback.take(load_report({"c-best": 1}, interval_s=10.0))
    times.now_s += 300.0
    feedback.take(load_report({"c-best": 1}, interval_s=300.0))
    assert feedback.unreported_s == 0.0


def test_the_first_report_of_a_proxy_leaves_no_hole(feedback, times):
    feedback.take(load_report({"c-best": 1}, node_id="a"))
    times.now_s += 500.0
    feedback.take(load_report({"c-best": 1}, node_id="b"))
    assert feedback.unreported_s == 0.0


def test_before_any_report_everything_is_counted(feedback, times):
    assert feedback.counted_until_s == times.now_s + 5e8


def test_of_two_proxies_the_slower_one_says_how_far_counts_reach(feedback, times):
    feedback.take(load_report({"c-best": 1}, node_id="slow", interval_s=60.0))
    slow_s = feedback.counted_until_s
    for _ in range(5):
        times.now_s += 10.0
        feedback.take(load_report({"c-best": 1}, node_id="quick", interval_s=10.0))
        assert feedback.counted_until_s == slow_s
    times.now_s += 10.0
    feedback.take(load_report({"c-best": 1}, node_id="slow", interval_s=60.0))
    assert feedback.counted_until_s == slow_s + 50.0


def test_a_proxy_that_fell_silent_no_longer_holds_the_others_back(feedback, times):
    feedback.take(load_report({"c-best": 1}, node_id="gone", interval_s=10.0))
    first_s = feedback.counted_until_s
    for _ in range(5):
        times.now_s += 10.0
        feedback.take(load_report({"c-best": 1}, node_id="alive", interval_s=10.0))
    assert feedback.counted_until_s == first_s
    times.now_s += 10.0
    feedback.take(load_report({"c-best": 1}, node_id="alive", interval_s=10.0))
    assert feedback.counted_until_s == times.now_s + 5e8


def test_a_proxy_is_forgotten_so_that_a_thousand_short_lived_ones_do_not_add_up(feedback, times):
    for number in range(1000):
        times.now_s += 10.0
        feedback.take(load_report({"c-best": 1}, node_id=f"pod-{number}"))
    assert len(feedback._proxies) <= 6


@pytest.mark.parametrize(
    "joules", [math.nan, math.inf, -math.inf, -1.0, 1e308, 1e12], ids=["nan", "inf", "-inf", "negative", "huge", "1e12"]
)
def test_energy_that_cannot_be_true_counts_as_not_reported(feedback, joules):
    load = ClusterLoad(succeeded=10, metrics={ENERGY: (4, joules)})
    assert feedback.take(load_report({"c-best": load})) == {"shop": {"best": FlavourLoad(served=10)}}


def test_energy_of_no_answer_counts_as_not_reported(feedback):
    load = ClusterLoad(succeeded=10, metrics={ENERGY: (0, 5.0)})
    assert feedback.take(load_report({"c-best": load}))["shop"]["best"] == FlavourLoad(served=10)


@steady
@given(st.lists(st.tuples(st.integers(0, 100), st.floats()), max_size=20))
def test_no_backend_can_poison_a_total(reported):
    feedback = Feedback(now_s=lambda: 0.0, targets=TARGETS)
    total = FlavourLoad()
    for count, joules in reported:
        load = ClusterLoad(succeeded=1, metrics={ENERGY: (count, joules)})
        total += feedback.take(load_report({"c-best": load}))["shop"]["best"]
    assert math.isfinite(total.metered_j)
    assert total.metered_j >= 0.0
    assert total.served == len(reported)
