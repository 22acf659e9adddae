"""One delta stream without I/O: order between types, acceptance and rejection, what is sent and what is not.

Behaviours 6-9, 11, 18, 22, 30, 31, 34, 35, 37, 40; the subscription's own rules are in test_subscription.py.
"""

from collections.abc import Iterator

import pytest

from tests.xds.worlds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, RUNTIME, publish
from xds import Snapshot, SnapshotCache, TypeUrl
from xds.delta import DeltaSession, Response
from xds.snapshot import Publication
from xds.subscription import SubscriptionRequest

EVERYTHING = ("cluster", "endpoints", "listener", "route", "runtime")


class Client:
    """One client of one session; asks for everything unless told otherwise."""

    def __init__(self) -> None:
        self.session = DeltaSession()
        self.cache = SnapshotCache()

    @property
    def now(self) -> Publication:
        assert self.cache.current is not None
        return self.cache.current

    def publish(self, label: str = "", **types: dict[str, object]) -> None:
        publish(self.cache, label, **types)

    def ask(
        self,
        type_url: TypeUrl,
        *subscribe: str,
        unsubscribe: tuple[str, ...] = (),
        initial: dict[str, str] | None = None,
        nonce: str = "",
        error: str | None = None,
    ) -> bool:
        request = SubscriptionRequest(subscribe=subscribe, unsubscribe=unsubscribe, initial_versions=initial or {})
        return self.session.request(type_url, request, nonce=nonce, error=error)

    def ask_for_all(self) -> None:
        for type_url in reversed(TypeUrl):  # the order of asking must not matter
            self.ask(type_url, "*")

    def ack(self, response: Response) -> bool:
        return self.ask(response.type_url, nonce=response.nonce)

    def nack(self, response: Response, error: str = "no good") -> bool:
        return self.ask(response.type_url, nonce=response.nonce, error=error)

    def next(self, *, deletions: bool = True) -> Response | None:
        return self.session.next(self.now, deletions=deletions)

    def unacknowledged(self, *, deletions: bool = True) -> Iterator[Response]:
        while (response := self.next(deletions=deletions)) is not None:
            yield response

    def settle(self, *, rejecting: TypeUrl | None = None) -> list[Response]:
        """Take everything there is, and accept it but for one type."""
        taken = []
        while (response := self.next()) is not None:
            taken.append(response)
            self.nack(response) if response.type_url is rejecting else self.ack(response)
        return taken


def names(response: Response) -> tuple[str, ...]:
    return tuple(resource.key.name for resource in response.resources)


def brief(responses: list[Response]) -> list[tuple[TypeUrl, tuple[str, ...], tuple[str, ...]]]:
    return [(each.type_url, names(each), each.removed) for each in responses]


@pytest.fixture
def client() -> Client:
    """A client that has everything of a world with one resource of each type."""
    client = Client()
    client.publish("first", **{each: {"a": 1} for each in EVERYTHING})
    client.ask_for_all()
    client.settle()
    return client


def test_types_leave_in_the_order_in_which_they_are_referred_to() -> None:
    """34: CDS, EDS, LDS, RDS, RTDS, in whatever order they were asked for."""
    client = Client()
    client.publish(**{each: {"a": 1} for each in EVERYTHING})
    client.ask_for_all()
    assert [response.type_url for response in client.settle()] == [CLUSTER, ENDPOINTS, LISTENER, ROUTE, RUNTIME]


def test_one_change_set_keeps_the_order(client: Client) -> None:
    """34: the same for a change as for the beginning."""
    client.publish(**{each: {"a": 2} for each in EVERYTHING})
    assert [response.type_url for response in client.settle()] == [CLUSTER, ENDPOINTS, LISTENER, ROUTE, RUNTIME]


@pytest.mark.parametrize("accepted", [True, False])
def test_what_sends_traffic_waits_until_clusters_and_endpoints_are_answered(client: Client, accepted: bool) -> None:
    """34: acceptance or rejection, both are an answer; a rejection must not stop everything else for good."""
    client.publish(**{each: {"a": 2} for each in EVERYTHING})
    made = list(client.unacknowledged())
    assert [response.type_url for response in made] == [CLUSTER, ENDPOINTS]
    answer = client.ack if accepted else client.nack
    answer(made[1])
    assert client.next() is None
    answer(made[0])
    assert [response.type_url for response in client.unacknowledged()] == [LISTENER, ROUTE, RUNTIME]


def test_what_sends_traffic_does_not_wait_for_its_own_kind(client: Client) -> None:
    """34: among listeners, routes and runtime values the order alone is enough."""
    client.publish(cluster={"a": 1}, endpoints={"a": 1}, listener={"a": 2}, route={"a": 2}, runtime={"a": 1})
    assert [response.type_url for response in client.unacknowledged()] == [LISTENER, ROUTE, RUNTIME]


def test_new_clusters_are_reported_once_and_when_complete() -> None:
    """A proxy must begin to count a cluster before anything sends traffic to it."""
    client = Client()
    client.publish(cluster={"a": 1}, endpoints={"a": 1}, listener={"a": 1})
    client.ask(CLUSTER)
    client.ask(LISTENER)
    cluster = next(client.unacknowledged())
    assert not client.session.take_new_clusters()
    client.ask(ENDPOINTS, "a")
    client.ack(cluster)
    assert not client.session.take_new_clusters(), "its endpoints are not there yet"
    endpoints = next(client.unacknowledged())
    assert endpoints.type_url is ENDPOINTS
    assert not client.session.take_new_clusters(), "nor are they answered"
    client.ack(endpoints)
    assert client.session.take_new_clusters()
    assert not client.session.take_new_clusters()


def test_a_changed_cluster_is_not_a_new_one(client: Client) -> None:
    """It is counted already."""
    assert client.session.take_new_clusters()
    client.publish(**{each: {"a": 2} for each in EVERYTHING})
    client.settle()
    assert not client.session.take_new_clusters()


def test_a_cluster_known_from_the_last_stream_is_not_a_new_one() -> None:
    """29: named on reconnect."""
    client = Client()
    client.publish(cluster={"a": 1}, endpoints={"a": 1})
    client.ask(CLUSTER, initial={"a": "other"})
    client.ask(ENDPOINTS, "a")
    client.settle()
    assert not client.session.take_new_clusters()


def test_endpoints_that_vanish_are_not_waited_for(client: Client) -> None:
    """A new cluster whose endpoints the client had already, gone before they were sent again."""
    client.session.take_new_clusters()
    client.publish(endpoints={"a": 1, "b": 1})
    client.settle()
    client.publish(cluster={"b": 1}, endpoints={"b": 1})
    client.ack(next(client.unacknowledged()))
    client.publish()
    client.settle()
    client.publish(cluster={"c": 1}, endpoints={"c": 1})
    client.settle()
    assert client.session.take_new_clusters()


def test_deletions_leave_last_what_refers_first(client: Client) -> None:
    """34: break after make; a listener goes before its route, that before its cluster, that before its endpoints."""
    client.publish(**{each: {"b": 1} for each in EVERYTHING})
    assert brief(client.settle()) == [
        (CLUSTER, ("b",), ()),
        (ENDPOINTS, ("b",), ()),
        (LISTENER, ("b",), ()),
        (ROUTE, ("b",), ()),
        (RUNTIME, ("b",), ()),
        (RUNTIME, (), ("a",)),
        (LISTENER, (), ("a",)),
        (ROUTE, (), ("a",)),
        (CLUSTER, (), ("a",)),
        (ENDPOINTS, (), ("a",)),
    ]


def test_a_deletion_waits_for_every_outstanding_response(client: Client) -> None:
    """34: until the route is accepted somebody may still be sent to the old cluster."""
    client.publish(cluster={"b": 1}, endpoints={"b": 1}, listener={"a": 1}, route={"a": 2}, runtime={"a": 1})
    for made in (CLUSTER, ENDPOINTS), (ROUTE, RUNTIME):
        sent = list(client.unacknowledged())
        assert tuple(each.type_url for each in sent) == made
        for response in sent:
            assert client.next() is None
            client.ack(response)
    assert brief(client.settle()) == [(CLUSTER, (), ("a",)), (ENDPOINTS, (), ("a",))]


def test_a_deletion_waits_for_the_deletion_of_what_refers_to_it(client: Client) -> None:
    """34: the route must be gone, not only on its way out."""
    client.publish(listener={}, route={}, cluster={}, endpoints={}, runtime={"a": 1})
    client.ack(next(client.unacknowledged()))  # the runtime layer, renewed
    for type_url in (LISTENER, ROUTE, CLUSTER, ENDPOINTS):
        response = client.next()
        assert response is not None
        assert (response.type_url, response.removed) == (type_url, ("a",))
        assert client.next() is None
        client.ack(response)
    assert client.next() is None


def test_a_deletion_waits_while_what_refers_to_it_is_rejected(client: Client) -> None:
    """9, 34: a client that rejected the new route follows the old one, which needs the old cluster."""
    client.publish(cluster={"b": 1}, endpoints={"b": 1}, listener={"a": 1}, route={"a": 2}, runtime={"a": 1})
    client.settle(rejecting=ROUTE)
    client.publish(cluster={"b": 1}, endpoints={"b": 1}, listener={"a": 1}, route={"a": 3}, runtime={"a": 1})
    assert [each.removed for each in client.settle()] == [(), (), ("a",), ("a",)]


def test_deleting_what_was_rejected_is_a_change_like_any_other(client: Client) -> None:
    """9: the cure of a bad listener may be to take it away; its rejection must not stand in the way."""
    client.publish(listener={"a": 2}, **{each: {"a": 1} for each in EVERYTHING if each != "listener"})
    client.settle(rejecting=LISTENER)
    client.publish(**{each: {"a": 1} for each in EVERYTHING if each != "listener"})
    assert (LISTENER, (), ("a",)) in brief(client.settle())


def test_deletions_can_be_held_back(client: Client) -> None:
    """34: in the first moments of a stream nobody knows yet what the client refers to."""
    client.publish(**{each: {"b": 1} for each in EVERYTHING})
    while (response := client.next(deletions=False)) is not None:
        assert not response.removed
        client.ack(response)
    assert next(client.unacknowledged()).removed == ("a",)


def test_a_question_for_what_is_absent_is_answered_at_once(client: Client) -> None:
    """25, 37: an answer is no deletion: it waits neither for time nor for acceptance."""
    client.publish(**{each: {"a": 2} for each in EVERYTHING})
    outstanding = next(client.unacknowledged())
    client.ask(ENDPOINTS, "gone")
    response = client.next(deletions=False)
    assert response is not None
    assert (outstanding.type_url, response.type_url, response.removed) == (CLUSTER, ENDPOINTS, ("gone",))


def test_endpoints_follow_every_response_with_their_cluster(client: Client) -> None:
    """35: a changed cluster waits until it is given its endpoints again; the other cluster's are left alone."""
    both: dict[str, object] = {"a": 1, "b": 1}
    client.publish(cluster=both, endpoints=both)
    client.settle()
    client.publish(cluster={"a": 2, "b": 1}, endpoints=both)
    assert [(t, n) for t, n, _ in brief(client.settle()) if t is not RUNTIME] == [
        (CLUSTER, ("a",)),
        (ENDPOINTS, ("a",)),
    ]


def test_endpoints_are_sent_again_when_a_new_stream_asks_for_its_clusters() -> None:
    """29, 35: whatever versions the client names on reconnect."""
    client = Client()
    client.publish(cluster={"a": 1}, endpoints={"a": 1})
    versions = {t: client.now.snapshot.resources(t)["a"].version for t in (CLUSTER, ENDPOINTS)}
    client.ask(CLUSTER, initial={"a": versions[CLUSTER]})
    client.ask(ENDPOINTS, "a", initial={"a": versions[ENDPOINTS]})
    assert brief(client.settle()) == [(CLUSTER, (), ()), (ENDPOINTS, ("a",), ())]


def test_endpoints_due_again_that_vanish_first_are_removed(client: Client) -> None:
    """26, 35: a slow client was sent the new cluster, then both went."""
    client.publish(cluster={"a": 2}, endpoints={"a": 1})
    response = next(client.unacknowledged())
    assert response.type_url is CLUSTER
    client.ack(response)
    client.publish()
    assert (ENDPOINTS, (), ("a",)) in brief(client.settle())


def test_a_rejected_response_is_not_sent_again_and_the_next_change_is(client: Client) -> None:
    """9: the same content would be rejected again."""
    client.publish("bad", route={"a": 2})
    bad = next(client.unacknowledged(deletions=False))
    assert client.nack(bad, "duplicate domain")
    assert client.next(deletions=False) is None
    client.publish("still bad", route={"a": 2})
    assert client.next(deletions=False) is None
    client.publish("good", route={"a": 3})
    good = client.next(deletions=False)
    assert good is not None
    assert names(good) == ("a",)


def test_going_back_to_what_the_client_kept_is_a_change(client: Client) -> None:
    """9: it is sent, although the client still has it: the server must hear that it is accepted."""
    client.publish("bad", route={"a": 2})
    client.nack(next(client.unacknowledged(deletions=False)))
    client.publish("back", route={"a": 1})
    response = next(client.unacknowledged(deletions=False))
    assert names(response) == ("a",)
    client.ack(response)
    assert client.session.status[ROUTE].nack is None


def test_status_tells_what_became_of_the_newest_response(client: Client) -> None:
    """9: message and count are kept; an acceptance clears the message, not the count."""
    status = client.session.status[ROUTE]
    assert (status.sent, status.acked, status.nack, status.nacks) == ("first", "first", None, 0)
    client.publish("bad", route={"a": 2})
    client.nack(next(client.unacknowledged(deletions=False)), "duplicate domain")
    assert (status.sent, status.acked, status.nack, status.nacks) == ("bad", "first", "duplicate domain", 1)
    client.publish("good", route={"a": 3})
    response = next(client.unacknowledged(deletions=False))
    assert (status.sent, status.acked, status.nack) == ("good", "first", "duplicate domain")
    client.ack(response)
    assert (status.sent, status.acked, status.nack, status.nacks) == ("good", "good", None, 1)


def test_an_empty_reason_is_a_rejection_all_the_same(client: Client) -> None:
    """9: the presence of error_detail decides, and nothing else."""
    client.publish("bad", route={"a": 2})
    client.nack(next(client.unacknowledged(deletions=False)), "")
    assert client.session.status[ROUTE].nacks == 1
    assert client.session.status[ROUTE].acked == "first"


@pytest.mark.parametrize("error", [None, "no good"])
@pytest.mark.parametrize("nonce", ["", "not one of ours", "1"])
def test_a_nonce_that_is_unknown_or_stale_answers_nothing(client: Client, nonce: str, error: str | None) -> None:
    """6, 11: `1` was accepted long ago. What is outstanding stays so."""
    client.publish("new", route={"a": 2})
    outstanding = next(client.unacknowledged(deletions=False))
    assert not client.ask(ROUTE, nonce=nonce, error=error)
    status = client.session.status[ROUTE]
    assert (status.acked, status.nack, status.nacks) == ("first", None, 0)
    assert client.ack(outstanding)


def test_subscriptions_count_although_the_nonce_is_stale(client: Client) -> None:
    """11: a delta request is never void."""
    client.ask(ROUTE, "z", nonce="stale")
    response = client.next()
    assert response is not None
    assert response.removed == ("z",)


@pytest.mark.parametrize("error", [None, "no good"])
def test_an_acknowledgement_may_carry_subscriptions(client: Client, error: str | None) -> None:
    """31: acceptance or rejection, both count."""
    client.publish("new", route={"a": 2})
    outstanding = next(client.unacknowledged(deletions=False))
    assert client.ask(ROUTE, "z", nonce=outstanding.nonce, error=error)
    response = client.next(deletions=False)
    assert response is not None
    assert response.removed == ("z",)


def test_a_nonce_of_another_type_answers_nothing(client: Client) -> None:
    """6: bookkeeping is per type."""
    client.publish("new", route={"a": 2}, listener={"a": 2})
    listener, route = list(client.unacknowledged(deletions=False))[:2]
    assert not client.ask(ROUTE, nonce=listener.nonce)
    assert client.ack(route)
    assert client.ack(listener)


def test_nonces_are_unique_on_a_stream_and_never_empty(client: Client) -> None:
    """6: over types, too."""
    nonces = []
    for round_ in range(5):
        client.publish(**{each: {"a": round_ + 10, f"n{round_}": 1} for each in EVERYTHING})
        nonces += [response.nonce for response in client.settle()]
    assert len(set(nonces)) == len(nonces) >= 25
    assert all(nonces)


def test_nonces_do_not_survive_the_stream(client: Client) -> None:
    """7: a new session knows none of the old ones."""
    client.publish("new", route={"a": 2})
    old = next(client.unacknowledged(deletions=False))
    client.session = DeltaSession()
    assert not client.ask(ROUTE, "a", nonce=old.nonce)


def test_one_changed_of_a_hundred_sends_one() -> None:
    """30: and a publication of the same content sends nothing."""
    client = Client()
    many: dict[str, object] = {f"n{i}": 1 for i in range(100)}
    client.publish(listener=many)
    client.ask_for_all()
    client.settle()
    client.publish(listener={**many, "n42": 2})
    assert brief(client.settle()) == [(LISTENER, ("n42",), ())]
    client.publish(listener={**many, "n42": 2})
    assert client.settle() == []


def test_a_resource_with_ttl_is_sent_once_per_publication(client: Client) -> None:
    """40: publishing is the heartbeat; between publications nothing is repeated."""
    for _ in range(3):
        client.publish(**{each: {"a": 1} for each in EVERYTHING})
        assert brief(client.settle()) == [(RUNTIME, ("a",), ())]
        client.ask(LISTENER, "a")
        client.settle()
        assert client.next() is None


def test_heartbeats_a_client_missed_are_not_made_up_for(client: Client) -> None:
    """40, 41: only the newest publication counts."""
    for _ in range(3):
        client.publish(**{each: {"a": 1} for each in EVERYTHING})
    assert len(client.settle()) == 1


def test_what_was_unsubscribed_before_its_response_is_not_sent() -> None:
    """22: the response is made from the subscriptions of that moment."""
    client = Client()
    client.publish(route={"a": 1, "b": 1})
    client.ask(ROUTE, "a", "b")
    client.ask(ROUTE, unsubscribe=("a",))
    assert brief(client.settle()) == [(ROUTE, ("b",), ())]
    client.publish(route={"a": 2, "b": 1})
    assert client.settle() == []


def test_only_types_asked_for_are_sent() -> None:
    """21: and the others do not even count as behind."""
    client = Client()
    client.publish(**{each: {"a": 1} for each in EVERYTHING})
    client.ask(LISTENER)
    assert [response.type_url for response in client.settle()] == [LISTENER]
    assert set(client.session.status) == {LISTENER}


@pytest.mark.parametrize("type_url", list(TypeUrl))
def test_the_legacy_wildcard_exists_for_listeners_and_clusters(type_url: TypeUrl) -> None:
    """14, 32: an empty first request of another type asks for nothing."""
    client = Client()
    client.publish(**{each: {"a": 1} for each in EVERYTHING})
    client.ask(type_url)
    assert bool(client.settle()) is (type_url in (LISTENER, CLUSTER))


def test_responses_carry_the_label_and_the_very_same_bytes(client: Client) -> None:
    """33 and serialise once: the label is informative; no stream makes a copy of its own."""
    client.publish("g7", route={"a": 2})
    response = next(client.unacknowledged(deletions=False))
    assert response.label == "g7"
    assert response.resources[0].wire is client.now.snapshot.resources(ROUTE)["a"].wire


def test_an_empty_world_answers_wildcards_once() -> None:
    """23: for each type that asked."""
    client = Client()
    client.cache.publish(Snapshot([]))
    client.ask_for_all()
    assert brief(client.settle()) == [(type_url, (), ()) for type_url in TypeUrl]
    assert client.next() is None
