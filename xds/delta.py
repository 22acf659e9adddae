"""One aggregated delta stream, without I/O: what to send next, in which order, and what the client made of it.

A stream holds one subscription per type. Changes leave in the order of `TypeUrl`; deletions leave last, what refers
before what it refers to, once everything that might still refer to the deleted resource has been accepted ("make
before break"). What sends traffic somewhere (listeners, routes, runtime values) waits until the clusters and endpoints
on their way have been answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xds.resource import Resource, TypeUrl
from xds.snapshot import Publication
from xds.subscription import Changes, DeltaSubscription, SubscriptionRequest

_LEGACY_WILDCARD = frozenset({TypeUrl.LISTENER, TypeUrl.CLUSTER})
# What refers stands before what it refers to: listeners name routes, routes clusters, clusters endpoints.
_DELETION_ORDER = (TypeUrl.RUNTIME, TypeUrl.LISTENER, TypeUrl.ROUTE, TypeUrl.CLUSTER, TypeUrl.ENDPOINTS)
_MADE_FIRST = (TypeUrl.CLUSTER, TypeUrl.ENDPOINTS)
_NOTHING = Changes()
_FRESH_ON_EVERY_STREAM = frozenset({TypeUrl.ENDPOINTS, TypeUrl.RUNTIME})


@dataclass(frozen=True, slots=True)
class Response:
    """One delta response, ready to be put on the wire."""

    type_url: TypeUrl
    nonce: str
    label: str
    resources: tuple[Resource, ...]
    removed: tuple[str, ...]


@dataclass(slots=True)
class TypeStatus:
    """How far a client has come with one type.

    Attributes:
        sent: label of the newest snapshot from which something was sent.
        acked: label of the newest snapshot the client accepted.
        nack: the client's message if it rejected the newest response, else None.
        nacks: how many responses it has rejected on this stream.
    """

    sent: str = ""
    acked: str = ""
    nack: str | None = None
    nacks: int = 0


@dataclass(slots=True)
class _Type:
    subscription: DeltaSubscription
    status: TypeStatus = field(default_factory=TypeStatus)
    in_flight: dict[str, str] = field(default_factory=dict)  # nonce -> label
    up_to_date: Mapping[str, str] | None = None  # the tokens for which nothing was left to say


class DeltaSession:
    """The state of one stream; it dies with it, nonces included."""

    def __init__(self) -> None:
        self._types: dict[TypeUrl, _Type] = {}
        self._nonces = 0
        self._unused_clusters = False
        self._awaited_endpoints: set[str] = set()

    @property
    def status(self) -> Mapping[TypeUrl, TypeStatus]:
        """Per subscribed type, what was sent and what the client made of it."""
        return {type_url: held.status for type_url, held in self._types.items()}

    def request(
        self, type_url: TypeUrl, request: SubscriptionRequest, *, nonce: str = "", error: str | None = None
    ) -> bool:
        """Take one request; `error` is the client's reason for rejecting the response `nonce`.

        A nonce that is unknown or stale says nothing about acceptance, but the subscription changes that come with
        it count all the same. Returns whether the request accepted or rejected a response.
        """
        held = self._types.get(type_url)
        if held is None:
            held = self._types[type_url] = _Type(
                DeltaSubscription(
                    legacy_wildcard=type_url in _LEGACY_WILDCARD,
                    trust_initial=type_url not in _FRESH_ON_EVERY_STREAM,
                )
            )
        label = held.in_flight.pop(nonce, None) if nonce else None
        if label is not None:
            held.status.nack = error
            if error is None:
                held.status.acked = label
            else:
                held.status.nacks += 1
        held.subscription.request(request)
        held.up_to_date = None
        return label is not None

    def next(self, publication: Publication, *, deletions: bool = True) -> Response | None:
        """The next response to send, recorded as sent; None when the client is up to date.

        `deletions=False` holds all deletions back.
        """
        for type_url, held in self._in_order():
            if type_url not in _MADE_FIRST and self._making():
                return None
            changes = self._changes(held, publication.tokens[type_url]).without_deletions()
            if changes:
                return self._send(type_url, held, changes, publication)
        if deletions:
            return self._next_deletion(publication)
        return None

    def take_new_clusters(self) -> bool:
        """Whether clusters that the client did not have are now complete, and not yet in use; true once."""
        complete = self._unused_clusters and not self._awaited_endpoints and not self._making()
        if complete:
            self._unused_clusters = False
        return complete

    def _making(self) -> bool:
        return any(self._types[type_url].in_flight for type_url in _MADE_FIRST if type_url in self._types)

    def _next_deletion(self, publication: Publication) -> Response | None:
        if any(held.in_flight for held in self._types.values()):
            return None
        for type_url in _DELETION_ORDER:
            if (held := self._types.get(type_url)) is None:
                continue
            if changes := self._changes(held, publication.tokens[type_url]):
                return self._send(type_url, held, changes, publication)
            if held.status.nack is not None:
                # The client still follows what it had, which may refer to anything further down. A deletion of this
                # very type is another matter: it may be the cure.
                return None
        return None

    def _in_order(self) -> list[tuple[TypeUrl, _Type]]:
        return [(type_url, self._types[type_url]) for type_url in TypeUrl if type_url in self._types]

    @staticmethod
    def _changes(held: _Type, tokens: Mapping[str, str]) -> Changes:
        if held.up_to_date is tokens:
            return _NOTHING
        changes = held.subscription.changes(tokens)
        if not changes:
            held.up_to_date = tokens
        return changes

    def _send(self, type_url: TypeUrl, held: _Type, changes: Changes, publication: Publication) -> Response:
        self._note_new(type_url, held, changes, publication)
        held.subscription.sent(changes, publication.tokens[type_url])
        self._nonces += 1
        nonce = str(self._nonces)
        snapshot = publication.snapshot
        held.in_flight[nonce] = held.status.sent = snapshot.label
        resources = tuple(snapshot.resources(type_url)[name] for name in changes.send)
        if type_url is TypeUrl.CLUSTER:
            self._resend_endpoints(resources)
        return Response(type_url, nonce, snapshot.label, resources, changes.absent + changes.deleted)

    def _note_new(self, type_url: TypeUrl, held: _Type, changes: Changes, publication: Publication) -> None:
        if type_url is TypeUrl.ENDPOINTS:
            self._awaited_endpoints.difference_update(changes.send, changes.absent, changes.deleted)
        elif type_url is TypeUrl.CLUSTER:
            clusters = publication.snapshot.resources(type_url)
            for name in changes.send:
                if not held.subscription.holds(name):
                    self._unused_clusters = True
                    needs = (key for key in clusters[name].needs if key.type_url is TypeUrl.ENDPOINTS)
                    self._awaited_endpoints.update(key.name for key in needs)

    def _resend_endpoints(self, clusters: tuple[Resource, ...]) -> None:
        """A changed cluster waits (15 s by default) until it is given its endpoints again."""
        held = self._types.get(TypeUrl.ENDPOINTS)
        if held is not None:
            needs = (key for cluster in clusters for key in cluster.needs)
            held.subscription.resend(key.name for key in needs if key.type_url is TypeUrl.ENDPOINTS)
            held.up_to_date = None
