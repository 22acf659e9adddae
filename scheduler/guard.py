"""How much error the next step may carry so that the window still ends within its budget.

The promise is kept for any demand within a band: this step brings between (1 - d) and (1 + d) of its forecast,
and everything later at least (1 - d), all of it answered by the flavour of least error. A later step can then
always be rescued, whatever is decided now.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scheduler.model import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What the promise rests on when a step is decided; volumes are requests, (low, high) ends of the band.

    `credit` is what was granted for the requests counted so far less their error-requests (negative when in debt),
    `in_flight` the least that the same will be for those answered but not counted yet. `step` requests will be
    answered by the weights now decided, and at least `later` come after it in the window.
    """

    max_error: float
    least_error: float
    credit: float
    in_flight: float
    step: tuple[float, float]
    later: float

    def allowance(self, step: float) -> float:
        """Error-requests that a step of `step` requests may carry; negative when nothing helps any more."""
        later = self.later * (self.max_error - self.least_error)
        return self.credit + self.in_flight + later + step * self.max_error


def error_ceiling(exposure: Exposure) -> float:
    """Largest mean error of the step that keeps the promise at both ends of its volume (one end is not enough).

    A step that is expected to be empty may turn out not to be: it gets `max_error` at most, and the least error
    (-inf) when in debt.
    """
    low, high = exposure.step
    if high <= 0.0:
        return exposure.max_error if exposure.allowance(0.0) >= 0.0 else -math.inf
    ceiling = exposure.allowance(high) / high
    if low > 0.0:
        return min(ceiling, exposure.allowance(low) / low)
    return ceiling if exposure.allowance(0.0) >= 0.0 else -math.inf


def noise_ceiling(exposure: Exposure, *, planned: float, corners: FloatArray, sigmas: float) -> float:
    """Largest mean error <= `planned` that leaves room for `sigmas` deviations of sampling noise in the step.

    A proxy draws each flavour at random, so the error-requests of v requests deviate by at most
    sqrt(v Var(error)) (a multinomial draw). `corners` (K,) are the rising errors of the hull; on its edges the
    plan mixes two of them.
    """
    ceiling = planned
    for step in exposure.step:
        spare = exposure.allowance(step)
        while sigmas > 0.0 and step > 0.0:
            below = corners[corners < ceiling]
            if below.size == 0:
                break
            low, high = float(below[-1]), float(corners[min(below.size, corners.size - 1)])
            if low * step <= spare:
                ceiling = _ceiling_on_edge(ceiling, edge=(low, high), step=step, spare=spare, sigmas=sigmas)
                break
            ceiling = low
    return ceiling


def _ceiling_on_edge(planned: float, *, edge: tuple[float, float], step: float, spare: float, sigmas: float) -> float:
    """Solve v (a + y) + z sqrt(v y (w - y)) = spare for y: Var = y (w - y) at error a + y on an edge of width w."""
    low, high = edge
    room = spare - low * step
    square = step * step + sigmas * sigmas * step
    linear = 2.0 * room * step + sigmas * sigmas * step * (high - low)
    discriminant = linear * linear - 4.0 * square * room * room
    if discriminant <= 0.0:
        return planned  # noise fits everywhere on this edge
    root = math.sqrt(discriminant)
    fits_below = low + (linear - root) / (2.0 * square)
    fits_above = low + (linear + root) / (2.0 * square)
    if planned >= fits_above and high * step <= spare:
        return planned
    return min(planned, fits_below)
