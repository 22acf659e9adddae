"""Services made over the API: kept beside those of the file, and found again after a restart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import Field

from controlplane.config import DEFAULT_SOURCE, AnyService, Carbon, ConfigError, ServiceTerms
from controlplane.config.fields import Name
from controlplane.store import StateStore, StoreError

_KEY = "services"
_VERSION = 1
MOST_SERVICES = 10_000


class ServiceRequest(ServiceTerms):
    """A service as somebody asks for it over the API.

    Its carbon figures come from one of the sources that the configuration names: an address or a file that a
    stranger chooses would make us their messenger.
    """

    carbon: Name = Field(default=DEFAULT_SOURCE, description="One of the sources that the configuration names.")


class Catalogue:
    """What has been asked for over the API, by `namespace/name`.

    Raises:
        StoreError: what was kept cannot be read.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._raw: dict[str, dict[str, Any]] = {}
        self._requests: dict[str, ServiceRequest] = {}
        self._read()

    def __contains__(self, key: str) -> bool:
        return key in self._requests

    def __iter__(self) -> Iterator[ServiceRequest]:
        return iter(self._requests.values())

    def __len__(self) -> int:
        return len(self._requests)

    def get(self, key: str) -> ServiceRequest | None:
        """What was asked for, None if nothing was."""
        return self._requests.get(key)

    def raw(self, key: str) -> dict[str, Any] | None:
        """The same in JSON, as it was sent."""
        return self._raw.get(key)

    def put(self, key: str, raw: dict[str, Any]) -> None:
        """Keep it, as it was asked for in JSON; blocks for the disk.

        Raises:
            ValidationError: it is no request.
            OSError: it could not be kept; nothing has changed then.
        """
        if self._raw.get(key) == raw:
            return
        request = ServiceRequest.model_validate(raw)
        self._save({**self._raw, key: raw})
        self._requests[key] = request

    def delete(self, key: str) -> None:
        """Forget it; blocks for the disk.

        Raises:
            KeyError: there is no such service.
            OSError: it could not be forgotten; nothing has changed then.
        """
        kept = dict(self._raw)
        del kept[key]
        self._save(kept)
        del self._requests[key]

    def services(self, sources: Mapping[str, Carbon], *, taken: Iterable[str] = ()) -> list[AnyService]:
        """All of them with their sources; `taken` are the names that the file has.

        Raises:
            ConfigError: a source is no longer there, or a name is also in the file.
        """
        if doubled := sorted(self._requests.keys() & set(taken)):
            raise ConfigError(
                f"made over the API already: {', '.join(doubled)}; rename them in the file, delete them over the API "
                "while it runs, or take them out of catalogue/services.json in the state_dir"
            )
        return [resolved(key, request, sources) for key, request in self._requests.items()]

    def _save(self, raw: dict[str, dict[str, Any]]) -> None:
        self._store.save(_KEY, {"version": _VERSION, "services": raw})
        self._raw = raw

    def _read(self) -> None:
        state = self._store.load(_KEY)
        if state is None:
            return
        try:
            self._raw = _services(state)
            self._requests = {key: ServiceRequest.model_validate(raw) for key, raw in self._raw.items()}
        except ValueError as error:  # pydantic's too
            # To go on without them would stop deciding for services that somebody relies on.
            raise StoreError(f"the services that were made over the API cannot be read: {error}") from error


def resolved(key: str, request: ServiceRequest, sources: Mapping[str, Carbon]) -> AnyService:
    """The service with the source it names.

    Raises:
        ConfigError: there is no source of that name.
    """
    source = sources.get(request.carbon)
    if source is None:
        known = ", ".join(sorted(sources)) or "none is configured: add one under `sources`"
        raise ConfigError(f"{key}: carbon: no source is called {request.carbon!r}; there are: {known}")
    namespace, _, name = key.partition("/")
    terms = {field: getattr(request, field) for field in ServiceTerms.model_fields}
    # Checked already; a second time durations would be expected in words.
    return AnyService.model_construct(namespace=namespace, name=name, carbon=source, **terms)


def _services(state: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    services = state.get("services")
    if state.get("version") != _VERSION or not isinstance(services, dict):
        raise ValueError(f"its version is {state.get('version')!r}, not {_VERSION}")
    return services
