"""What the reference's routes answer, in its own words."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class FlavourShare(_Answer):
    """One flavour; precision and weight in percent."""

    name: str
    precision: float
    weight: int
    carbon_intensity: float
    enabled: bool


class Credits(_Answer):
    """The balance and how it moves."""

    balance: float
    velocity: float
    target: float
    min: float
    max: float


class PolicyName(_Answer):
    """The policy in force."""

    name: str


class Throttle(_Answer):
    """Speed of work that may wait, 0-1, and the replicas that follow."""

    throttle: float
    credits_ratio: float
    intensity_ratio: float
    ceilings: dict[str, int]


class ScheduleInForce(_Answer):
    """A schedule, whole percents that sum to 100."""

    flavour_weights: dict[str, int] = Field(examples=[{"precision-100": 41, "precision-30": 59}])
    flavours: list[FlavourShare]
    valid_until: str
    credits: Credits
    policy: PolicyName
    diagnostics: dict[str, float]
    avg_precision: float
    processing: Throttle


class Pending(_Answer):
    """No schedule is in force."""

    status: Literal["pending"]


class Accepted(_Answer):
    """The configuration is in force; keys that mean nothing here are named."""

    status: Literal["accepted"]
    ignored: list[str] = []


class Imposed(_Answer):
    """The weights are in force."""

    status: Literal["schedule set"]


class Realised(BaseModel):
    """What the counts that were entered come to."""

    realized_precision: float
    credit_balance: float
    credit_velocity: float
    total_requests: float
