"""The pure subscription machine, rule by rule.

The numbers are those of a list of 44 behaviours drawn from the protocol text; here stand those of the incremental
protocol that need neither a stream nor an order between types (11, 15, 16, 18, 20-22, 24-33, 37).
"""

import pytest

from xds.subscription import WILDCARD, Changes, DeltaSubscription, SubscriptionRequest

V1 = {"a": "1", "b": "1"}


class Client:
    """Drives one subscription as a stream would: request, then take everything there is to say."""

    def __init__(self, **options: bool) -> None:
        self.machine = DeltaSubscription(**options)

    def ask(self, *subscribe: str, unsubscribe: tuple[str, ...] = (), initial: dict[str, str] | None = None) -> None:
        self.machine.request(
            SubscriptionRequest(subscribe=subscribe, unsubscribe=unsubscribe, initial_versions=initial or {})
        )

    def told(self, tokens: dict[str, str]) -> Changes:
        changes = self.machine.changes(tokens)
        assert changes == self.machine.changes(tokens), "computing changes must change nothing"
        if changes:
            self.machine.sent(changes, tokens)
        return changes


def test_a_name_is_sent_once() -> None:
    """8, 30: after the answer nothing is sent until something changes."""
    client = Client()
    client.ask("a")
    assert client.told(V1) == Changes(send=("a",))
    assert not client.told(V1)


def test_nothing_is_sent_before_anything_is_asked() -> None:
    """21: without a subscription there is nothing to say."""
    assert not Client().told(V1)


def test_changes_of_others_push_nothing() -> None:
    """21: an unrelated change is no reason to send."""
    client = Client()
    client.ask("a")
    client.told(V1)
    assert not client.told({"a": "1", "b": "2", "c": "1"})


def test_names_in_a_request_without_nonce_or_with_a_stale_one_count() -> None:
    """11, 31: subscriptions are taken whatever the nonce; the machine is not even shown it."""
    client = Client()
    client.ask("a")
    client.told(V1)
    client.ask("b")
    assert client.told(V1) == Changes(send=("b",))


def test_a_newly_requested_name_is_sent_although_its_version_did_not_change() -> None:
    """15: being new to the client is enough."""
    client = Client()
    client.ask("a")
    client.told(V1)
    client.told({"a": "2", "b": "1"})
    client.ask("b")
    assert client.told({"a": "2", "b": "1"}).send == ("b",)


def test_unsubscribe_then_resubscribe_sends_again() -> None:
    """16: an unsubscribed resource counts as dropped by the client."""
    client = Client()
    client.ask("a")
    client.told(V1)
    client.ask(unsubscribe=("a",))
    assert not client.told(V1)
    client.ask("a")
    assert client.told(V1) == Changes(send=("a",))


def test_resubscription_within_one_round_sends_once() -> None:
    """18: a name that is both changed and asked for again stands once in the response."""
    client = Client()
    client.ask("a", "a")
    client.ask("a")
    assert client.told(V1).send == ("a",)
    client.ask("a")
    assert client.told({"a": "2"}).send == ("a",)


def test_an_absent_resource_is_sent_when_it_appears() -> None:
    """20, 25: a missing name is reported as removed and stays subscribed."""
    client = Client()
    client.ask("c")
    assert client.told(V1) == Changes(absent=("c",))
    assert not client.told(V1)
    assert client.told({**V1, "c": "1"}) == Changes(send=("c",))


def test_nothing_is_sent_for_an_older_subscription() -> None:
    """22: what was asked for and given up before the answer is not sent."""
    client = Client()
    client.ask("a", "b")
    client.ask(unsubscribe=("a",))
    assert client.told(V1) == Changes(send=("b",))


def test_a_name_given_up_unanswered_is_not_reported_absent_either() -> None:
    """22: nor is its absence news any more."""
    client = Client()
    client.ask("c")
    client.ask(unsubscribe=("c",))
    assert not client.told(V1)


@pytest.mark.parametrize("legacy", [True, False])
def test_the_first_wildcard_is_answered_even_when_there_is_nothing(legacy: bool) -> None:
    """23: a client waits for the first answer, then only for changes."""
    client = Client(legacy_wildcard=legacy)
    client.ask(*(() if legacy else (WILDCARD,)))
    assert client.told({}) == Changes(answer=True)
    assert not client.told({})
    assert client.told({"a": "1"}) == Changes(send=("a",))


def test_every_requested_name_is_answered_although_believed_known() -> None:
    """24: the client may have dropped it meanwhile."""
    client = Client()
    client.ask("a")
    client.told(V1)
    client.ask("a")
    assert client.told(V1) == Changes(send=("a",))
    assert not client.told(V1)


def test_a_requested_name_under_the_wildcard_is_answered() -> None:
    """24: the wildcard does not make a request for a name superfluous."""
    client = Client(legacy_wildcard=True)
    client.ask()
    assert set(client.told(V1).send) == {"a", "b"}
    client.ask("a", "c")
    assert client.told(V1) == Changes(send=("a",), absent=("c",))


def test_an_absent_name_is_answered_each_time_it_is_asked_for() -> None:
    """24, 25: the second question is a question too."""
    client = Client()
    client.ask("c")
    client.told(V1)
    client.ask("c")
    assert client.told(V1) == Changes(absent=("c",))


def test_a_deletion_is_told_once_and_a_new_creation_is_sent() -> None:
    """26: removed once, sent on re-creation, with the same content too."""
    client = Client()
    client.ask("a")
    client.told(V1)
    assert client.told({"b": "1"}) == Changes(deleted=("a",))
    assert not client.told({"b": "1"})
    assert client.told(V1) == Changes(send=("a",))


def test_a_deletion_under_the_wildcard_is_told_once() -> None:
    """26: the same without a name."""
    client = Client(legacy_wildcard=True)
    client.ask()
    client.told(V1)
    assert client.told({"b": "1"}) == Changes(deleted=("a",))
    assert not client.told({"b": "1"})


def test_a_deletion_asked_for_meanwhile_is_told_once() -> None:
    """18, 26: a known name that is gone and asked for again is an answer, not also a deletion."""
    client = Client()
    client.ask("a")
    client.told(V1)
    client.ask("a")
    assert client.told({}) == Changes(absent=("a",))
    assert not client.told({})


def test_a_deletion_held_back_is_not_forgotten() -> None:
    """26, 34: what is held back comes out later, or not at all if the resource is back by then."""
    client = Client()
    client.ask("a", "b")
    client.told(V1)
    held = client.machine.changes({"b": "2"}).without_deletions()
    assert held == Changes(send=("b",))
    client.machine.sent(held, {"b": "2"})
    assert client.machine.changes({"b": "2"}) == Changes(deleted=("a",))
    assert not client.told({"a": "1", "b": "2"})


def test_what_was_never_told_is_not_removed() -> None:
    """26: a resource that came and went unseen is no news."""
    client = Client(legacy_wildcard=True)
    client.ask()
    client.told({})
    assert not client.told({})


@pytest.mark.parametrize("names", [("z",), (WILDCARD,), ("z", WILDCARD)])
def test_unsubscribing_the_unknown_is_accepted_and_needs_no_reply(names: tuple[str, ...]) -> None:
    """27: the server must not mind."""
    client = Client()
    client.ask("a")
    client.told(V1)
    client.ask(unsubscribe=names)
    assert not client.told(V1)
    assert client.machine.wants("a")


def test_an_unsubscribe_only_request_needs_no_reply() -> None:
    """27: and nothing of it is sent afterwards."""
    client = Client()
    client.ask("a", "b")
    client.told(V1)
    client.ask(unsubscribe=("a",))
    assert not client.told(V1)
    assert not client.told({"b": "1"}), "its deletion is no news either"
    assert client.told({"a": "2", "b": "2"}).send == ("b",)


def test_unsubscribing_a_name_the_wildcard_still_covers_is_answered() -> None:
    """28: the client cannot know whether the wildcard covers it, so it is told: here is it, or it is gone."""
    client = Client()
    client.ask(WILDCARD, "a", "c")
    assert client.told(V1).absent == ("c",)
    client.ask(unsubscribe=("a", "c"))
    assert client.told(V1) == Changes(send=("a",), absent=("c",))
    assert client.told({"a": "2", "b": "1"}).send == ("a",)


def test_unsubscribing_under_the_wildcard_what_was_not_named_says_nothing() -> None:
    """27, 28: only a name that was subscribed can be unsubscribed."""
    client = Client()
    client.ask(WILDCARD)
    client.told(V1)
    client.ask(unsubscribe=("a",))
    assert not client.told(V1)
    assert client.told({"a": "2", "b": "1"}).send == ("a",)


def test_dropping_the_wildcard_keeps_the_names() -> None:
    """28: and what only the wildcard covered is gone, so asking for it sends it again."""
    client = Client()
    client.ask(WILDCARD, "a")
    client.told(V1)
    client.ask(unsubscribe=(WILDCARD,))
    assert not client.told(V1)
    assert client.told({"a": "2", "b": "2"}).send == ("a",)
    assert not client.told({"a": "2"}), "b went unnoticed"
    client.ask(WILDCARD)
    assert client.told({"a": "2", "b": "2"}).send == ("b",)


def test_dropping_the_wildcard_before_its_answer_still_gives_what_was_named() -> None:
    """22, 28: names asked for in the same breath are still owed."""
    client = Client()
    client.ask(WILDCARD, "a", "c")
    client.ask(unsubscribe=(WILDCARD,))
    changes = client.told(V1)
    assert (changes.send, changes.absent) == (("a",), ("c",))


def test_initial_versions_skip_what_is_equal_send_what_differs_remove_what_is_gone() -> None:
    """29: the three cases of a reconnecting client, named."""
    client = Client()
    client.ask("a", "b", "c", initial={"a": "1", "b": "0", "c": "1"})
    assert client.told(V1) == Changes(send=("b",), deleted=("c",))
    assert not client.told(V1)


def test_initial_versions_under_the_wildcard() -> None:
    """29: the same for a client that asks for everything; the answer is owed even if all is equal."""
    client = Client(legacy_wildcard=True)
    client.ask(initial={"a": "1", "b": "0", "c": "1"})
    assert client.told(V1) == Changes(send=("b",), deleted=("c",), answer=True)
    same = Client(legacy_wildcard=True)
    same.ask(initial=V1)
    assert same.told(V1) == Changes(answer=True)


def test_a_name_without_initial_version_is_answered_on_reconnect() -> None:
    """24, 29: not holding it is what the client says by leaving it out."""
    client = Client()
    client.ask("a", "b", "c", initial={"a": "1"})
    assert client.told(V1) == Changes(send=("b",), absent=("c",))


def test_initial_versions_of_what_is_not_subscribed_say_nothing() -> None:
    """29: no subscription, no news."""
    client = Client()
    client.ask("a", initial={"a": "1", "z": "1"})
    assert not client.told(V1)


def test_initial_versions_count_in_the_first_request_only() -> None:
    """29: later ones are not allowed, and must not make the server believe anything."""
    client = Client()
    client.ask("a", initial={})
    client.told(V1)
    client.ask("a", "b", initial=V1)
    assert client.told(V1) == Changes(send=("b", "a"))


@pytest.mark.parametrize("subscribe", ["a", WILDCARD])
def test_types_that_must_be_fresh_are_sent_again_on_every_stream(subscribe: str) -> None:
    """29, 35: a cluster would wait for its endpoints, however equal they are, named or by wildcard."""
    client = Client(trust_initial=False)
    client.ask(subscribe, initial={"a": "1"})
    assert client.told({"a": "1"}).send == ("a",)
    assert not client.told({"a": "1"})


def test_fresh_types_still_learn_what_is_gone() -> None:
    """29, 37: the answer for a vanished resource comes all the same."""
    client = Client(trust_initial=False)
    client.ask("a", "b", initial={"a": "1", "b": "1"})
    assert client.told({"a": "1"}) == Changes(send=("a",), absent=("b",))


def test_one_changed_of_a_hundred_sends_one() -> None:
    """30: the point of the incremental protocol."""
    tokens = {f"n{i}": "1" for i in range(100)}
    client = Client(legacy_wildcard=True)
    client.ask()
    assert len(client.told(tokens).send) == 100
    assert client.told({**tokens, "n42": "2"}) == Changes(send=("n42",))


@pytest.mark.parametrize(
    ("legacy", "subscribe", "unsubscribe", "wildcard"),
    [
        (True, (), (), True),
        (True, ("a",), (), False),
        (True, (), ("a",), False),
        (True, (WILDCARD,), (), True),
        (False, (), (), False),
        (False, (WILDCARD,), (), True),
    ],
)
def test_the_legacy_wildcard_is_a_first_request_without_any_name(
    legacy: bool, subscribe: tuple[str, ...], unsubscribe: tuple[str, ...], wildcard: bool
) -> None:
    """32: both lists empty, and only for the types that have it."""
    client = Client(legacy_wildcard=legacy)
    client.ask(*subscribe, unsubscribe=unsubscribe)
    assert client.machine.wants("anything") is wildcard


def test_an_empty_later_request_is_no_wildcard() -> None:
    """14, 32: after names were given, an empty request is an acknowledgement and nothing else."""
    client = Client(legacy_wildcard=True)
    client.ask("a")
    client.told(V1)
    client.ask()
    assert not client.machine.wants("b")
    client.ask(unsubscribe=("a",))
    client.ask()
    assert not client.told(V1)


def test_names_beside_the_legacy_wildcard_keep_it() -> None:
    """14, 28: only an explicit `*` in the unsubscribe list ends it."""
    client = Client(legacy_wildcard=True)
    client.ask()
    client.ask("a")
    client.ask(unsubscribe=("a",))
    assert client.machine.wants("b")
    client.ask(unsubscribe=(WILDCARD,))
    assert not client.machine.wants("b")


def test_resend_applies_to_what_is_wanted_and_there() -> None:
    """35: endpoints are sent again after their cluster, unless nobody asked for them."""
    client = Client()
    client.ask("a")
    client.told(V1)
    client.machine.resend(["a", "b", "z"])
    assert client.told(V1) == Changes(send=("a",))


def test_resend_does_not_make_a_client_have_what_it_never_had() -> None:
    """26, 35: its absence was told once already."""
    client = Client()
    client.ask("z")
    client.told(V1)
    client.machine.resend(["z"])
    assert not client.told(V1)


def test_what_is_to_be_sent_again_but_vanishes_first_is_removed() -> None:
    """26, 35: the client still holds it; that it was due again must not hide its end."""
    client = Client()
    client.ask("a")
    client.told(V1)
    client.machine.resend(["a"])
    assert client.told({}) == Changes(deleted=("a",))


def test_a_vanished_name_is_answered() -> None:
    """37: an assignment of a cluster that has gone meanwhile: the question is answered, with its absence."""
    client = Client(trust_initial=False)
    client.ask("gone")
    assert client.told({}) == Changes(absent=("gone",))
