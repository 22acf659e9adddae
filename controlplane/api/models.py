"""What the API answers with; times are ISO 8601 in UTC, shares fractions, weights integers of 10,000, grams g CO2e."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SourceState = Literal["fresh", "stale", "none"]
Weights = dict[str, int]
Shares = dict[str, float]
_WEIGHTS = {"high": 4100, "mid": 3900, "low": 2000}


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Imposed(_Answer):
    """Weights that a person imposed."""

    weights: Weights
    until: str
    reason: str


class Paused(_Answer):
    """All on the best flavour, until then or until somebody resumes."""

    until: str | None
    reason: str


class Condition(_Answer):
    """As Kubernetes has them."""

    type: str
    status: Literal["True", "False"]
    reason: str
    message: str


class _Service(_Answer):
    namespace: str
    service: str
    policy: str
    weights: Annotated[Weights | None, Field(description="In force until `valid_until`; null once that has passed.")]
    valid_until: str | None
    measured_split: Annotated[Shares, Field(description="What proxies report of the slot that runs.")]
    override: Imposed | None
    paused: Paused | None


class ServiceLine(_Service):
    """One service in a list."""

    flavours: Annotated[list[str], Field(description="Best first.")]
    max_error: float
    mean_error: float | None
    credit: Annotated[float, Field(description="Error-requests the window has left, by what was served so far.")]
    carbon_now_g_per_kwh: float | None
    source: str
    zone: str
    source_state: SourceState
    requests: float
    saving_vs_always_best_pct: float | None
    gain_vs_blind_mix_pct: float | None
    gap_to_clairvoyant_pct: float | None
    trouble: list[Condition]


class ServiceList(_Answer):
    """A page of services."""

    time: str
    generation: int
    total: int
    services: list[ServiceLine]


class FlavourState(_Answer):
    """One flavour."""

    name: str
    precision_pct: float
    energy_j: float
    embodied_g: float
    endpoints: int


class Reasons(_Answer):
    """Why the weights are what they are; see `scheduler.decision.Reasons`."""

    carbon_now_g_per_kwh: float | None
    budget_left_error_requests: float
    shadow_price: Annotated[float | None, Field(description="g CO2e one more error-request of budget would save.")]
    binding: str
    forecast: str
    off_hull: list[str]
    unavailable: list[str]
    policy: str
    conditions: list[str]
    diagnostics: dict[str, float]


class Books(_Answer):
    """The error budget of one window."""

    window_start: str
    window_end: str
    requests: float
    error_requests: float
    mean_error: float | None
    granted: Annotated[float, Field(description="Error-requests, by the promise in force when each was served.")]
    carried: float
    credit: float
    held: bool


class Budget(Books):
    """The promise, and the books of the open window and of the one before it."""

    max_error: float
    previous_window: Books | None
    windows_closed: int
    windows_exceeded: int


class Source(_Answer):
    """One source of carbon figures and how good its series is."""

    source: str
    zone: str
    state: SourceState
    age_s: float | None
    last_error: str | None
    fetches: int
    failures: int
    kind: str | None
    basis: str | None
    licence: str | None
    issued_at: str | None
    next_fetch: Annotated[str | None, Field(description="When the source is asked again; null before the first time.")]
    notes: list[str]


class SourceInUse(Source):
    """A source and what rests on it."""

    services: int
    some_services: list[str]


class SourceList(_Answer):
    """Every source in use."""

    time: str
    sources: list[SourceInUse]


class ServiceSource(Source):
    """The source of one service."""

    now_g_per_kwh: float | None
    expected_range_g_per_kwh: tuple[float, float] | None


class Window(_Answer):
    """What was served in the open window beside its counterfactuals."""

    requests: float
    served: dict[str, float]
    failed_attempts: float
    mean_error: float | None
    grams: float
    always_best_g: float
    carbon_blind_mix_g: float
    clairvoyant_g: float
    saving_vs_always_best_pct: float | None
    gain_vs_blind_mix_pct: float | None
    gap_to_clairvoyant_pct: float | None
    requests_without_carbon: float
    requests_on_forecast: float
    requests_left_out: Annotated[float, Field(description="Of flavours no longer listed; in no other figure here.")]
    energy_j_per_request_reported: dict[str, float]


class Processing(_Answer):
    """How fast work that may wait should be done, and the most replicas at that speed."""

    throttle: float
    ceilings: dict[str, int]


class Demand(_Answer):
    """Who says what demand is to come."""

    source: str
    learned_error: float | None
    learned_bias: float | None


class ServiceState(_Service):
    """Everything about one service."""

    time: str
    flavours: list[FlavourState]
    reasons: Reasons | None
    why: Annotated[list[str], Field(description="The reasons in sentences.")]
    conditions: list[Condition]
    budget: Budget
    carbon: ServiceSource
    demand: Demand
    processing: Processing
    window: Window


class PlannedSlot(_Answer):
    """One slot of the plan."""

    start: str
    end: str
    shares: Shares
    expected_error: float
    carbon_g_per_kwh: float | None


class Schedule(_Answer):
    """What is in force, why, and what is planned after it."""

    time: str
    namespace: str
    service: str
    weights: Annotated[Weights | None, Field(examples=[_WEIGHTS])]
    valid_until: str | None
    expected_error: float | None
    why: list[str]
    reasons: Reasons | None
    slots: list[PlannedSlot]


class PastSlot(_Answer):
    """One slot as it was served; `commanded` and `measured` are shares."""

    start: str
    end: str
    served: dict[str, float]
    failed_attempts: float
    commanded: Shares
    measured: Shares
    carbon_forecast_g_per_kwh: float | None
    carbon_actual_g_per_kwh: float | None


class History(_Answer):
    """Slots, oldest first."""

    time: str
    slots: list[PastSlot]


class Configured(_Answer):
    """A service as it is configured, and where."""

    namespace: str
    service: str
    origin: Annotated[Literal["file", "api"], Field(description="Who may change it: the file, or the API.")]
    configuration: Annotated[dict[str, Any] | None, Field(description="As asked for over the API; null for `file`.")]


class Made(_Answer):
    """What became of a request for a service."""

    namespace: str
    service: str
    outcome: Literal["created", "changed", "unchanged"]


class Entered(_Answer):
    """What became of counts."""

    entered: Annotated[bool, Field(description="False for counts that had been entered before.")]
    budget: Budget


class ProxyList(_Answer):
    """Connected proxies, and what is known of their reports."""

    time: str
    proxies: list[dict[str, Any]]
    feedback: dict[str, float]
