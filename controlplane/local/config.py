"""`carbonrouter.yaml`: what may stand in it, and errors that say where and what else would be right."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    model_validator,
)

from controlplane.local.fields import (
    Address,
    Flag,
    Host,
    Name,
    NonEmpty,
    Number,
    Percent,
    Seconds,
    Section,
    Whole,
    doubled,
)
from controlplane.local.promise import Budget, Constraints, DailyBlackout, SpanBlackout
from scheduler.policies import DEFAULT_POLICY, policy_named

_MAX_BYTES = 4 * 1024 * 1024
_MAX_SHOWN = 120
_MERGE_TAG = "tag:yaml.org,2002:merge"


class ConfigError(Exception):
    """A configuration that cannot be used; the message has one line per mistake."""


class Gateway(Section):
    """Where Envoy listens, and how it is kept informed."""

    listen: Address = "127.0.0.1:10000"
    refresh: Seconds = 10.0
    ttl: Seconds = 30.0
    report_every: Seconds = 10.0
    concurrency: Annotated[Whole, Field(ge=1, le=256)] = 2

    @model_validator(mode="after")
    def _ttl_outlives_refresh(self) -> Self:
        if self.ttl < 2 * self.refresh:
            raise ValueError("ttl must be at least twice refresh, or proxies would fall back between two refreshes")
        return self


class Status(Section):
    """Where metrics and status are served."""

    listen: Address = "127.0.0.1:9900"


class FileCarbon(Section):
    """A recorded series."""

    source: Literal["file"]
    path: Path
    repeat: Flag = False


class GbCarbon(Section):
    """The GB Carbon Intensity API: national unless a region or postcode is named."""

    source: Literal["gb"]
    region_id: Annotated[Whole, Field(ge=1, le=17)] | None = None
    postcode: Annotated[str, Field(min_length=2, max_length=4)] | None = None
    base_url: Annotated[str, Field(pattern=r"^https?://")] = "https://api.carbonintensity.org.uk"

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.region_id is not None and self.postcode is not None:
            raise ValueError("region_id and postcode exclude each other")
        return self


Carbon = Annotated[FileCarbon | GbCarbon, Field(discriminator="source")]


class Demand(Section):
    """A recorded pattern of requests: a CSV with a requests_forecast (or requests_actual) column."""

    path: Path
    scale: Annotated[Number, Field(gt=0, allow_inf_nan=False)] = 1.0


class Flavour(Section):
    """One way to answer, with its quality and its energy."""

    name: Name
    precision_pct: Percent
    energy_j: Annotated[Number, Field(ge=0, allow_inf_nan=False)]
    endpoints: Annotated[tuple[Address, ...], NonEmpty]


def _policy(name: str) -> str:
    policy_named(name)
    return name


class Service(Section):
    """A service, its flavours and its promise."""

    name: Name
    namespace: Name = "default"
    hosts: Annotated[tuple[Host, ...], NonEmpty] = ("*",)
    timeout: Seconds = 15.0
    policy: Annotated[str, AfterValidator(_policy)] = DEFAULT_POLICY
    budget: Budget
    constraints: Constraints | None = None
    carbon: Carbon
    demand: Demand | None = None
    flavours: Annotated[tuple[Flavour, ...], NonEmpty]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for what, values in (
            ("two flavours have the same name", [flavour.name for flavour in self.flavours]),
            # Six digits, as the header that pins a flavour has them.
            ("two flavours have the same precision_pct", [f"{flavour.precision_pct:g}" for flavour in self.flavours]),
            ("hosts names twice", [host.lower() for host in self.hosts]),
        ):
            if twice := doubled(values):
                raise ValueError(f"{what}: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _constraints_name_flavours(self) -> Self:
        names = [flavour.name for flavour in self.flavours]
        demanded = self.constraints
        named = () if demanded is None else (*demanded.least_share_pct, *demanded.greatest_share_pct)
        if unknown := sorted(set(named) - set(names)):
            raise ValueError(f"constraints name {', '.join(unknown)}, which is none of the flavours {', '.join(names)}")
        return self


class Config(Section):
    """The whole file."""

    gateway: Gateway = Gateway()
    status: Status = Status()
    state_dir: Path = Path(".carbonrouter")
    services: Annotated[tuple[Service, ...], NonEmpty]

    @model_validator(mode="after")
    def _distinct_services(self) -> Self:
        keys = [f"{service.namespace}/{service.name}" for service in self.services]
        hosts = [host.lower() for service in self.services for host in service.hosts]
        for what, values in (("name", keys), ("host", hosts)):
            if twice := doubled(values):
                raise ValueError(f"two services have the same {what}: {', '.join(twice)}")
        return self


def load_config(path: Path) -> Config:
    """Read, check, and resolve relative paths against the file's own folder.

    Raises:
        ConfigError: one line per mistake: file, path in the file, value, and what is allowed.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(text) > _MAX_BYTES:
        raise ConfigError(f"{path}: is larger than {_MAX_BYTES // 2**20} MiB")
    try:
        content = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader that refuses doubled keys
    except (
        yaml.YAMLError,
        ValueError,
        RecursionError,
        LookupError,
        AttributeError,
        TypeError,
    ) as error:  # ValueError: 2024-13-45, a number of 5,000 digits
        raise ConfigError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: must hold a mapping with at least `services`")
    try:
        config = Config.model_validate(content)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in _explain(error))) from error
    return _resolved(config, path.resolve().parent)


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML lets a later key silently replace an earlier one; in a configuration that is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE_TAG:
                raise _refused("merge keys (<<) are not supported", key_node)
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise _refused("a list or mapping cannot be a key", key_node)
            if key in seen:
                raise _refused(f"key {key!r} stands twice", key_node)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _refused(reason: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, reason, node.start_mark)


def _resolved(config: Config, folder: Path) -> Config:
    def service(each: Service) -> Service:
        changes: dict[str, Any] = {}
        if isinstance(each.carbon, FileCarbon):
            changes["carbon"] = each.carbon.model_copy(update={"path": folder / each.carbon.path})
        if each.demand is not None:
            changes["demand"] = each.demand.model_copy(update={"path": folder / each.demand.path})
        return each.model_copy(update=changes)

    return config.model_copy(
        update={
            "state_dir": folder / config.state_dir,
            "services": tuple(service(each) for each in config.services),
        }
    )


def _explain(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        location = _location(problem["loc"])
        message = _MESSAGES.get(problem["type"]) or problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
        if problem["type"] == "extra_forbidden":
            yield f"{location}: unknown key{_suggestion(problem['loc'])}"
        elif problem["type"] == "missing":
            yield f"{location}: is missing"
        elif isinstance(problem["input"], dict | list | tuple | BaseModel):
            yield f"{location}: {message}"
        else:
            yield f"{location}: {_short(problem['input'])}: {message}"


_MESSAGES = {
    "tuple_type": "must be a list",
    "model_type": "must be a mapping",
    "union_tag_not_found": "must be a mapping with `source`: file or gb",
    "union_tag_invalid": "`source` must be file or gb",
    "model_attributes_type": "must be a mapping with `source`: file or gb",
    "invalid_key": "must be text",
}


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print a number of more than 4,300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _location(parts: tuple[int | str, ...]) -> str:
    text = ""
    for before, part in zip((None, *parts), parts, strict=False):
        if isinstance(part, int) and text:
            text += f"[{part}]"
        elif before != "carbon":  # after that pydantic names the branch of the union taken
            text += f".{part}" if text else str(part)
    return text or "(top level)"


_SECTIONS: dict[str, type[Section]] = {
    "gateway": Gateway,
    "status": Status,
    "services": Service,
    "budget": Budget,
    "constraints": Constraints,
    "blackouts": DailyBlackout,
    "DailyBlackout": DailyBlackout,
    "SpanBlackout": SpanBlackout,
    "flavours": Flavour,
    "file": FileCarbon,
    "gb": GbCarbon,
    "demand": Demand,
}


def _suggestion(location: tuple[int | str, ...]) -> str:
    sections = [part for part in location[:-1] if isinstance(part, str)]
    known = (_SECTIONS[sections[-1]] if sections else Config).model_fields
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
