"""Every policy that is installed, through the live controller; and how policies are found, ours and others'."""

import json
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import TOTAL_WEIGHT, Controller, ControllerSettings, ControllerState, Flavour, policy_named, policy_names
from scheduler.constraints import Constraints
from scheduler.policies import DEFAULT_POLICY, Proposal, registry

from .support import FLAVOURS, SLOT_S, START_S, outlook

SLOTS = 24
EVERY = pytest.mark.parametrize("policy", policy_names())


@st.composite
def scenes(draw):
    """Flavours, an outlook, and the demand and carbon that came."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 6))
    alike = draw(st.booleans())
    flavours = tuple(
        Flavour(
            name=f"f{number}",
            error=0.1 if alike else float(rng.choice([0.0, 0.02, 0.1, 0.5, 1.0])),
            energy_j=2.0 if alike else float(rng.choice([0.0, 1.0, 3.0, 9.0])),
        )
        for number in range(count)
    )
    carbon = rng.choice([0.0, 1.0, 79.0, 150.0, 800.0], SLOTS) * draw(st.sampled_from([0.0, 1.0]))
    holes = rng.random(SLOTS) < draw(st.sampled_from([0.0, 0.3]))
    requests = rng.integers(0, 200, SLOTS) * (rng.random(SLOTS) < 0.8).astype(float)
    view = outlook(
        carbon=draw(st.sampled_from([None, np.where(holes, np.nan, carbon)])),
        requests=draw(st.sampled_from([None, np.where(holes, np.nan, requests)])),
    )
    return flavours, view, requests * rng.uniform(0.5, 1.5, SLOTS), carbon


def decide_on(controller, scene, *, slots=range(SLOTS), available=None, restart=False):
    """Decide, serve and report slot by slot; the decisions as JSON, and the controller."""
    _, view, requests, carbon = scene
    decisions = []
    for slot in slots:
        if restart:
            state = json.loads(json.dumps(controller.state.to_dict(), allow_nan=False))
            controller = Controller(
                scene[0], controller.settings, ControllerState.from_dict(state), carbon=controller.carbon
            )
        decision = controller.decide(view, now_s=view.start_of(slot), available=available)
        counts = {name: weight / TOTAL_WEIGHT * float(requests[slot]) for name, weight in decision.weights.items()}
        controller.observe_requests(counts, until_s=view.start_of(slot + 1))
        controller.observe_carbon(view.start_of(slot), actual_g_per_kwh=float(carbon[slot]), forecast_g_per_kwh=None)
        decisions.append(json.dumps(decision.to_dict(), allow_nan=False))
    return [json.loads(decision) for decision in decisions], controller


def settings_of(policy, *, seed=7, **more):
    return ControllerSettings(max_error=0.05, policy=policy, seed=seed, **more)


def check_weights(decision, flavours):
    weights = decision["weights"]
    assert list(weights) == [flavour.name for flavour in flavours]
    assert all(type(weight) is int and weight >= 0 for weight in weights.values())
    assert sum(weights.values()) == TOTAL_WEIGHT
    mean = sum(weights[flavour.name] * flavour.error for flavour in flavours) / TOTAL_WEIGHT
    assert decision["expected_error"] == pytest.approx(mean)


@EVERY
@settings(max_examples=5, deadline=None)
@given(scene=scenes())
def test_decisions_are_sound_repeatable_and_survive_restarts(policy, scene):
    first, through = decide_on(Controller(scene[0], settings_of(policy)), scene)
    again, _ = decide_on(Controller(scene[0], settings_of(policy)), scene)
    restarted, after = decide_on(Controller(scene[0], settings_of(policy)), scene, restart=True)
    assert first == again == restarted
    assert through.state == after.state
    for decision in first:
        check_weights(decision, scene[0])
        assert decision["reasons"]["policy"] == policy
        assert decision["reasons"]["unavailable"] == []


@EVERY
@settings(max_examples=4, deadline=None)
@given(scene=scenes(), seed=st.integers(0, 2**32 - 1))
def test_only_flavours_that_can_answer_get_weight(policy, scene, seed):
    names = [flavour.name for flavour in scene[0]]
    controller, rng = Controller(scene[0], settings_of(policy)), np.random.default_rng(seed)
    for slot in range(SLOTS):
        there = [name for name in names if rng.random() < 0.6]
        [decision], controller = decide_on(controller, scene, slots=[slot], available=[*there, "never heard of"])
        check_weights(decision, scene[0])
        missing = [name for name in names if there and name not in there]
        assert decision["reasons"]["unavailable"] == missing
        assert all(decision["weights"][name] == 0 for name in missing)
        planned = np.array(decision["planned_weights"])
        assert planned.sum(axis=1) == pytest.approx(np.ones(len(planned)))
        assert not planned[:, [names.index(name) for name in missing]].any()


@EVERY
@pytest.mark.parametrize("available", [[], ["gone"], ["gone", "never there"]])
def test_when_none_can_answer_all_are_taken_to(policy, available):
    view, served = outlook(carbon=np.linspace(50.0, 400.0, SLOTS), requests=np.full(SLOTS, 90.0)), np.full(SLOTS, 99.0)
    scene = (FLAVOURS, view, served, np.full(SLOTS, 100.0))
    usual, _ = decide_on(Controller(FLAVOURS, settings_of(policy)), scene)
    blind, _ = decide_on(Controller(FLAVOURS, settings_of(policy)), scene, available=available)
    assert usual == blind


@EVERY
def test_without_any_forecast_it_decides_and_says_so(policy):
    controller = Controller(FLAVOURS, settings_of(policy))
    decision = controller.decide(outlook(), now_s=START_S).to_dict()
    check_weights(decision, FLAVOURS)
    assert decision["reasons"]["forecast"] == "none"
    assert decision["reasons"]["carbon_now_g_per_kwh"] is None
    assert decision["reasons"]["shadow_price"] is None


@EVERY
def test_a_lone_flavour_gets_everything(policy):
    only = (Flavour(name="only", error=0.3, energy_j=1.0),)
    view = outlook(carbon=np.full(SLOTS, 300.0), requests=np.ones(SLOTS))
    scene = (only, view, np.ones(SLOTS), np.full(SLOTS, 300.0))
    decisions, _ = decide_on(Controller(only, settings_of(policy)), scene)
    assert all(decision["weights"] == {"only": TOTAL_WEIGHT} for decision in decisions)


@EVERY
def test_another_policy_on_the_same_state_starts_afresh_with_the_same_books(policy):
    view = outlook(carbon=np.linspace(50.0, 400.0, SLOTS), requests=np.full(SLOTS, 90.0))
    scene = (FLAVOURS, view, np.full(SLOTS, 99.0), np.linspace(50.0, 400.0, SLOTS))
    other = "credit-greedy" if policy != "credit-greedy" else "random"
    _, before = decide_on(Controller(FLAVOURS, settings_of(other)), scene, slots=range(6))
    assert before.state.memory
    after = Controller(FLAVOURS, settings_of(policy), before.state)
    assert (after.state.policy, after.state.memory) == (policy, {})
    assert after.state.ledger == before.state.ledger
    assert after.state.volume == before.state.volume
    same = Controller(FLAVOURS, settings_of(other), before.state)
    assert same.state == before.state
    decisions, _ = decide_on(after, scene, slots=range(6, SLOTS))
    assert decisions[0]["reasons"]["policy"] == policy


def test_chance_differs_from_seed_to_seed_and_from_slot_to_slot():
    view = outlook(carbon=np.full(SLOTS, 100.0), requests=np.ones(SLOTS))
    scene = (FLAVOURS, view, np.ones(SLOTS), np.full(SLOTS, 100.0))
    found = [decide_on(Controller(FLAVOURS, settings_of("random", seed=seed)), scene)[0] for seed in range(5)]
    weights = {tuple(decision["weights"].values()) for decisions in found for decision in decisions}
    assert len(weights) > 0.9 * 5 * SLOTS


@pytest.mark.parametrize("policy", [name for name in policy_names() if name != "random"])
def test_nothing_else_depends_on_the_seed(policy):
    view = outlook(carbon=np.linspace(50.0, 400.0, SLOTS), requests=np.full(SLOTS, 90.0))
    scene = (FLAVOURS, view, np.full(SLOTS, 99.0), np.full(SLOTS, 100.0))
    one, other = (decide_on(Controller(FLAVOURS, settings_of(policy, seed=seed)), scene)[0] for seed in (1, 2))
    assert one == other


@EVERY
def test_constraints_are_heeded_or_refused(policy):
    constraints = Constraints(least_share={"medium": 0.25})
    view = outlook(carbon=np.linspace(50.0, 400.0, SLOTS), requests=np.full(SLOTS, 90.0))
    if not getattr(policy_named(policy), "honours_constraints", False):
        with pytest.raises(ValueError, match=f"'{policy}' heeds no constraints"):
            Controller(FLAVOURS, settings_of(policy, constraints=constraints))
        return
    decision = Controller(FLAVOURS, settings_of(policy, constraints=constraints)).decide(view, now_s=START_S)
    assert decision.weights["medium"] >= 0.25 * TOTAL_WEIGHT - 1


def test_the_default_comes_first_and_the_default_is_what_settings_take():
    assert policy_names()[0] == DEFAULT_POLICY == ControllerSettings(max_error=0.02).policy
    assert list(policy_names()[1:]) == sorted(policy_names()[1:])


def test_a_policy_that_is_not_installed_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match="no policy 'optimum'") as caught:
        Controller(FLAVOURS, settings_of("optimum"))
    assert all(name in str(caught.value) for name in policy_names())


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution that offers policies: (its name, policy name to target, its module's source)."""

    def installed(name, offers, source=""):
        folder = tmp_path / name
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        entries = "".join(f"{offer} = {target}\n" for offer, target in offers.items())
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{entries}")
        (folder / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(str(folder))
        registry._found.cache_clear()

    before = set(sys.modules)
    yield installed
    monkeypatch.undo()
    for module in set(sys.modules) - before:
        del sys.modules[module]
    registry._found.cache_clear()


THIRDS = """
import numpy as np
from scheduler.policies import Proposal

class Thirds:
    def propose(self, situation):
        seen = situation.memory.get("seen", 0.0)
        shares = np.full((1, len(situation.flavours)), 1.0 / len(situation.flavours))
        return Proposal(shares=shares, memory={"seen": seen + 1.0}, diagnostics={"seen": seen})

    def observe(self, memory, *, mean_error, max_error):
        return {**memory, "error": mean_error}
"""


def test_a_policy_of_another_package_is_found_and_decides(install):
    install("acme_policies", {"thirds": "acme_policies:Thirds"}, THIRDS)
    assert "thirds" in policy_names()
    assert policy_names()[0] == DEFAULT_POLICY
    view = outlook(carbon=np.linspace(50.0, 400.0, SLOTS), requests=np.full(SLOTS, 90.0))
    scene = (FLAVOURS, view, np.full(SLOTS, 99.0), np.full(SLOTS, 100.0))
    decisions, controller = decide_on(Controller(FLAVOURS, settings_of("thirds")), scene, slots=range(3), restart=True)
    assert [decision["weights"] for decision in decisions] == [{"high": 3334, "medium": 3333, "low": 3333}] * 3
    assert [decision["reasons"]["diagnostics"]["seen"] for decision in decisions] == [0.0, 1.0, 2.0]
    assert controller.state.memory == {"seen": 3.0, "error": pytest.approx(0.3333 * (0.045 + 0.134))}


def test_a_name_that_two_packages_offer_is_refused(install):
    install("acme_policies", {"thirds": "acme_policies:Thirds"}, THIRDS)
    install("other_policies", {"thirds": "other_policies:Thirds"}, THIRDS)
    assert policy_names().count("thirds") == 1
    with pytest.raises(ValueError, match="'thirds' is offered more than once: acme_policies:Thirds, other_policies:Th"):
        Controller(FLAVOURS, settings_of("thirds"))


def test_a_package_cannot_take_over_a_name_of_ours(install):
    install("acme_policies", {DEFAULT_POLICY: "acme_policies:Thirds"}, THIRDS)
    with pytest.raises(ValueError, match=f"{DEFAULT_POLICY!r} is offered more than once"):
        Controller(FLAVOURS, ControllerSettings(max_error=0.02))


def test_the_same_target_offered_twice_is_one_policy(install):
    install("acme_policies", {"thirds": "acme_policies:Thirds"}, THIRDS)
    install("acme_again", {"thirds": "acme_policies:Thirds"})
    Controller(FLAVOURS, settings_of("thirds")).decide(outlook(), now_s=START_S)


@pytest.mark.parametrize(
    "shares",
    [
        [[1.1, -0.1, 0.0]],
        [[math.nan, 0.5, 0.5]],
        [[math.inf, 0.0, 0.0]],
        [[0.5, 0.4, 0.0]],
        [[1.0, 1.0, 1.0]],
        [[0.5, 0.5]],
        [[0.25, 0.25, 0.25, 0.25]],
        [1.0, 0.0, 0.0],
        [[[1.0, 0.0, 0.0]]],
        [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        np.zeros((0, 3)),
        [],
        None,
        [[1.0, 0.0, 0.0], [1.0]],
        [["all", "none", "none"]],
    ],
    ids=str,
)
def test_shares_that_mean_nothing_are_refused_by_the_name_of_the_policy(monkeypatch, shares):
    controller = Controller(FLAVOURS, settings_of("round-robin"))
    monkeypatch.setattr(type(policy_named("round-robin")), "propose", lambda *_: Proposal(shares=shares))
    before = controller.state
    with pytest.raises(ValueError, match="'round-robin'"):
        controller.decide(outlook(carbon=np.full(SLOTS, 100.0), requests=np.ones(SLOTS)), now_s=START_S)
    assert controller.state == before


@pytest.mark.parametrize("figures", [{"sum": math.nan}, {"sum": "12"}, {"sum": None}], ids=str)
@pytest.mark.parametrize("what", ["memory", "diagnostics"])
def test_figures_that_cannot_be_kept_are_refused_by_the_name_of_the_policy(monkeypatch, what, figures):
    controller = Controller(FLAVOURS, settings_of("round-robin"))
    proposal = Proposal(shares=np.full((1, 3), 1 / 3), **{what: figures})
    monkeypatch.setattr(type(policy_named("round-robin")), "propose", lambda *_: proposal)
    with pytest.raises(ValueError, match="'round-robin'"):
        controller.decide(outlook(), now_s=START_S)


def test_shares_are_checked_for_the_flavours_that_are_there(monkeypatch):
    controller = Controller(FLAVOURS, settings_of("round-robin"))
    monkeypatch.setattr(type(policy_named("round-robin")), "propose", lambda *_: Proposal(shares=[[0.5, 0.5]]))
    decision = controller.decide(outlook(), now_s=START_S + SLOT_S, available={"low", "high"})
    assert decision.weights == {"high": 5000, "medium": 0, "low": 5000}
    assert decision.reasons.unavailable == ("medium",)
