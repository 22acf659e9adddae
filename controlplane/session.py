"""One service over time: what was served and what is foreseen go in, an intent comes out."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import ValidationError

from controlplane.accounting import Account, FlavourLoad, Summary, Tally, Terms, back_to_back
from controlplane.carbon import CarbonFeed, CarbonSeries
from controlplane.intent import RoutingIntent, best_only
from controlplane.senders import Senders
from controlplane.spec import ServiceSpec
from controlplane.steering import Steering
from controlplane.verdicts import Verdicts
from scheduler import (
    Books,
    Controller,
    ControllerState,
    Decision,
    Outlook,
)

logger = logging.getLogger(__name__)

_STATE_VERSION = 1
_MOST_SUMMARIES = 8


@dataclass(frozen=True, slots=True)
class Incomplete:
    """Why the books of the windows until `until_s` (Unix seconds) lack what was served before."""

    reason: str
    until_s: float


class ServiceSession:
    """The live side of a `ServiceSpec`: controller, account, and the feed they read."""

    def __init__(self, spec: ServiceSpec, feed: CarbonFeed, controller: Controller, account: Account) -> None:
        self.spec = spec
        self.feed = feed
        self.controller = controller
        self.account = account
        self.decision: Decision | None = None
        self.intent: RoutingIntent | None = None
        self.steering = Steering()
        self.senders = Senders()
        self.verdicts = Verdicts()
        self._summaries: dict[tuple[float, float], Summary] = {}
        self.incomplete: Incomplete | None = None
        self.save_failure: str | None = None
        self.failures = 0
        self.last_failure: str | None = None
        self._commanded_since_s: float | None = None
        self._noted: CarbonSeries | None = None
        self._forget_before_s: float | None = None
        self.totals = {flavour.name: FlavourLoad() for flavour in spec.flavours}
        self.tally = Tally()
        self.terms = Terms(flavours=spec.flavours, max_error=spec.settings.max_error, embodied_g=spec.embodied_g)
        self._to_be_saved = False

    @classmethod
    def begin(cls, spec: ServiceSpec, feed: CarbonFeed, state: Mapping[str, Any] | None = None) -> Self:
        """Start, or go on from what `state()` gave before.

        Raises:
            ValueError: the state is not one of ours.
        """
        if state is None:
            return cls(spec, feed, Controller(spec.flavours, spec.settings), Account(slot_s=spec.slot_s))
        if state.get("version") != _STATE_VERSION:
            raise ValueError(f"its version is {state.get('version')!r}, not {_STATE_VERSION}")
        try:
            account = Account.model_validate(state.get("account"))
        except ValidationError as error:
            raise ValueError(f"account: {error}") from error
        if account.slot_s != spec.slot_s:
            account = account.regridded(spec.slot_s)
        account.keep_only({flavour.name for flavour in spec.flavours})
        remembered = ControllerState.from_dict(state.get("controller"))
        session = cls(spec, feed, Controller(spec.flavours, spec.settings, remembered), account)
        session.steering = Steering.from_state(state.get("steering"))
        session.senders = Senders.from_state(state.get("senders"))
        session.verdicts = Verdicts.from_state(
            state.get("verdicts"), window=spec.settings.window, ledger=remembered.ledger
        )
        match state.get("incomplete"):
            case [str(reason), int() | float() as until_s]:
                session.incomplete = Incomplete(reason, float(until_s))
        return session

    def with_spec(self, spec: ServiceSpec, feed: CarbonFeed) -> ServiceSession:
        """The same service under a changed spec: books and account go on."""
        session = ServiceSession.begin(spec, feed, self.state())
        if feed.identity != self.feed.identity:
            # What was served under other figures must not be judged together with what will be.
            session.account = session.account.regridded(spec.slot_s)
        session.totals |= {name: total for name, total in self.totals.items() if name in session.totals}
        session.tally = self.tally
        session.failures, session.verdicts = self.failures, self.verdicts
        if spec.settings.window != self.spec.settings.window:
            session.verdicts = self.verdicts.under(spec.settings.window, session.controller.state.ledger)
        return session

    def state(self) -> dict[str, Any]:
        """Everything a restart must not lose, JSON-safe."""
        return {
            "version": _STATE_VERSION,
            "controller": self.controller.state.to_dict(),
            "account": self.account.model_dump(mode="json", exclude_defaults=True),
            "steering": self.steering.to_state(),
            "senders": self.senders.to_state(),
            "verdicts": self.verdicts.to_state(),
            "incomplete": None if self.incomplete is None else [self.incomplete.reason, self.incomplete.until_s],
        }

    def observe(
        self,
        loads: Mapping[str, FlavourLoad],
        *,
        until_s: float,
        since_s: float | None = None,
        counted_s: float | None = None,
    ) -> None:
        """Enter what a proxy reports to have served in (since_s, until_s], by default since the last call.

        `counted_s` is the time up to which all proxies have reported, by default `until_s`.
        """
        if since_s is None:
            counted_before_s = self.controller.state.accounted_until_s
            since_s = until_s if counted_before_s is None else min(counted_before_s, until_s)
        since_s = max(since_s, self._kept_since_s(until_s))
        self._summaries.clear()
        self.verdicts.counted(since_s)
        self.account.add(loads, since_s=since_s, until_s=until_s, terms=self.terms)
        self.tally.served(loads, self.terms)
        # A failed attempt is no answer: a fallback gave that, and is counted where it was given.
        served = {name: load.served for name, load in loads.items()}
        self.controller.observe_requests(served, since_s=since_s, until_s=until_s, counted_s=counted_s)
        for name, load in loads.items():
            self.totals[name] = self.totals[name] + load

    def decide(self, *, now_s: float, next_s: float) -> RoutingIntent:
        """The intent from `now_s` on; `next_s` is when the next one will be asked for.

        Never raises: whatever goes wrong here, all traffic goes to the best flavour.
        """
        self._summaries.clear()
        self.steering = self.steering.at(now_s)
        try:
            self._close_command(now_s)
            self._note_carbon(now_s)
            self._settle(now_s)
            decision = self.controller.decide(
                self._outlook(now_s),
                now_s=now_s,
                feedback_s=next_s,
                available=self.spec.topology.served_by,
                imposed=self.steering.imposed({each.name: 1.0 - each.error for each in self.spec.flavours}),
            )
            ends = (decision.valid_until_s, now_s + self.spec.valid_for_s, self.steering.until_s())
            until_s = min(end for end in ends if end is not None)
            self.intent = RoutingIntent(self.spec.topology, decision.weights, until_s)
            self.decision, self.last_failure = decision, None
            self.tally.decided(decision.reasons.policy)
        except Exception as error:
            # Full quality is the safe side of every unforeseen failure; it must be seen, not suffered by users.
            self.failures += 1
            self.last_failure = f"{type(error).__name__}: {error}"
            logger.exception("%s: no decision, all traffic goes to %s", self.spec.key, self.spec.topology.best.name)
            self.decision = None
            self.intent = best_only(self.spec.topology, valid_until_s=now_s + self.spec.valid_for_s)
        self._commanded_since_s = now_s
        self._judge(now_s)
        return self.intent

    @property
    def ends_s(self) -> float:
        """When what was decided last ends, however often it is renewed: with its slot, or with what is imposed."""
        ends = (None if self.decision is None else self.decision.valid_until_s, self.steering.until_s())
        return min((end for end in ends if end is not None), default=math.inf)

    def counted_from(self, sender: str, *, until_s: float, reach_s: float) -> float:
        """From when on counts of `sender` are new, where it does not say: its last ones, else all that were counted.

        Not more than `reach_s` back: who was silent because nothing came has most likely counted what came just now.
        """
        told_s = self.senders.told_s(sender)
        known_s = self.controller.state.accounted_until_s if told_s is None else told_s
        return max(until_s - reach_s, min(until_s - reach_s if known_s is None else known_s, until_s))

    def _judge(self, now_s: float) -> None:
        """Say, when a window has closed or late counts have tipped one, that its promise was broken."""
        for books in self.verdicts.judge(self.spec.settings.window, self.controller.state.ledger, now_s=now_s):
            logger.error(
                "%s: a budget window closed with %.3f error-requests of %.3f that were granted (mean error %.4f %%)",
                self.spec.key,
                books.error_requests,
                books.granted + books.carried,
                100 * books.mean_error,
            )

    def window(self, now_s: float) -> tuple[float, float]:
        """Start and end of the budget window that holds `now_s`."""
        return self.spec.settings.window.of(now_s)

    def books(self, now_s: float) -> Books:
        """The books of the budget window that holds `now_s`."""
        return self.controller.state.ledger.open(self.spec.settings.window, now_s)

    def carbon_range(self, now_s: float) -> tuple[float, float] | None:
        """Between what the carbon intensity of now will turn out to be in four of five cases, g/kWh."""
        return self.controller.carbon_range(self._outlook(now_s), now_s=now_s)

    def foreseen(self, start_s: float, *, slot_s: float, count: int) -> list[float | None]:
        """What the source says of `count` slots of `slot_s` from `start_s`, g/kWh; None where it says nothing."""
        series = self.feed.series
        if series is None:
            return [None] * count
        at = (series.index_at(start_s + (index + 0.5) * slot_s) for index in range(count))
        values = (math.nan if place is None else float(series.forecast_g_per_kwh[place]) for place in at)
        return [value if math.isfinite(value) else None for value in values]

    def summary(self, start_s: float, end_s: float) -> Summary:
        """What was served in a stretch of time, beside its counterfactuals; of a window, with the credit it took over.

        It is worked out once between two decisions or counts, however many ask.
        """
        if (known := self._summaries.get((start_s, end_s))) is not None:
            return known
        whole = (start_s, end_s) == self.window(start_s)
        made = self.account.summary(
            self.spec.flavours,
            max_error=self.spec.settings.max_error,
            start_s=start_s,
            end_s=end_s,
            carried=self.books(start_s).carried if whole else 0.0,
        )
        if len(self._summaries) < _MOST_SUMMARIES:
            self._summaries[start_s, end_s] = made
        return made

    def _close_command(self, now_s: float) -> None:
        if self.intent is not None and self._commanded_since_s is not None and now_s > self._commanded_since_s:
            since_s = max(self._commanded_since_s, self._kept_since_s(now_s))
            self.account.command(self.intent.weights, since_s=since_s, until_s=now_s)
            self.tally.commanded(self.intent.weights, now_s - since_s)

    def _kept_since_s(self, now_s: float) -> float:
        """The window before this one is kept too: late reports and people looking back still need it.

        A clock that jumps, as on a machine that boots in 1970, must not open the slots of decades.
        """
        window = self.spec.settings.window
        kept_s = window.before(now_s)[0]
        return kept_s if window.kind != "rolling" else min(kept_s, back_to_back(window).before(now_s)[0])

    def _note_carbon(self, now_s: float) -> None:
        self.controller.carbon = self.feed.history
        series = self.feed.series
        if series is None:
            return
        fresh = series is not self._noted
        self._noted = series
        if fresh or self.account.slot(now_s).carbon_forecast is None:
            self.account.note_carbon(
                start_s=series.start_s,
                slot_s=series.slot_s,
                forecast=series.forecast_g_per_kwh,
                actual=series.actual_g_per_kwh,
            )

    def _settle(self, now_s: float) -> None:
        """Enter into the totals what is final by now, then forget what is no longer needed."""
        kept_since_s = self._kept_since_s(now_s)
        # Before the source has answered for the first time nothing is final: a restart would settle slots as unknown
        # whose figures come a moment later.
        final_s = kept_since_s if self.feed.series is None else now_s
        entered = self.account.settle(now_s=final_s, kept_since_s=kept_since_s)
        closed = self.account.close_windows(
            back_to_back(self.spec.settings.window), self.terms, now_s=now_s, carried=self._carried
        )
        self._to_be_saved |= entered or closed > 0
        # Not before a second look: a clock that is days ahead for a moment must not take the open window's slots.
        if self._forget_before_s is not None:
            self.account.forget_before(min(kept_since_s, self._forget_before_s))
        self._forget_before_s = kept_since_s

    def _carried(self, window_start_s: float) -> float:
        return self.controller.state.ledger.open(self.spec.settings.window, window_start_s).carried

    def take_settled(self) -> bool:
        """Whether totals have grown since the last call: then the state is to be saved, or a crash takes them back."""
        taken, self._to_be_saved = self._to_be_saved, False
        return taken

    def _outlook(self, now_s: float) -> Outlook:
        series = self.feed.series if self.feed.status(now_s).state != "none" else None
        if series is None:
            start_s, slot_s, carbon = math.floor(now_s / self.spec.slot_s) * self.spec.slot_s, self.spec.slot_s, None
        else:
            start_s, slot_s, carbon = series.start_s, series.slot_s, _forecast(series)
        requests = None
        if self.spec.demand is not None:
            end_s = self.spec.settings.window.planned_until(now_s)
            count = max(1, math.ceil((end_s - start_s) / slot_s))
            requests = self.spec.demand.expected(start_s=start_s, slot_s=slot_s, count=count)
        return Outlook(start_s=start_s, slot_s=slot_s, carbon_g_per_kwh=carbon, requests=requests)


def _forecast(series: CarbonSeries) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    """The provider's forecast; what it lacks stays NaN, and None stands for a provider that never forecasts."""
    return series.forecast_g_per_kwh if np.isfinite(series.forecast_g_per_kwh).any() else None
