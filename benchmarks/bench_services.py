"""What it takes to re-plan a thousand services of one zone, and HiGHS on the same linear programmes beside it.

python -m benchmarks.bench_services

Each service has its own promise, books and demand. The carbon of the zone is shared where the row does not say
otherwise; the engine keeps a copy for each service today, which is the row "no shared history". Its forecast is not
yet estimated when a round begins. CPU time of this process, garbage collection included. Ours makes whole decisions:
forecast, demand, books, plan, guard and weights. HiGHS, without presolve, which is twice as fast here, gets the plans
alone; the time of our planner alone stands beside it.
"""

from __future__ import annotations

import gc
import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar
from unittest import mock

import numpy as np

from benchmarks.rows import Row, show
from scheduler import (
    BudgetWindow,
    CarbonHistory,
    Controller,
    ControllerSettings,
    ControllerState,
    Decision,
    Flavour,
    Outlook,
)
from scheduler.constrained.linear import LinearProgram
from scheduler.constraints import Constraints, DailyBlackout
from scheduler.model import FloatArray, errors_of, grams_per_request
from scheduler.pattern import HISTORY, DemandPattern, bucket_of
from scheduler.policies import Proposal, Situation
from scheduler.policies.optimal import Optimal

T = TypeVar("T")

SERVICES = 1000
SOLVED = 50
ROUNDS = 5
SLOT_S = 1800.0
DAY = 48
START_S = 1_700_092_800.0
"""A Thursday's midnight, when windows of a day and of a week begin."""
NOW_S = START_S + 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is decided a thousand times; `forecast_slots` of carbon are known, `goal_s` is what it may take."""

    name: str
    days: int
    forecast_slots: int
    history_days: int
    goal_s: float
    constraints: Constraints | None = None
    learned: bool = False


_FLOOR = Constraints(min_precision=0.9, blackouts=(DailyBlackout(start_s=8 * 3600.0, end_s=10 * 3600.0),))
DAY_CASE = Case(name="day", days=1, forecast_slots=DAY, history_days=0, goal_s=1.0)
WEEK_CASE = Case(name="week, 48 h of forecast", days=7, forecast_slots=96, history_days=14, goal_s=5.0)
CASES = (
    DAY_CASE,
    WEEK_CASE,
    replace(WEEK_CASE, name="week, floor and blackouts", constraints=_FLOOR),
    replace(DAY_CASE, name="day, demand learned", learned=True),
)


@dataclass(slots=True)
class Fleet:
    """The services of one case: settings, books and demand of each; all share one history of carbon."""

    case: Case
    history: CarbonHistory
    outlooks: list[Outlook] = field(default_factory=list)
    flavours: list[tuple[Flavour, ...]] = field(default_factory=list)
    settings: list[ControllerSettings] = field(default_factory=list)
    states: list[ControllerState] = field(default_factory=list)

    @classmethod
    def of(cls, case: Case, *, size: int = SERVICES) -> Fleet:
        """Return the services, each after ten reports of a minute."""
        rng = np.random.default_rng(1)
        fleet = cls(case, _history(case, rng))
        carbon = _carbon(rng, np.arange(case.forecast_slots))
        for _ in range(size):
            fleet._add(rng, carbon)
        return fleet

    def _add(self, rng: np.random.Generator, carbon: FloatArray) -> None:
        case = self.case
        flavours = _flavours(rng)
        settings = ControllerSettings(
            max_error=float(rng.uniform(0.01, 0.06)),
            window=BudgetWindow(length_s=case.days * 86400.0, offset_s=START_S % (case.days * 86400.0)),
            constraints=case.constraints,
        )
        requests = _requests(rng, np.arange(case.days * DAY))
        state = ControllerState(carbon=self.history, pattern=_pattern(rng) if case.learned else DemandPattern())
        controller = Controller(flavours, settings, state)
        for minute in range(10):
            counts = {each.name: float(n) for each, n in zip(flavours, rng.poisson((8.0, 4.0, 1.0)), strict=True)}
            since_s = START_S + 60.0 * minute
            controller.observe_requests(counts, since_s=since_s, until_s=since_s + 60.0)
        self.flavours.append(flavours)
        self.settings.append(settings)
        self.states.append(controller.state)
        self.outlooks.append(
            Outlook(
                start_s=START_S,
                slot_s=SLOT_S,
                carbon_g_per_kwh=carbon,
                requests=None if case.learned else requests,
            )
        )

    def controllers(self, *, own_history: bool = False) -> list[Controller]:
        """A controller for each service, with nothing computed yet from the carbon they share, or have of their own."""
        shared = _unread(self.history)
        return [
            Controller(flavours, settings, replace(state, carbon=_unread(self.history) if own_history else shared))
            for flavours, settings, state in zip(self.flavours, self.settings, self.states, strict=True)
        ]

    def decide(self, controllers: list[Controller]) -> list[Decision]:
        """Every service's decision."""
        return [
            controller.decide(outlook, now_s=NOW_S)
            for controller, outlook in zip(controllers, self.outlooks, strict=False)
        ]


def rows() -> list[Row]:
    """Time and memory of each case."""
    return [row for case in CASES for row in _case_rows(case)]


def _case_rows(case: Case) -> list[Row]:
    fleet = Fleet.of(case)
    took_s = _cpu_s(fleet.controllers, fleet.decide)
    name = f"{case.name}:"
    result = [
        Row(f"{name} re-plan {SERVICES:,} services", took_s, "s", f"CPU, {ROUNDS} rounds; goal {case.goal_s:g} s"),
        Row(f"{name} one decision", took_s / SERVICES * 1e6, "us"),
    ]
    if case.history_days:
        own_s = _cpu_s(lambda: fleet.controllers(own_history=True), fleet.decide)
        result.append(Row(f"{name} the same, no shared history", own_s, "s", "each service estimates carbon itself"))
    if case.learned:
        closing_s = _cpu_s(fleet.controllers, _Closing(fleet).observe)
        result.append(Row(f"{name} reports that end a half hour", closing_s, "s", "the week is learned anew"))
    return [*result, _highs_row(fleet, took_s), _memory_row(case)]


class _Closing:
    """The reports of the rest of the half hour, other ones each time: a week that was seen before is kept."""

    def __init__(self, fleet: Fleet) -> None:
        self._names = [tuple(each.name for each in flavours) for flavours in fleet.flavours]
        self._rng = np.random.default_rng(2)

    def observe(self, controllers: list[Controller]) -> None:
        """Enter one report for each service."""
        counts = self._rng.poisson((200.0, 100.0, 20.0), (len(controllers), 3)).tolist()
        for controller, names, served in zip(controllers, self._names, counts, strict=True):
            controller.observe_requests(dict(zip(names, served, strict=True)), since_s=NOW_S, until_s=START_S + SLOT_S)


def _highs_row(fleet: Fleet, took_s: float) -> Row:
    situations = _situations(fleet)
    _check_peer(situations)
    theirs_s, plans_s = (
        SERVICES / SOLVED * _cpu_s(lambda: situations, lambda found, solve=solve: [solve(each) for each in found])
        for solve in (_highs, Optimal().propose)
    )
    note = f"{theirs_s / took_s:.1f} x ours whole, {theirs_s / plans_s:.1f} x our plans alone; from {SOLVED}"
    return Row(f"{fleet.case.name}: HiGHS, the plans alone", theirs_s, "s", note)


def _memory_row(case: Case) -> Row:
    note = "settings, books, demand, last decision; not the zone's carbon"
    if case.history_days:
        note += f" ({_history_kib(case):.0f} KiB)"
    return Row(f"{case.name}: memory of a service", _kib(case), "KiB", note)


def _cpu_s(make: Callable[[], T], run: Callable[[T], object]) -> float:
    """The median CPU time of a round, each on something new, after one to warm up."""
    run(make())
    times = []
    for _ in range(ROUNDS):
        made = make()
        gc.collect()
        began_s = time.process_time()
        run(made)
        times.append(time.process_time() - began_s)
    return statistics.median(times)


def _kib(case: Case) -> float:
    """What is held for one service of many, the zone's carbon not counted."""
    Fleet.of(case, size=2)
    gc.collect()
    tracemalloc.start()
    try:
        small, large = _held(case, size=20), _held(case, size=120)
    finally:
        tracemalloc.stop()
    return (large - small) / 100 / 1024


def _held(case: Case, *, size: int) -> float:
    before, _ = tracemalloc.get_traced_memory()
    fleet = Fleet.of(case, size=size)
    controllers = fleet.controllers()
    decisions = fleet.decide(controllers)
    fleet.states.clear()  # what the controllers have gone on from
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    assert len(decisions) == len(controllers) == size
    return float(after - before)


def _history_kib(case: Case) -> float:
    """What one history of carbon holds."""
    tracemalloc.start()
    try:
        history = _history(case, np.random.default_rng(1))
        return tracemalloc.get_traced_memory()[0] / 1024 if history.slots else 0.0
    finally:
        tracemalloc.stop()


# --- the same plans by a general solver


def _check_peer(situations: list[Situation]) -> None:
    """Both must plan the same: where nothing but the budget holds ours down, the grams are equal."""
    compared = 0
    for situation in situations:
        proposal = Optimal().propose(situation)
        ours, theirs = _grams(situation, proposal.shares), _highs(situation)
        equal = abs(ours - theirs) <= 1e-6 * theirs
        if not (equal or (proposal.binding == "guard" and ours > theirs)):
            raise RuntimeError(f"the planner's {ours} g are not HiGHS's {theirs} g")
        compared += equal
    if compared < len(situations) // 2:
        raise RuntimeError(f"only {compared} of {len(situations)} plans could be compared with HiGHS's")


def _situations(fleet: Fleet) -> list[Situation]:
    """What the policy is told in the first SOLVED decisions."""
    found: list[Situation] = []
    genuine = Optimal.propose

    def propose(policy: Optimal, situation: Situation) -> Proposal:
        found.append(situation)
        return genuine(policy, situation)

    with mock.patch.object(Optimal, "propose", propose):
        fleet.decide(fleet.controllers()[:SOLVED])
    return found


def _highs(situation: Situation) -> float:
    """Solve one plan and return its grams."""
    slots, constraints = situation.requests.size, situation.constraints or Constraints()
    errors = errors_of(situation.flavours)
    grams = situation.requests[:, None] * grams_per_request(situation.flavours, situation.carbon[:slots])
    starts_s = situation.slot_start_s + situation.slot_s * np.arange(slots)
    dark = constraints.blacked_out(starts_s, slot_s=situation.slot_s)
    best = np.where(np.arange(errors.size) == errors.argmin(), 1.0, 0.0)
    scale = float(grams.max())

    program = LinearProgram()
    full = np.broadcast_to(best, grams.shape)
    shares = program.columns(
        grams.shape, low=np.where(dark[:, None], full, 0.0), high=np.where(dark[:, None], full, 1.0)
    )
    program.rows(shares, 1.0, low=1.0, high=1.0)
    if constraints.min_precision is not None:
        program.rows(shares[~dark], errors, low=-np.inf, high=1.0 - constraints.min_precision)
    for until, budget in zip(situation.promise.until, situation.promise.budgets, strict=True):
        sizes = (situation.requests[:until, None] * errors).ravel()
        program.rows(shares[:until].reshape(1, -1), sizes, low=-np.inf, high=float(budget))
    answer = program.minimise([grams.ravel() / scale], time_limit_s=10.0)
    if not answer.values.size:
        raise RuntimeError(f"HiGHS gave no plan: {answer.outcome}")
    return _grams(situation, answer.values.reshape(grams.shape))


def _grams(situation: Situation, shares: FloatArray) -> float:
    slots = situation.requests.size
    grams = grams_per_request(situation.flavours, situation.carbon[:slots])
    return float(situation.requests @ (shares * grams).sum(axis=1))


# --- what is known of the services and of the zone


def _flavours(rng: np.random.Generator) -> tuple[Flavour, ...]:
    errors = np.sort(rng.uniform(0.02, 0.15, 2)) + np.array([0.0, 0.02])
    energies = 5.0 * np.array([1.0, rng.uniform(0.55, 0.75), rng.uniform(0.25, 0.45)])
    return tuple(
        Flavour(name=name, error=float(error), energy_j=float(energy))
        for name, error, energy in zip(("high", "mid", "low"), (0.0, *errors), energies, strict=True)
    )


def _carbon(rng: np.random.Generator, slots: FloatArray) -> FloatArray:
    """A zone's carbon in g/kWh: a day's and a week's course, and noise."""
    day, week = 2.0 * np.pi * slots / DAY, 2.0 * np.pi * slots / (7 * DAY)
    return 200.0 + 60.0 * np.cos(day) + 40.0 * np.sin(week) + rng.normal(0.0, 8.0, slots.size)


def _requests(rng: np.random.Generator, slots: FloatArray) -> FloatArray:
    course = 1.0 + 0.6 * np.sin(2.0 * np.pi * (slots / DAY + rng.uniform()))
    return rng.uniform(200.0, 600.0) * course * rng.uniform(0.9, 1.1, slots.size)


def _history(case: Case, rng: np.random.Generator) -> CarbonHistory:
    before = np.arange(-case.history_days * DAY, 0)
    actual = _carbon(rng, before)
    forecast = actual + rng.normal(0.0, 10.0, before.size)
    columns = zip((START_S + SLOT_S * before).tolist(), actual.tolist(), forecast.tolist(), strict=True)
    return CarbonHistory(slots=tuple(columns))


def _unread(history: CarbonHistory) -> CarbonHistory:
    """The same observations, of which nothing has been computed."""
    return CarbonHistory(slots=history.slots, keep=history.keep)


def _pattern(rng: np.random.Generator) -> DemandPattern:
    """Four weeks of counts, well foreseen."""
    codes = np.rint(1000.0 * np.log1p(_requests(rng, np.arange(HISTORY)))).astype(int).tolist()
    return DemandPattern(
        bucket=bucket_of(START_S), until_s=START_S, history=tuple(codes), compared=300.0, actual=1.0, forecast=1.0
    )


if __name__ == "__main__":
    show(rows())
