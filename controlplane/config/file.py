"""`carbonrouter.yaml`: what may stand in it, and errors that say where and what else would be right."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from controlplane.config.api import Api
from controlplane.config.carbon import Carbon
from controlplane.config.explain import explain
from controlplane.config.fields import Name, NonEmpty, Section, doubled
from controlplane.config.gateway import Gateway
from controlplane.config.rehearsal import Rehearsal
from controlplane.config.service import AnyService, Service

DEFAULT_SOURCE = "default"
"""The name of the source for services that name none."""
_MAX_BYTES = 4 * 1024 * 1024
_MERGE_TAG = "tag:yaml.org,2002:merge"


class ConfigError(Exception):
    """A configuration that cannot be used; the message has one line per mistake."""


class _Whole(Section):
    """What every configuration has."""

    gateway: Gateway = Gateway()
    api: Api = Api()
    state_dir: Path = Path(".carbonrouter")
    rehearsal: Rehearsal | None = None
    sources: dict[Name, Carbon] = Field(default_factory=dict)
    services: tuple[AnyService, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _sources_by_name(cls, content: Any) -> Any:
        """Put the source a service names, or the one called default, in the name's place."""
        sources = content.get("sources") if isinstance(content, dict) else None
        services = content.get("services") if isinstance(content, dict) else None
        if not isinstance(sources, dict) or not isinstance(services, list):
            return content
        named = [_with_source(service, sources) for service in services]
        return {**content, "services": named}

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        if twice := doubled([service.key for service in self.services]):
            raise ValueError(f"two services have the same name: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _polite_rehearsal(self) -> Self:
        if self.rehearsal is not None:
            named = {f"sources.{name}": section for name, section in self.sources.items()}
            known = set(self.sources.values())
            own = {f"service {each.key}": each.carbon for each in self.services if each.carbon not in known}
            if mistakes := list(self.rehearsal.hurried(named | own)):
                raise ValueError("; ".join(mistakes))
        return self


class Config(_Whole):
    """`carbonrouter up`: an Envoy of ours serves these services."""

    services: Annotated[tuple[Service, ...], NonEmpty]

    @model_validator(mode="after")
    def _distinct_hosts(self) -> Self:
        if twice := doubled([host.lower() for service in self.services for host in service.hosts]):
            raise ValueError(f"two services have the same host: {', '.join(twice)}")
        return self


class EngineConfig(_Whole):
    """`carbonrouter engine`: decisions alone, for services that stand here or come over the API."""


AnyConfig = Config | EngineConfig


def _with_source(service: Any, sources: dict[Any, Any]) -> Any:
    if not isinstance(service, dict):
        return service
    carbon = service.get("carbon", DEFAULT_SOURCE)
    if isinstance(carbon, str) and carbon in sources:
        return {**service, "carbon": sources[carbon]}
    return service


C = TypeVar("C", bound=_Whole)


def load_config(path: Path, kind: type[C]) -> C:
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
        raise ConfigError(f"{path}: must hold a mapping")
    try:
        config = kind.model_validate(content)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in explain(error, top=kind))) from error
    return config.resolved(path.resolve().parent)


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
