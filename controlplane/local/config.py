"""`carbonrouter.yaml`: what may stand in it, and errors that say where and what else would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

_MAX_BYTES = 4 * 1024 * 1024
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class ConfigError(Exception):
    """A configuration that cannot be used; the message has one line per mistake."""


def _duration(value: object) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a duration such as 500ms, 30s, 15m, 6h or 1d")
    return float(match[1]) * _UNIT_S[match[2]]


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        ip_address(bare)
    except ValueError:
        raise ValueError(
            "must be ADDRESS:PORT with a literal IP address, such as 127.0.0.1:8080 or [::1]:8080"
        ) from None
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("must end in a port from 1 to 65535")
    return value


def _dns_label(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", value):
        raise ValueError("must be lower-case letters, digits, '-' and '.', as Kubernetes names are")
    return value


Seconds = Annotated[float, BeforeValidator(_duration), Field(gt=0)]
Address = Annotated[str, AfterValidator(_address)]
Name = Annotated[str, AfterValidator(_dns_label)]
Host = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^(\*|(\*\.)?[A-Za-z0-9_.-]+)$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Gateway(_Section):
    """Where Envoy listens, and how it is kept informed."""

    listen: Address = "127.0.0.1:10000"
    refresh: Seconds = 10.0
    ttl: Seconds = 30.0
    report_every: Seconds = 10.0
    concurrency: Annotated[int, Field(ge=1, le=256)] = 2

    @model_validator(mode="after")
    def _ttl_outlives_refresh(self) -> Self:
        if self.ttl < 2 * self.refresh:
            raise ValueError("ttl must be at least twice refresh, or proxies would fall back between two refreshes")
        return self


class Status(_Section):
    """Where metrics and status are served."""

    listen: Address = "127.0.0.1:9900"


class FileCarbon(_Section):
    """A recorded series."""

    source: Literal["file"]
    path: Path
    repeat: bool = False


class GbCarbon(_Section):
    """The GB Carbon Intensity API: national unless a region or postcode is named."""

    source: Literal["gb"]
    region_id: Annotated[int, Field(ge=1, le=17)] | None = None
    postcode: Annotated[str, Field(min_length=2, max_length=4)] | None = None
    base_url: Annotated[str, Field(pattern=r"^https?://")] = "https://api.carbonintensity.org.uk"

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.region_id is not None and self.postcode is not None:
            raise ValueError("region_id and postcode exclude each other")
        return self


Carbon = Annotated[FileCarbon | GbCarbon, Field(discriminator="source")]


class Demand(_Section):
    """A recorded pattern of requests: a CSV with a requests_forecast (or requests_actual) column."""

    path: Path
    scale: Annotated[float, Field(gt=0)] = 1.0


class Budget(_Section):
    """The promise: over each window, the mean error of all answers stays at or below this."""

    max_error_pct: Annotated[float, Field(ge=0, le=100)]
    window: Seconds = 86_400.0
    guard_pct: Annotated[float, Field(ge=0, le=100)] | None = None


class Flavour(_Section):
    """One way to answer, with its quality and its energy."""

    name: Name
    precision_pct: Annotated[float, Field(ge=0, le=100)]
    energy_j: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    endpoints: Annotated[tuple[Address, ...], Field(min_length=1)]


class Service(_Section):
    """A service, its flavours and its promise."""

    name: Name
    namespace: Name = "default"
    hosts: Annotated[tuple[Host, ...], Field(min_length=1)] = ("*",)
    timeout: Seconds = 15.0
    budget: Budget
    carbon: Carbon
    demand: Demand | None = None
    flavours: Annotated[tuple[Flavour, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _distinct_flavours(self) -> Self:
        for what in ("name", "precision_pct"):
            values = [getattr(flavour, what) for flavour in self.flavours]
            if len(set(values)) < len(values):
                raise ValueError(f"two flavours have the same {what}")
        return self


class Config(_Section):
    """The whole file."""

    gateway: Gateway = Gateway()
    status: Status = Status()
    state_dir: Path = Path(".carbonrouter")
    services: Annotated[tuple[Service, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _distinct_services(self) -> Self:
        keys = [f"{service.namespace}/{service.name}" for service in self.services]
        hosts = [host for service in self.services for host in set(service.hosts)]
        for what, values in (("name", keys), ("host", hosts)):
            if doubled := sorted({value for value in values if values.count(value) > 1}):
                raise ValueError(f"two services have the same {what}: {', '.join(doubled)}")
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
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
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
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


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
        message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ").replace("Input should", "should")
        if problem["type"] == "extra_forbidden":
            yield f"{location}: unknown key{_suggestion(problem['loc'])}"
        elif problem["type"] == "missing":
            yield f"{location}: is missing"
        elif isinstance(problem["input"], dict | list | tuple | BaseModel):
            yield f"{location}: {message}"
        else:
            yield f"{location}: {problem['input']!r}: {message}"


def _location(parts: tuple[int | str, ...]) -> str:
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in ("file", "gb"):  # pydantic names the branch of the union taken
            text += f".{part}" if text else part
    return text or "(top level)"


def _suggestion(location: tuple[int | str, ...]) -> str:
    sections = (Config, Gateway, Status, Service, Budget, Flavour, FileCarbon, GbCarbon, Demand)
    known = {name for section in sections for name in section.model_fields}
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
