"""The desired world, checked before it is published, and the one place where it is published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from xds.resource import Resource, ResourceKey, TypeUrl


class InconsistentSnapshotError(ValueError):
    """A resource refers to one that is missing, or two resources share a key; nothing was published."""


class Snapshot:
    """An immutable set of resources in which every reference leads somewhere.

    Raises:
        InconsistentSnapshotError: naming every dangling reference and every duplicate.
    """

    __slots__ = ("_by_type", "label")

    def __init__(self, resources: Iterable[Resource], *, label: str = "") -> None:
        """`label` says where the snapshot comes from; proxies show it as the system version."""
        self.label = label
        by_type: dict[TypeUrl, dict[str, Resource]] = {type_url: {} for type_url in TypeUrl}
        problems: list[str] = []
        for resource in resources:
            names = by_type[resource.key.type_url]
            if resource.key.name in names:
                problems.append(f"two resources are named {_show(resource.key)}")
            names[resource.key.name] = resource
        for names in by_type.values():
            for resource in names.values():
                problems += (
                    f"{_show(resource.key)} needs {_show(need)}, which is missing"
                    for need in resource.needs
                    if need.name not in by_type[need.type_url]
                )
        if problems:
            raise InconsistentSnapshotError("; ".join(sorted(problems)))
        self._by_type = {type_url: MappingProxyType(names) for type_url, names in by_type.items()}

    def resources(self, type_url: TypeUrl) -> Mapping[str, Resource]:
        """The resources of one type by name."""
        return self._by_type[type_url]

    def __len__(self) -> int:
        return sum(len(names) for names in self._by_type.values())


def _show(key: ResourceKey) -> str:
    return f"{key.type_url.rpartition('.')[2]} {key.name!r}"


@dataclass(frozen=True, slots=True)
class Publication:
    """A snapshot as published.

    Attributes:
        snapshot: what was published.
        tokens: per type, a token for every name that changes when the resource must be sent again: its version, and
            for resources with a TTL the publication too. Types in which nothing changed keep the very same mapping
            from one publication to the next, so that streams can skip them by identity.
    """

    snapshot: Snapshot
    tokens: Mapping[TypeUrl, Mapping[str, str]]


class SnapshotCache:
    """Holds the current snapshot and wakes whoever serves it.

    Publishing is also the heartbeat of resources with a TTL: each publication sends them again, so a publisher that
    stops publishing lets them expire. Waiters that are busy see only the newest snapshot; none are queued.
    """

    def __init__(self) -> None:
        self._current: Publication | None = None
        self._epoch = 0
        self._watchers: set[Callable[[], None]] = set()

    @property
    def current(self) -> Publication | None:
        """The current publication; None until the first."""
        return self._current

    @contextmanager
    def watched(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call `wake`, which must return at once, after each publication while the context lasts."""
        self._watchers.add(wake)
        try:
            yield
        finally:
            self._watchers.discard(wake)

    def publish(self, snapshot: Snapshot) -> None:
        """Make `snapshot` current and wake every waiter."""
        self._epoch += 1
        before = self._current.tokens if self._current else {}
        tokens: dict[TypeUrl, Mapping[str, str]] = {}
        for type_url in TypeUrl:
            fresh = {name: self._token(each) for name, each in snapshot.resources(type_url).items()}
            kept = before.get(type_url)
            tokens[type_url] = kept if kept == fresh and kept is not None else fresh
        self._current = Publication(snapshot, tokens)
        for wake in tuple(self._watchers):
            wake()

    def _token(self, resource: Resource) -> str:
        return resource.version if resource.ttl_s is None else f"{resource.version}@{self._epoch}"
