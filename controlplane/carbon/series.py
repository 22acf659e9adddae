"""A carbon intensity series, and what a source of one must offer."""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Kind = Literal["average", "marginal"]
Basis = Literal["life-cycle", "direct", "generation"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CarbonSeries:
    """Carbon intensity on a regular grid of T slots, as known at `issued_at_s`.

    `start_s` and `issued_at_s` are seconds since the Unix epoch. Both arrays have shape (T,), hold g CO2e/kWh
    and are made read-only; NaN stands for unknown in the forecast and for not (yet) known in the actual values.
    `foreseen_earlier` (T,) is true where the forecast was not issued then, but earlier; None where it is nowhere.

    Raises:
        ValueError: the arrays differ in shape or are not one-dimensional, or `slot_s` is not positive.
    """

    source: str
    zone: str
    kind: Kind
    basis: str
    licence: str
    start_s: float
    slot_s: float
    forecast_g_per_kwh: NDArray[np.float64]
    actual_g_per_kwh: NDArray[np.float64]
    issued_at_s: float
    notes: tuple[str, ...] = ()
    foreseen_earlier: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        forecast, actual = self.forecast_g_per_kwh, self.actual_g_per_kwh
        if forecast.ndim != 1 or forecast.shape != actual.shape:
            raise ValueError(f"forecast {forecast.shape} and actual {actual.shape} must be (T,) both")
        if self.foreseen_earlier is not None:
            if self.foreseen_earlier.shape != forecast.shape:
                raise ValueError(f"foreseen_earlier {self.foreseen_earlier.shape} must be {forecast.shape}")
            self.foreseen_earlier.flags.writeable = False
        if not self.slot_s > 0:
            raise ValueError(f"slot_s must be positive, not {self.slot_s}")
        forecast.flags.writeable = False
        actual.flags.writeable = False

    @property
    def end_s(self) -> float:
        """End of the last slot, seconds since the Unix epoch."""
        return self.start_s + self.slot_s * self.forecast_g_per_kwh.size

    def index_at(self, time_s: float) -> int | None:
        """Return the index of the slot that `time_s` lies in, or None outside the grid."""
        index = math.floor((time_s - self.start_s) / self.slot_s)
        return index if 0 <= index < self.forecast_g_per_kwh.size else None

    def covers(self, time_s: float) -> bool:
        """Tell whether a value, forecast or actual, is known for the slot that `time_s` lies in."""
        index = self.index_at(time_s)
        if index is None:
            return False
        return bool(np.isfinite(self.forecast_g_per_kwh[index]) or np.isfinite(self.actual_g_per_kwh[index]))

    def renews(self, time_s: float) -> bool:
        """Tell whether that value is no older than the series: not only kept from what was foreseen earlier."""
        index = self.index_at(time_s)
        if index is None or not self.covers(time_s):
            return False
        return self.foreseen_earlier is None or not self.foreseen_earlier[index]

    def newly_foreseen(self) -> NDArray[np.float64]:
        """Return the forecast (T,), g CO2e/kWh, NaN where it is unknown or was issued earlier."""
        if self.foreseen_earlier is None:
            return self.forecast_g_per_kwh
        return np.where(self.foreseen_earlier, np.nan, self.forecast_g_per_kwh)


class CarbonSource(Protocol):
    """One provider of one zone's series.

    `poll_s` is the polite interval between two fetches, in seconds: for a provider on the network one slot.
    """

    @property
    def name(self) -> str:
        """The kind of source, as configured: `file`, `gb`."""
        ...

    @property
    def zone(self) -> str:
        """The zone asked for."""
        ...

    @property
    def kind(self) -> Kind:
        """What its figures are: average, or marginal."""
        ...

    @property
    def basis(self) -> str:
        """What they count: generation, direct, life-cycle."""
        ...

    @property
    def poll_s(self) -> float:
        """Polite interval between fetches, seconds."""
        ...

    async def fetch(self, *, now_s: float) -> CarbonSeries:
        """Return a series that covers `now_s`.

        Raises:
            CarbonSourceError: there is none; see `controlplane.carbon.errors`.
        """
        ...

    async def aclose(self) -> None:
        """Release connections; the source is not used again."""
        ...
