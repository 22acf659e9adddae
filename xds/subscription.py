"""The incremental ("delta") subscription of one resource type on one stream, without I/O.

The rules and their names are those of the xDS protocol,
https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#incremental-xds ; the section is named at each rule.
The machine never sees a resource, only names and *tokens*: a token changes when the resource must be sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

WILDCARD = "*"
_STALE = ""  # the token of what a client holds and must be sent again; no resource has it


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRequest:
    """What one request says about subscriptions, whatever the nonce it carries."""

    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a client must be told.

    Attributes:
        send: names of resources to send.
        absent: requested names that do not exist; the answer to a request, sent at once.
        deleted: names that existed and are gone; may be held back until nothing refers to them.
        answer: a response is owed even if all the rest is empty.
    """

    send: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    answer: bool = False

    def __bool__(self) -> bool:
        return bool(self.send or self.absent or self.deleted or self.answer)

    def without_deletions(self) -> Changes:
        """The same with deletions held back."""
        return Changes(self.send, self.absent, (), self.answer)


class DeltaSubscription:
    """Which resources of one type a client wants, and which of them it already has.

    Args:
        legacy_wildcard: an empty first request means "everything" (listeners and clusters only, "How the client
            specifies what resources to return").
        trust_initial: resources whose version the client names on reconnect are not sent again. False for types
            that must be fresh on every stream: endpoints, since a cluster would wait for them, and runtime values,
            whose TTL must be renewed.
    """

    def __init__(self, *, legacy_wildcard: bool = False, trust_initial: bool = True) -> None:
        self._legacy_wildcard = legacy_wildcard
        self._trust_initial = trust_initial
        self._wildcard = False
        self._names: set[str] = set()
        self._known: dict[str, str] = {}
        self._asked: dict[str, None] = {}
        self._owes_answer = False
        self._opened = False

    def wants(self, name: str) -> bool:
        """Whether the client is subscribed to `name`."""
        return self._wildcard or name in self._names

    def holds(self, name: str) -> bool:
        """Whether the client has some version of `name`, as far as we know."""
        return name in self._known

    def request(self, request: SubscriptionRequest) -> None:
        """Take a client's request; what it asks for comes out of the next `changes`."""
        first, self._opened = not self._opened, True
        if first:
            self._open(request)
        for name in request.subscribe:
            self._subscribe(name)
        for name in request.unsubscribe:
            self._unsubscribe(name)
        if request.unsubscribe and not self._wildcard:
            kept = self._names if WILDCARD in request.unsubscribe else self._known.keys() - set(request.unsubscribe)
            self._known = {known: token for known, token in self._known.items() if known in kept}
            self._asked = {asked: None for asked in self._asked if asked in self._names}
        if first and self._trust_initial:
            # "Resource subscribe/unsubscribe": a reconnecting client names what it still holds.
            for name in request.initial_versions:
                self._asked.pop(name, None)

    def _open(self, request: SubscriptionRequest) -> None:
        held = request.initial_versions
        self._known = dict(held) if self._trust_initial else dict.fromkeys(held, _STALE)
        if self._legacy_wildcard and not request.subscribe and not request.unsubscribe:
            self._subscribe(WILDCARD)

    def _subscribe(self, name: str) -> None:
        if name == WILDCARD:
            self._wildcard = True
            self._owes_answer = True  # a client waits for the first answer, even if it is empty
        else:
            self._names.add(name)
            # Every subscribed name is answered, even one believed known: the client may have dropped it meanwhile.
            self._asked[name] = None

    def _unsubscribe(self, name: str) -> None:
        if name == WILDCARD:
            self._wildcard = False
        elif self._wildcard and name in self._names:
            # "Unsubscribing from resources": the client cannot know whether the wildcard still covers the name.
            self._asked[name] = None
        self._names.discard(name)

    def resend(self, names: Iterable[str]) -> None:
        """Send those of `names` again that the client has. It still has them: should they vanish, it is told so."""
        self._known.update((name, _STALE) for name in names if name in self._known)

    def changes(self, tokens: Mapping[str, str]) -> Changes:
        """What the client lacks, where `tokens` maps every existing name to its token. Changes nothing."""
        wanted = tokens if self._wildcard else [name for name in self._names if name in tokens]
        send = [name for name in wanted if self._known.get(name) != tokens[name]]
        seen = set(send)
        asked_again = (name for name in self._asked if name in tokens and name not in seen)
        absent = tuple(name for name in self._asked if name not in tokens)
        gone = set(absent)
        deleted = tuple(name for name in self._known if name not in tokens and name not in gone and self.wants(name))
        return Changes(tuple(chain(send, asked_again)), absent, deleted, self._owes_answer)

    def sent(self, changes: Changes, tokens: Mapping[str, str]) -> None:
        """Record that `changes`, computed from the same `tokens`, are on their way."""
        for name in changes.send:
            self._known[name] = tokens[name]
        for name in chain(changes.absent, changes.deleted):
            self._known.pop(name, None)
        self._asked.clear()
        self._owes_answer = False
