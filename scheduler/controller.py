"""The rolling controller: at every decision, plan the rest of the window with the budget that is left.

Counts and carbon come in, weights go out. It reads no clock: every time is handed in, so that a replayed day and
a live one run the same code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from scheduler.decision import Binding, Decision, Reasons
from scheduler.demand import Volume, volume_ahead
from scheduler.forecast import carbon_ahead
from scheduler.guard import Exposure, error_ceiling, noise_ceiling
from scheduler.hull import hull_corners, off_hull
from scheduler.ledger import Ledger
from scheduler.model import (
    TOTAL_WEIGHT,
    Flavour,
    FloatArray,
    check_flavours,
    errors_of,
    grams_per_request,
    integer_weights,
)
from scheduler.outlook import Outlook
from scheduler.planner import Plan, plan
from scheduler.settings import ControllerSettings
from scheduler.state import ControllerState


class Controller:
    """Decides for one service. Not for concurrent use; `state` is all there is to keep."""

    def __init__(
        self,
        flavours: Sequence[Flavour],
        settings: ControllerSettings,
        state: ControllerState | None = None,
    ) -> None:
        self._flavours = check_flavours(flavours)
        self._settings = settings
        self._state = state or ControllerState()
        self._errors = errors_of(self._flavours)
        self._corners = hull_corners(self._flavours)
        self._off_hull = off_hull(self._flavours)

    @property
    def state(self) -> ControllerState:
        """The state to keep; a controller made from it decides the same."""
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
        ledger = state.ledger or self._opened(until_s)
        ledger = ledger.add(
            counts,
            errors={flavour.name: flavour.error for flavour in self._flavours},
            since_s=since_s,
            until_s=until_s,
            window_s=settings.window_s,
            offset_s=settings.window_offset_s,
        )
        volume = state.volume.observe(sum(counts.values()), since_s=max(before_s, since_s), until_s=counted_s)
        self._state = replace(state, ledger=ledger, accounted_until_s=max(before_s, counted_s), volume=volume)

    def observe_carbon(self, slot_start_s: float, *, actual_g_per_kwh: float, forecast_g_per_kwh: float | None) -> None:
        """Enter what a slot's carbon intensity turned out to be, and what had been foreseen; repeating is harmless."""
        carbon = self._state.carbon.observe(slot_start_s, actual=actual_g_per_kwh, forecast=forecast_g_per_kwh)
        self._state = replace(self._state, carbon=carbon)

    def decide(self, outlook: Outlook, *, now_s: float, feedback_s: float | None = None) -> Decision:
        """Return the weights to serve from `now_s`, which stay until `feedback_s` (default: the end of the slot)."""
        ledger = self._rolled(now_s)
        slot = outlook.slot_of(now_s)
        valid_until_s = min(outlook.start_of(slot + 1), ledger.current.end_s)
        step_end_s = max(now_s, valid_until_s if feedback_s is None else feedback_s)
        volume = volume_ahead(
            self._state.volume,
            outlook,
            now_s=now_s,
            counted_s=self._counted_s(ledger, now_s),
            step_end_s=min(step_end_s, ledger.current.end_s),
            window_end_s=ledger.current.end_s,
            prior_slots=self._settings.volume_prior_slots,
        )
        ahead = volume.slots.size
        carbon, basis = carbon_ahead(self._state.carbon, outlook, first=slot, count=ahead, ar=self._settings.carbon_ar)
        exposure = self._exposure(ledger, volume)
        budget = exposure.credit + self._settings.max_error * float(volume.slots.sum())
        budget += volume.in_flight * (self._settings.max_error - exposure.in_flight_error)
        planned = self._planned(carbon, volume.slots, budget=budget)
        shares, binding = self._guarded(planned, exposure, grams=grams_per_request(self._flavours, carbon[:1]))
        weights = integer_weights(shares, errors=self._errors)
        expected_error = float(np.dot(weights, self._errors)) / TOTAL_WEIGHT
        self._remember(ledger, outlook, volume, now_s=now_s, weights_error=expected_error)
        return Decision(
            slot_start_s=outlook.start_of(slot),
            slot_end_s=outlook.start_of(slot + 1),
            valid_until_s=valid_until_s,
            weights={flavour.name: weight for flavour, weight in zip(self._flavours, weights, strict=True)},
            expected_error=expected_error,
            planned_weights=np.vstack((shares, planned.weights[1:])),
            reasons=Reasons(
                carbon_now_g_per_kwh=None if basis == "none" else float(carbon[0]),
                budget_left_error_requests=budget,
                shadow_price=None if basis == "none" else planned.shadow_price,
                binding=binding,
                forecast=basis,
                off_hull=self._off_hull,
            ),
        )

    def _remember(
        self, ledger: Ledger, outlook: Outlook, volume: Volume, *, now_s: float, weights_error: float
    ) -> None:
        state = self._state
        model = state.volume
        if volume.foreseen or model.seen:  # a level made up for want of any teaches nothing
            slot = outlook.slot_of(now_s)
            start_s, end_s = outlook.start_of(slot), outlook.start_of(slot + 1)
            model = model.expect(start_s=start_s, end_s=end_s, rate_per_s=volume.base_per_s)
        self._state = replace(
            state,
            ledger=ledger,
            accounted_until_s=now_s if state.accounted_until_s is None else state.accounted_until_s,
            weights_error=weights_error,
            volume=model,
        )

    def _opened(self, at_s: float) -> Ledger:
        settings = self._settings
        return Ledger.opening(at_s=at_s, window_s=settings.window_s, offset_s=settings.window_offset_s)

    def _rolled(self, now_s: float) -> Ledger:
        settings = self._settings
        ledger = self._state.ledger or self._opened(now_s)
        return ledger.at(now_s, window_s=settings.window_s, offset_s=settings.window_offset_s)

    def _counted_s(self, ledger: Ledger, now_s: float) -> float:
        """Time up to which the current window's requests are counted."""
        counted_s = self._state.accounted_until_s
        return now_s if counted_s is None else min(now_s, max(counted_s, ledger.current.start_s))

    def _exposure(self, ledger: Ledger, volume: Volume) -> Exposure:
        books = ledger.current
        guard = self._settings.guard
        if guard is None:
            # With no forecast of demand nothing is promised of what is to come, not even that it comes.
            guard = self._state.volume.guard() if volume.foreseen else 1.0
        low, high = (1.0 - guard) * volume.low, (1.0 + guard) * volume.high
        least = float(self._errors.min())
        flying = self._state.weights_error
        return Exposure(
            max_error=self._settings.max_error,
            least_error=least,
            credit=self._settings.max_error * books.requests - books.error_requests,
            in_flight=(low * volume.in_flight, high * volume.in_flight),
            in_flight_error=least if flying is None else flying,
            step=(low * volume.step, high * volume.step),
            later=low * volume.later,
        )

    def _planned(self, carbon: FloatArray, requests: FloatArray, *, budget: float) -> Plan:
        """Plan slot by slot, or one constant mix when no slot is better than another: any order would be a guess."""
        grams = grams_per_request(self._flavours, carbon)
        errors = np.tile(self._errors, (carbon.size, 1))
        if np.ptp(carbon) > 0.0:
            return plan(error=errors, grams=grams, requests=requests, budget_error_requests=budget)
        total = np.array([requests.sum()])
        mix = plan(error=errors[:1], grams=grams[:1], requests=total, budget_error_requests=budget)
        return replace(mix, weights=np.tile(mix.weights, (carbon.size, 1)))

    def _guarded(self, planned: Plan, exposure: Exposure, *, grams: FloatArray) -> tuple[FloatArray, Binding]:
        """Return this slot's shares (S,), moved along the hull towards quality as far as the guard demands."""
        shares = planned.weights[0]
        error = float(shares @ self._errors)
        ceiling = noise_ceiling(
            exposure,
            planned=min(error, error_ceiling(exposure)),
            corners=self._corners,
            sigmas=self._settings.sampling_sigmas,
        )
        if not planned.feasible:
            return shares, "infeasible"
        if ceiling >= error - 1e-12:
            return shares, "budget" if planned.binding else "none"
        capped = plan(
            error=self._errors[None, :],
            grams=grams,
            requests=np.ones(1),
            budget_error_requests=ceiling,
        )
        return capped.weights[0], "guard"
