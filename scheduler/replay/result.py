"""What one window of a replayed trace emitted, judged by what really happened."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from scheduler.decision import Decision
from scheduler.model import FloatArray

_ONLY_FOR_CLOSER_LOOKS = ("carbon_g_per_kwh", "served", "decisions", "start_s", "slot_s")

_ROUNDING_PCT = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """One window of one trace under one policy and one error budget, beside its counterfactuals.

    Percentages are None where they have no meaning (a comparison with nothing emitted). `over_budget` is true
    when the mean error exceeds what the window was granted by more than float rounding. `window` is its name,
    `window_start` and `window_end` are ISO 8601. `carried_pct` is the unused credit taken over from the window
    before, in percent of this window's requests, and `granted_pct` that and the promise together. `lead` says in
    words what was known of the carbon to come, `lead_h` how far the forecast column was seen, None for all of it.
    `deferred_requests` ran later than they came, `deadlines_missed` later than promised, and
    `realised_deferral_gain_pct` is the share of the clairvoyant's gain by waiting (None without any, and where
    deadlines were missed).
    `carbon_g_per_kwh` (T,), `served` (T, S) and `decisions` are for closer looks and are not in `to_dict`.
    """

    trace: str
    policy: str
    window: str
    window_start: str
    window_end: str
    max_error_pct: float
    carried_pct: float
    granted_pct: float
    requests: float
    grams: float
    mean_error_pct: float
    over_budget: bool
    always_best_g: float
    carbon_blind_mix_g: float
    clairvoyant_g: float
    gap_to_clairvoyant_pct: float | None
    saving_vs_always_best_pct: float | None
    gain_vs_blind_mix_pct: float | None
    lead: str
    lead_h: float | None
    deferred_requests: float
    deadlines_missed: float
    realised_deferral_gain_pct: float | None
    notes: tuple[str, ...]
    start_s: float
    slot_s: float
    carbon_g_per_kwh: FloatArray
    served: FloatArray
    decisions: tuple[Decision, ...]

    def to_dict(self) -> dict[str, object]:
        """Return JSON-safe data."""
        shown = (field.name for field in fields(self) if field.name not in _ONLY_FOR_CLOSER_LOOKS)
        return {name: list(self.notes) if name == "notes" else getattr(self, name) for name in shown}


def rolling_exceeds(
    served: FloatArray, errors: FloatArray, *, slots: int, max_error: float, judged: NDArray[np.bool_]
) -> bool:
    """Whether the mean error of a run of `slots` slots (shorter ones at the beginning) exceeds the promise.

    Runs end with the slots that are `judged` (T,).
    """
    excess = served @ errors - max_error * (1.0 + 1e-9) * served.sum(axis=1)
    sums = np.cumsum(excess)
    sums[slots:] -= sums[:-slots].copy() if slots < sums.size else 0.0
    return bool((sums[judged] > 1e-9 * max(1.0, float(served.sum()))).any())


def above(value: float, reference: float) -> float | None:
    """Percent that `value` lies above a reference; None where the reference is nothing and the value is not."""
    if reference > 0.0:
        percent = (value / reference - 1.0) * 100.0
        return percent if abs(percent) > _ROUNDING_PCT else 0.0
    return 0.0 if value == reference else None


def below(value: float, reference: float) -> float | None:
    """Percent that `value` lies below a reference."""
    percent = above(value, reference)
    return None if percent is None else 0.0 - percent


def iso(time_s: float) -> str:
    """Epoch seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")
