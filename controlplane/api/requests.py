"""What the API is asked with; everything is bounded."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat

from controlplane.config.fields import Seconds
from controlplane.config.promise import Moment
from controlplane.senders import LONGEST_SENDER
from controlplane.steering import LONGEST_REASON
from scheduler import TOTAL_WEIGHT

_LABEL = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
FlavourName = Annotated[str, Field(pattern=_LABEL)]
Reason = Annotated[str, Field(max_length=LONGEST_REASON)]
Count = Annotated[NonNegativeFloat, Field(le=1e12, allow_inf_nan=False)]
_MOST_FLAVOURS = 100


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class OverrideBody(_Body):
    """Weights to impose, of 10,000 together; flavours that are not named get none."""

    weights: Annotated[
        dict[FlavourName, Annotated[int, Field(ge=0, le=TOTAL_WEIGHT, strict=True)]],
        Field(min_length=1, max_length=_MOST_FLAVOURS, examples=[{"high": 9000, "low": 1000}]),
    ]
    duration: Annotated[Seconds, Field(description="How long, at most 366 days.", examples=["15m"])]
    reason: Annotated[Reason, Field(examples=["incident 4711"])] = ""


class PauseBody(_Body):
    """How long to serve the best flavour alone; without a duration until somebody resumes."""

    duration: Annotated[Seconds | None, Field(examples=["1h"])] = None
    reason: Reason = ""


class Metered(_Body):
    """Joules that some of the answers reported."""

    requests: Count
    joules: Annotated[NonNegativeFloat, Field(le=1e15, allow_inf_nan=False)]


class FeedbackBody(_Body):
    """What was served, by flavour, in (since, until].

    `sequence` numbers what a `sender` sends, upwards: what is sent again because no answer came is entered once.
    Times are the engine's; without them counts reach from the sender's last ones, 15 minutes at most, to now.
    """

    sender: Annotated[
        str, Field(min_length=1, max_length=LONGEST_SENDER, pattern=r"^[A-Za-z0-9._:/-]+$", examples=["gateway-1"])
    ]
    sequence: Annotated[int, Field(ge=0, le=2**53, strict=True, examples=[17])]
    since: Moment | None = None
    until: Moment | None = None
    served: Annotated[
        dict[FlavourName, Count], Field(max_length=_MOST_FLAVOURS, examples=[{"high": 120, "mid": 40, "low": 31}])
    ]
    failed: Annotated[dict[FlavourName, Count], Field(max_length=_MOST_FLAVOURS)] = {}
    metered: Annotated[dict[FlavourName, Metered], Field(max_length=_MOST_FLAVOURS)] = {}
