"""What a person imposes on a service for a while: weights of their own, or a pause at full quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from scheduler import TOTAL_WEIGHT

LONGEST_REASON = 500


class Override(BaseModel):
    """Weights by flavour, of 10,000, that hold until `until_s` (Unix seconds) whatever the plan says."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    weights: Mapping[str, Annotated[int, Field(ge=0, le=TOTAL_WEIGHT)]]
    until_s: float
    reason: Annotated[str, Field(max_length=LONGEST_REASON)] = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if sum(self.weights.values()) != TOTAL_WEIGHT:
            raise ValueError(f"weights must sum to {TOTAL_WEIGHT}, not {sum(self.weights.values())}")
        return self


class Pause(BaseModel):
    """All traffic on the best flavour until `until_s` (Unix seconds), or until somebody resumes (None)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    until_s: float | None = None
    reason: Annotated[str, Field(max_length=LONGEST_REASON)] = ""


class Steering(BaseModel):
    """What is imposed on one service; a pause goes before an override."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    override: Override | None = None
    pause: Pause | None = None

    @classmethod
    def from_state(cls, data: object) -> Self:
        """Read what `model_dump` gave; ValueError on anything else."""
        try:
            return cls.model_validate({} if data is None else data)
        except ValidationError as error:
            raise ValueError(f"steering: {error}") from error

    def at(self, now_s: float) -> Steering:
        """What of it still holds at `now_s`."""
        override, pause = self.override, self.pause
        if override is not None and override.until_s <= now_s:
            override = None
        if pause is not None and pause.until_s is not None and pause.until_s <= now_s:
            pause = None
        return self if (override, pause) == (self.override, self.pause) else Steering(override=override, pause=pause)

    def imposed(self, flavours: Mapping[str, float]) -> dict[str, int] | None:
        """Weights for all of `flavours` (precision by name), None where nothing is imposed.

        An override that gives weight to a flavour which is no longer there imposes nothing.
        """
        if self.pause is not None:
            best = max(flavours, key=lambda name: flavours[name])
            return {name: TOTAL_WEIGHT if name == best else 0 for name in flavours}
        if self.override is None:
            return None
        if any(weight and name not in flavours for name, weight in self.override.weights.items()):
            return None
        return {name: self.override.weights.get(name, 0) for name in flavours}

    def until_s(self) -> float | None:
        """When what is imposed ends by itself."""
        if self.pause is not None:
            return self.pause.until_s
        return None if self.override is None else self.override.until_s

    def to_state(self) -> dict[str, Any]:
        """JSON-safe data."""
        return self.model_dump(mode="json")
