"""One aggregated delta stream, without I/O: what to send next, in which order, and what the client made of it.

A stream holds one subscription per type. Changes leave in the order of `TypeUrl`; deletions leave last and in the
opposite order, once everything that might still refer to the deleted resource has been accepted ("make before
break").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xds.resource import Resource, TypeUrl
from xds.snapshot import Publication
from xds.subscription import Changes, DeltaSubscription, SubscriptionRequest

_LEGACY_WILDCARD = frozenset({TypeUrl.LISTENER, TypeUrl.CLUSTER})
_ORDER = {type_url: place for place, type_url in enumerate(TypeUrl)}
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

    @property
    def settled(self) -> bool:
        return not self.in_flight and self.status.nack is None


class DeltaSession:
    """The state of one stream; it dies with it, nonces included."""

    def __init__(self) -> None:
        self._types: dict[TypeUrl, _Type] = {}
        self._nonces = 0

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
            changes = self._changes(held, publication.tokens[type_url]).without_deletions()
            if changes:
                return self._send(type_url, held, changes, publication)
        if deletions:
            for type_url, held in reversed(self._in_order()):
                changes = self._changes(held, publication.tokens[type_url])
                if changes and self._may_delete(type_url):
                    return self._send(type_url, held, changes, publication)
        return None

    def _in_order(self) -> list[tuple[TypeUrl, _Type]]:
        return [(type_url, self._types[type_url]) for type_url in TypeUrl if type_url in self._types]

    def _may_delete(self, type_url: TypeUrl) -> bool:
        """Whether everything that could refer to resources of this type has been accepted."""
        return all(held.settled for other, held in self._in_order() if _ORDER[other] >= _ORDER[type_url])

    @staticmethod
    def _changes(held: _Type, tokens: Mapping[str, str]) -> Changes:
        if held.up_to_date is tokens:
            return _NOTHING
        changes = held.subscription.changes(tokens)
        if not changes:
            held.up_to_date = tokens
        return changes

    def _send(self, type_url: TypeUrl, held: _Type, changes: Changes, publication: Publication) -> Response:
        held.subscription.sent(changes, publication.tokens[type_url])
        self._nonces += 1
        nonce = str(self._nonces)
        snapshot = publication.snapshot
        held.in_flight[nonce] = held.status.sent = snapshot.label
        resources = tuple(snapshot.resources(type_url)[name] for name in changes.send)
        if type_url is TypeUrl.CLUSTER:
            self._resend_endpoints(resources)
        return Response(type_url, nonce, snapshot.label, resources, changes.absent + changes.deleted)

    def _resend_endpoints(self, clusters: tuple[Resource, ...]) -> None:
        """A changed cluster waits (15 s by default) until it is given its endpoints again."""
        held = self._types.get(TypeUrl.ENDPOINTS)
        if held is not None:
            needs = (key for cluster in clusters for key in cluster.needs)
            held.subscription.resend(key.name for key in needs if key.type_url is TypeUrl.ENDPOINTS)
            held.up_to_date = None
