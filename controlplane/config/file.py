"""`carbonrouter.yaml`: what may stand in it, and errors that say where and what else would be right."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import ValidationError, model_validator

from controlplane.config.carbon import FileCarbon
from controlplane.config.explain import explain
from controlplane.config.fields import NonEmpty, Section, doubled
from controlplane.config.gateway import Gateway, Status
from controlplane.config.service import Service

_MAX_BYTES = 4 * 1024 * 1024
_MERGE_TAG = "tag:yaml.org,2002:merge"


class ConfigError(Exception):
    """A configuration that cannot be used; the message has one line per mistake."""


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
        raise ConfigError("\n".join(f"{path}: {line}" for line in explain(error, top=Config))) from error
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
