"""How many replicas a plan needs."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from scheduler.model import FloatArray


def replica_ceilings(  # noqa: PLR0913 - six plain numbers
    amounts: FloatArray,
    *,
    slot_s: float,
    per_replica_rate: float,
    utilisation: float = 0.8,
    least: int = 0,
    greatest: int,
) -> npt.NDArray[np.int64]:
    """Replicas (T,) that run `amounts` (T,) requests per slot, clamped to [least, greatest].

    One replica answers `per_replica_rate` requests per second when busy all the time, and is to be busy for the
    share `utilisation` of it: ceil(amount / (slot_s x per_replica_rate x utilisation)). `amounts` is all that the
    replicas answer: add what cannot wait.

    Raises ValueError on NaN, negative amounts, or numbers out of range.
    """
    if not (math.isfinite(slot_s) and slot_s > 0.0 and math.isfinite(per_replica_rate) and per_replica_rate > 0.0):
        raise ValueError(f"slot_s and per_replica_rate must be finite and > 0, got {slot_s!r} and {per_replica_rate!r}")
    if not 0.0 < utilisation <= 1.0:
        raise ValueError(f"utilisation must be above 0 and at most 1, not {utilisation!r}")
    if not 0 <= least <= greatest:
        raise ValueError(f"need 0 <= least <= greatest, got {least!r} and {greatest!r}")
    if np.ndim(amounts) != 1 or not (np.isfinite(amounts).all() and (amounts >= 0.0).all()):
        raise ValueError("amounts must be one finite number >= 0 per slot")
    needed = amounts / (slot_s * per_replica_rate * utilisation)
    # Float rounding must not cost a replica.
    replicas = np.ceil(needed * (1.0 - 1e-12))
    return np.clip(replicas, least, greatest).astype(np.int64)
