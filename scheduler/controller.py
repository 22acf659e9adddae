"""The rolling controller: at every decision, ask the policy anew with the budget that is left of the window.

Counts and carbon come in, weights go out. It reads no clock: every time is handed in, so that a replayed day and
a live one run the same code.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from scheduler._plain import number
from scheduler.decision import Decision, Reasons
from scheduler.demand import GUARD_MARGIN, Volume, volume_ahead
from scheduler.forecast import Basis, carbon_ahead
from scheduler.history import CarbonHistory
from scheduler.hull import off_hull
from scheduler.model import TOTAL_WEIGHT, Flavour, FloatArray, check_flavours, errors_of, integer_weights
from scheduler.outlook import Outlook
from scheduler.pattern import DemandPattern
from scheduler.policies import LOOKAHEAD_SLOTS, Proposal, Situation, policy_named
from scheduler.promise import Promise, promise_ahead
from scheduler.quantiles import carbon_quantiles
from scheduler.season import DAY
from scheduler.settings import ControllerSettings
from scheduler.state import ControllerState

DAYS_TO_TRUST = 2
"""So many days of comparing what was expected with what came make a demand learned from counts one to rely on."""

_FOUR_OF_FIVE = (0.1, 0.9)


class Controller:
    """Decides for one service. Not for concurrent use; `state` is all of the service there is to keep.

    `carbon` is what has been observed of its grid; services on one grid may share it, and then share what is
    estimated from it.
    """

    def __init__(
        self,
        flavours: Sequence[Flavour],
        settings: ControllerSettings,
        state: ControllerState | None = None,
        *,
        carbon: CarbonHistory | None = None,
    ) -> None:
        self._flavours = check_flavours(flavours)
        self._settings = settings
        self._policy = policy_named(settings.policy)
        self._state = state or ControllerState()
        self.carbon = carbon or CarbonHistory()
        if self._state.policy != settings.policy:  # another policy's notes mean nothing to this one
            self._state = replace(self._state, policy=settings.policy, memory={})
        self._errors = errors_of(self._flavours)
        self._off_hull = off_hull(self._flavours)
        self._foretold = False

    @property
    def state(self) -> ControllerState:
        """The state to keep; a controller made from it and the same `carbon` decides the same."""
        return self._state

    @property
    def settings(self) -> ControllerSettings:
        """The settings this controller was made with."""
        return self._settings

    def observe_requests(
        self,
        counts: Mapping[str, float],
        *,
        until_s: float,
        since_s: float | None = None,
        counted_s: float | None = None,
    ) -> None:
        """Enter the answers by flavour given in (since_s, until_s], by default since the previous call.

        `counted_s`, by default `until_s`, is the time up to which everything has now been entered: with several
        proxies, that of the one whose reports lag most.

        Raises ValueError on a flavour that is not known or a count that is negative or not finite.
        """
        state, settings = self._state, self._settings
        counted_s = until_s if counted_s is None else counted_s
        before_s = counted_s if state.accounted_until_s is None else state.accounted_until_s
        since_s = min(before_s, until_s) if since_s is None else since_s
        errors = {flavour.name: flavour.error for flavour in self._flavours}
        ledger = state.ledger.add(
            counts,
            errors=errors,
            max_error=settings.max_error,
            since_s=since_s,
            until_s=until_s,
            window=settings.window,
        )
        requests = sum(counts.values())
        memory = state.memory
        if requests > 0.0:
            mean_error = sum(count * errors[name] for name, count in counts.items()) / requests
            memory = self._policy.observe(memory, mean_error=mean_error, max_error=settings.max_error)
        self._state = replace(
            state,
            ledger=ledger,
            accounted_until_s=max(before_s, counted_s),
            volume=state.volume.observe(requests, since_s=max(before_s, since_s), until_s=counted_s),
            pattern=self._learned(requests, since_s=since_s, until_s=until_s),
            memory=memory,
        )

    def _learned(self, requests: float, *, since_s: float, until_s: float) -> DemandPattern:
        """The demand learned; where somebody foretells it, a week of counts would be worked out for nobody."""
        pattern = self._state.pattern
        return pattern if self._foretold else pattern.observe(requests, since_s=since_s, until_s=until_s)

    def observe_carbon(self, slot_start_s: float, *, actual_g_per_kwh: float, forecast_g_per_kwh: float | None) -> None:
        """Enter what a slot's carbon intensity turned out to be, and what had been foreseen; repeating is harmless."""
        self.carbon = self.carbon.observe(slot_start_s, actual=actual_g_per_kwh, forecast=forecast_g_per_kwh)

    def decide(
        self,
        outlook: Outlook,
        *,
        now_s: float,
        feedback_s: float | None = None,
        available: Collection[str] | None = None,
        imposed: Mapping[str, int] | None = None,
    ) -> Decision:
        """Return the weights to serve from `now_s`, which stay until `feedback_s` (default: the end of the slot).

        Only the flavours named in `available` (default: all) get weight. Where none can answer all are treated as
        if they could: then nobody knows better than the proxies. `imposed` weights, one for every flavour and
        TOTAL_WEIGHT together, are handed out whatever the policy would do; the plan of later slots is the policy's.
        """
        slot = outlook.slot_of(now_s)
        slot_end_s = outlook.start_of(slot + 1)
        window_end_s = self._settings.window.planned_until(now_s)
        self._foretold = outlook.requests is not None
        learned = not self._foretold and self._state.pattern.compared >= DAYS_TO_TRUST * DAY
        if learned:
            outlook = self._with_learned_demand(outlook, now_s=now_s, window_end_s=window_end_s)
        volume = self._volume(outlook, now_s=now_s, feedback_s=feedback_s, window_end_s=window_end_s)
        chosen = self._serving(available)
        guard = self._guard(volume, learned=learned)
        promise = promise_ahead(
            self._state.ledger,
            self._settings.window,
            volume,
            max_error=self._settings.max_error,
            least_error=float(self._errors[chosen].min()),
            guard=guard,
            now_s=now_s,
            slot_end_s=slot_end_s,
            slot_s=outlook.slot_s,
        )
        situation, basis = self._situation(outlook, volume, promise, chosen=chosen, now_s=now_s)
        proposal = self._policy.propose(situation)
        shares = self._checked(proposal, chosen)
        weights = self._weights(shares[0], chosen)
        if imposed is not None:
            weights = tuple(imposed[flavour.name] for flavour in self._flavours)
            shares[0] = np.array(weights) / TOTAL_WEIGHT
            proposal = replace(proposal, binding="imposed")
        expected_error = float(np.dot(weights, self._errors)) / TOTAL_WEIGHT
        named = {flavour.name: weight for flavour, weight in zip(self._flavours, weights, strict=True)}
        self._remember(outlook, volume, now_s=now_s, weights=named, mean_error=expected_error, memory=proposal.memory)
        return Decision(
            slot_start_s=outlook.start_of(slot),
            slot_end_s=slot_end_s,
            valid_until_s=min(slot_end_s, window_end_s),
            weights=named,
            expected_error=expected_error,
            planned_weights=shares,
            reasons=self._reasons(situation, proposal, basis=basis, chosen=chosen),
        )

    def carbon_range(self, outlook: Outlook, *, now_s: float) -> tuple[float, float] | None:
        """Between what the slot at `now_s` will be in four of five cases, g/kWh, by the estimate's own past errors.

        None with less than a day of them.
        """
        first = outlook.slot_of(now_s)
        end_s = self._settings.window.planned_until(now_s)
        found = carbon_quantiles(
            self.carbon,
            outlook,
            first=first,
            count=max(outlook.slot_of(math.nextafter(end_s, -math.inf)) - first + 1, LOOKAHEAD_SLOTS),
            ar=self._settings.carbon_ar,
            levels=_FOUR_OF_FIVE,
        )
        return None if found is None else (float(found[0, 0]), float(found[1, 0]))

    def _serving(self, available: Collection[str] | None) -> list[int]:
        every = range(len(self._flavours))
        if available is None:
            return list(every)
        return [at for at in every if self._flavours[at].name in available] or list(every)

    def _volume(self, outlook: Outlook, *, now_s: float, feedback_s: float | None, window_end_s: float) -> Volume:
        slot_end_s = outlook.start_of(outlook.slot_of(now_s) + 1)
        step_end_s = max(now_s, min(slot_end_s, window_end_s) if feedback_s is None else feedback_s)
        counted_s = self._counted_s(now_s)
        return volume_ahead(
            self._state.volume,
            outlook,
            now_s=now_s,
            counted_s=counted_s,
            step_end_s=min(step_end_s, window_end_s),
            window_end_s=window_end_s,
            prior_slots=self._settings.volume_prior_slots,
            commands=self._state.commands.spans(counted_s, now_s),
            otherwise=float(self._errors.min()),
        )

    def _counted_s(self, now_s: float) -> float:
        """Time up to which the requests that matter are counted: those of this window and of the one before it."""
        counted_s = self._state.accounted_until_s
        return now_s if counted_s is None else min(now_s, max(counted_s, self._settings.window.before(now_s)[0]))

    def _with_learned_demand(self, outlook: Outlook, *, now_s: float, window_end_s: float) -> Outlook:
        """The outlook with the demand that past counts let expect, where nobody foretells any."""
        first = max(0, outlook.slot_of(self._counted_s(now_s)))
        count = outlook.slot_of(math.nextafter(window_end_s, -math.inf)) - first + 1
        start_s = outlook.start_of(first)
        expected = self._state.pattern.expected(start_s=start_s, slot_s=outlook.slot_s, count=count)
        if expected is None:
            return outlook
        return replace(outlook, requests=np.concatenate((np.full(first, np.nan), expected)))

    def _guard(self, volume: Volume, *, learned: bool) -> float:
        """The deviation of demand to be prepared for."""
        if not volume.foreseen:
            # With no forecast of demand nothing is promised of what is to come, not even that it comes.
            return 1.0
        if self._settings.guard is not None:
            return self._settings.guard
        own = self._state.volume.guard()
        return max(own, min(1.0, GUARD_MARGIN * self._state.pattern.worst_day)) if learned else own

    def _situation(
        self, outlook: Outlook, volume: Volume, promise: Promise, *, chosen: list[int], now_s: float
    ) -> tuple[Situation, Basis]:
        slot, settings = outlook.slot_of(now_s), self._settings
        count = max(volume.slots.size, LOOKAHEAD_SLOTS)
        carbon, basis = carbon_ahead(
            self.carbon, outlook, first=slot, count=count, ar=settings.carbon_ar, needed=volume.slots.size
        )
        provided = outlook.carbon_at(first=slot, count=count)
        situation = Situation(
            flavours=tuple(self._flavours[at] for at in chosen),
            now_s=now_s,
            slot_start_s=outlook.start_of(slot),
            slot_s=outlook.slot_s,
            carbon=carbon,
            provided=np.where(np.isnan(provided), carbon, provided),
            basis=basis,
            requests=volume.slots,
            max_error=settings.max_error,
            promise=promise,
            constraints=settings.constraints,
            previous=self._previous(outlook.start_of(slot), chosen),
            sampling_sigmas=settings.sampling_sigmas,
            memory=self._state.memory,
            seed=settings.seed,
        )
        return situation, basis

    def _previous(self, slot_start_s: float, chosen: list[int]) -> FloatArray | None:
        """The shares (S,) that the flavours now available had in the slot before."""
        weights = self._state.commands.previous(slot_start_s)
        if not weights:
            return None
        return np.array([weights.get(self._flavours[at].name, 0.0) for at in chosen]) / TOTAL_WEIGHT

    def _checked(self, proposal: Proposal, chosen: list[int]) -> FloatArray:
        """The proposal's shares over all flavours; ValueError where a policy breaks its contract."""
        name = self._settings.policy
        try:
            shares = np.asarray(proposal.shares, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"policy {name!r} proposed shares that are no table of numbers: {error}") from error
        if (
            shares.ndim != 2
            or shares.shape[0] < 1
            or shares.shape[1] != len(chosen)
            or not np.isfinite(shares).all()
            or (shares < -1e-9).any()
            or np.abs(shares.sum(axis=1) - 1.0).max() > 1e-6
        ):
            raise ValueError(f"policy {name!r} proposed shares that do not sum to 1 for each slot")
        for what in ("memory", "diagnostics"):  # one figure that JSON cannot hold would cost the whole saved state
            for key, value in getattr(proposal, what).items():
                number(value, what=f"policy {name!r}: {what}.{key}")
        spread = np.zeros((shares.shape[0], len(self._flavours)))
        spread[:, chosen] = np.maximum(shares, 0.0)
        return spread

    def _weights(self, shares: FloatArray, chosen: list[int]) -> tuple[int, ...]:
        weights = np.zeros(len(self._flavours), dtype=np.int64)
        weights[chosen] = integer_weights(shares[chosen], errors=self._errors[chosen])
        return tuple(int(weight) for weight in weights)

    def _reasons(self, situation: Situation, proposal: Proposal, *, basis: Basis, chosen: list[int]) -> Reasons:
        return Reasons(
            carbon_now_g_per_kwh=None if basis == "none" else float(situation.carbon[0]),
            budget_left_error_requests=float(situation.promise.budgets[-1]),
            shadow_price=proposal.shadow_price,
            binding=proposal.binding,
            forecast=basis,
            off_hull=self._off_hull,
            unavailable=tuple(flavour.name for at, flavour in enumerate(self._flavours) if at not in chosen),
            policy=self._settings.policy,
            conditions=proposal.conditions,
            diagnostics=proposal.diagnostics,
        )

    def _remember(  # noqa: PLR0913 - all that a decision leaves behind
        self,
        outlook: Outlook,
        volume: Volume,
        *,
        now_s: float,
        weights: Mapping[str, int],
        mean_error: float,
        memory: Mapping[str, float],
    ) -> None:
        state = self._state
        model = state.volume
        slot = outlook.slot_of(now_s)
        start_s, end_s = outlook.start_of(slot), outlook.start_of(slot + 1)
        if volume.foreseen or model.seen:  # a level made up for want of any teaches nothing
            model = model.expect(start_s=start_s, end_s=end_s, rate_per_s=volume.base_per_s)
        # A clock that was ahead must not leave the time until it gets there again uncounted.
        accounted_s = now_s if state.accounted_until_s is None else min(state.accounted_until_s, now_s)
        commands = state.commands.decided(
            weights, mean_error=mean_error, now_s=now_s, slot_s=start_s, counted_s=accounted_s
        )
        self._state = replace(state, accounted_until_s=accounted_s, commands=commands, volume=model, memory=memory)
