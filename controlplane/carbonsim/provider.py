"""What a provider knows at the moment: nothing of the future but forecasts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from controlplane.carbonsim.noise import Noise
from controlplane.carbonsim.tape import SLOT_S, Floats, Tape
from controlplane.clock import Clock

_MOST_CHANGES = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """Half-hours from `first_slot` on, arrays (T,) in g CO2e/kWh; NaN where nothing is known (yet)."""

    first_slot: int
    forecast: Floats
    actual: Floats


class Provider:
    """Plays tapes by a clock. A change of tape holds from the current slot on; what was before stays as it was."""

    def __init__(self, tape: Tape, *, clock: Clock, noise: Noise | None = None) -> None:
        self.initial = tape
        self._clock = clock
        self._noise = noise or Noise()
        self._played: list[tuple[int, Tape]] = [(tape.first_slot, tape)]

    @property
    def tape(self) -> Tape:
        """What is played now."""
        return self._played[-1][1]

    @property
    def speed(self) -> float:
        """Simulated seconds in a real second."""
        return self._clock.speed

    def now_s(self) -> float:
        """Simulated time, seconds since the Unix epoch."""
        return self._clock.now_s()

    def current_slot(self) -> int:
        """The half-hour that is going on."""
        return int(self.now_s() // SLOT_S)

    def play(self, tape: Tape) -> None:
        """Play `tape` from the current slot on."""
        self._played.append((self.current_slot(), tape))
        del self._played[:-_MOST_CHANGES]

    def restart(self) -> Tape:
        """Begin the pattern anew in the current slot, and return it.

        Raises:
            ValueError: what is played is a recording, whose values belong to their times of day.
        """
        if not self.tape.pattern:
            raise ValueError("a recorded trace plays at its own times of day and cannot begin anew")
        self.play(replace(self.tape, first_slot=self.current_slot()))
        return self.tape

    def known(self, first_slot: int, count: int) -> Known:
        """The `count` half-hours from `first_slot` on as they are known now.

        Actual values are known of slots that have ended. Forecasts are those issued in the current slot, of earlier
        slots those issued when they began.
        """
        now_s = self.now_s()
        slots = np.arange(first_slot, first_slot + count, dtype=np.int64)
        forecast, actual = self._played[0][1].at(slots)
        for since, tape in self._played[1:]:
            later = slots >= since
            newer_forecast, newer_actual = tape.at(slots)
            forecast, actual = np.where(later, newer_forecast, forecast), np.where(later, newer_actual, actual)
        errors = self._noise.errors(first=first_slot, count=count, issue=int(now_s // SLOT_S))
        return Known(
            first_slot=first_slot,
            forecast=np.maximum(0.0, forecast * (1.0 + errors)),
            actual=np.where((slots + 1) * SLOT_S <= now_s, actual, np.nan),
        )
