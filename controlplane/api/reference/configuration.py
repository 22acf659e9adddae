"""A configuration in the reference's words, as a request for a service of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from controlplane.config import DEFAULT_SOURCE
from controlplane.config.service import MOST_FLAVOURS

_Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Grams = Annotated[float, Field(ge=0, le=5000, allow_inf_nan=False)]
_COMPONENTS = ("router", "consumer", "target")


class Flavour(BaseModel):
    """A flavour; its precision is a fraction, or percent above 1, and its name is made of it."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    precision: Annotated[float, Field(ge=0, le=100)]
    carbon_intensity: Annotated[
        float, Field(validation_alias=AliasChoices("carbonIntensity", "carbon_intensity"), ge=0, le=1e6)
    ] = 1.0
    enabled: bool = True

    @property
    def percent(self) -> float:
        """Precision in percent."""
        return self.precision if self.precision > 1 else 100.0 * self.precision

    @property
    def name(self) -> str:
        """As the reference names it, with what our names may hold."""
        return f"precision-{self.percent:g}"


class Replicas(BaseModel):
    """Bounds of one component."""

    model_config = ConfigDict(extra="ignore")

    least: Annotated[int, Field(validation_alias="minReplicas", ge=0, le=100_000)] = 1
    greatest: Annotated[int, Field(validation_alias="maxReplicas", ge=1, le=100_000)]


class Scheduler(BaseModel):
    """The settings that mean something here; defaults are the reference's."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    target_error: Annotated[_Fraction, Field(validation_alias="targetError")] = 0.15
    policy: Annotated[str, Field(max_length=100)] = "credit-greedy"
    valid_for: Annotated[float, Field(validation_alias="validFor", ge=1, le=31_622_400)] = 60.0
    throttle_min: Annotated[_Fraction, Field(validation_alias="throttleMin")] = 0.05
    floor: Annotated[_Grams, Field(validation_alias="throttleIntensityFloor")] = 150.0
    ceiling: Annotated[_Grams, Field(validation_alias="throttleIntensityCeiling")] = 350.0


_MEANT = {
    "targetError",
    "policy",
    "validFor",
    "throttleMin",
    "throttleIntensityFloor",
    "throttleIntensityCeiling",
    "components",
    "flavours",
    "scheduler",
}


class Body(BaseModel):
    """The body of PUT /config: settings flat or under `scheduler`, components, flavours."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    scheduler: dict[str, Any] | None = None
    components: Annotated[dict[str, Replicas], Field(max_length=16)] = Field(default_factory=dict)
    flavours: Annotated[list[Flavour] | None, Field(max_length=MOST_FLAVOURS)] = None


DEFAULT_FLAVOURS = (
    Flavour(precision=1.0, carbonIntensity=1.0),  # type: ignore[call-arg]
    Flavour(precision=0.5, carbonIntensity=0.6),  # type: ignore[call-arg]
    Flavour(precision=0.3, carbonIntensity=0.3),  # type: ignore[call-arg]
)


def request_of(content: Mapping[str, Any], *, before: Mapping[str, Any] | None) -> tuple[dict[str, Any], list[str]]:
    """A request for a service in our JSON, and the keys that mean nothing here.

    Settings start from the defaults each time, as the reference's do; flavours that are left out stay as they were
    `before`.

    Raises:
        ValidationError: a value is out of range.
    """
    body = Body.model_validate(content)
    flat = {**content, **(body.scheduler or {})}
    settings = Scheduler.model_validate({key: _number(value) for key, value in flat.items()})
    # None found yet is no wish for none.
    flavours = _flavours(body.flavours or DEFAULT_FLAVOURS)
    if not body.flavours and before is not None:
        flavours = before["flavours"]
    request = {
        "policy": settings.policy,
        "valid_for": f"{settings.valid_for:f}s",
        "budget": {"max_error_pct": 100.0 * settings.target_error},
        "carbon": DEFAULT_SOURCE if before is None else before.get("carbon", DEFAULT_SOURCE),
        "processing": {
            "throttle_min_pct": 100.0 * settings.throttle_min,
            "floor_g_per_kwh": settings.floor,
            "ceiling_g_per_kwh": settings.ceiling,
            "replicas": {
                name: {"least": bounds.least, "greatest": bounds.greatest}
                for name, bounds in body.components.items()
                if name in _COMPONENTS
            },
        },
        "flavours": flavours,
    }
    return request, sorted(_printable(key) for key in flat.keys() - _MEANT)[:50]


def _printable(key: str) -> str:
    """A lone surrogate, which JSON may hold, could not be sent back."""
    return key[:100].encode("utf-8", "backslashreplace").decode()


def _number(value: Any) -> Any:
    """Its custom resource has numbers in strings."""
    try:
        return float(value) if isinstance(value, str) and len(value) < 32 else value
    except ValueError:
        return value


def _flavours(given: Any) -> list[dict[str, Any]]:
    """Those enabled; of two with one precision the first."""
    found: dict[str, dict[str, Any]] = {}
    for flavour in given:
        if flavour.enabled:
            told = {"name": flavour.name, "precision_pct": flavour.percent, "energy_j": flavour.carbon_intensity}
            found.setdefault(flavour.name, told)
    return list(found.values())
