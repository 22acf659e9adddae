"""Any history of a stream ends well: a Hypothesis state machine drives a session against a client of its own.

The client is written from the protocol text
(https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#incremental-xds), not from our code: it keeps a view
per type, drops what it unsubscribes, ignores what it did not ask for, and on rejection keeps what it had. Between it
and the session lie two queues, so that requests and responses cross.
"""

from collections import deque
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.properties import deterministic
from tests.xds.worlds import CLUSTER, ENDPOINTS, LISTENER, REFERS_TO, ROUTE, RUNTIME, resource
from xds import ResourceKey, Snapshot, SnapshotCache, TypeUrl
from xds.delta import DeltaSession, Response
from xds.snapshot import Publication
from xds.subscription import SubscriptionRequest

MAKE_ORDER = [CLUSTER, ENDPOINTS, LISTENER, ROUTE, RUNTIME]
# Who may, directly or over others, refer to a resource of this type.
REFERRERS = {
    RUNTIME: (),
    LISTENER: (),
    ROUTE: (LISTENER,),
    CLUSTER: (LISTENER, ROUTE, RUNTIME),
    ENDPOINTS: (LISTENER, ROUTE, RUNTIME, CLUSTER),
}
LEGACY_WILDCARD = {LISTENER, CLUSTER}
ALWAYS_FRESH = {ENDPOINTS, RUNTIME}

HAPPENINGS = [
    *("server takes", "server sends everything", "accept") * 4,
    *("reject",) * 3,
    "server sends, deletions later",
    "say nothing",
    "the world changes",
]

types = st.sampled_from(MAKE_ORDER)
names = st.sampled_from(["a", "b"])
Edit = tuple[str, TypeUrl, str]
change_sets = st.lists(st.tuples(st.sampled_from(["set", "set", "remove"]), types, names), max_size=6)
Version = str | None  # None: gone


@dataclass(frozen=True)
class Request:
    """One request on its way to the server."""

    type_url: TypeUrl
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial: dict[str, str] = field(default_factory=dict)
    nonce: str = ""
    error: str | None = None


@dataclass
class ClientType:
    """What a client knows of one type."""

    opened: bool = False
    wildcard: bool = False
    named: set[str] = field(default_factory=set)
    view: dict[str, str] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    awaits_first: bool = False
    rejected: dict[str, Version] = field(default_factory=dict)  # the newest news of a name, if it was rejected

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.named

    def take(self, news: dict[str, Version], *, accept: bool) -> None:
        self.awaits_first = False
        for name, version in news.items():
            self.unanswered.discard(name)
            if not self.wants(name):
                continue
            if not accept:
                self.rejected[name] = version
                continue
            self.rejected.pop(name, None)
            if version is None:
                self.view.pop(name, None)
            else:
                self.view[name] = version

    def drop_unwanted(self) -> None:
        self.view = {name: version for name, version in self.view.items() if self.wants(name)}
        self.rejected = {name: version for name, version in self.rejected.items() if self.wants(name)}
        self.unanswered &= self.named


@dataclass
class ServerType:
    """What an observer of the wire can say of one type on the server's side of the queues."""

    opened: bool = False
    told: dict[str, object] = field(default_factory=dict)  # what the server has reason to believe the client has
    asked: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    wildcard: bool = False
    due_again: set[str] = field(default_factory=set)
    outstanding: set[str] = field(default_factory=set)
    rejected: bool = False


class Stream(RuleBasedStateMachine):
    """The world, one stream at a time, and its client."""

    def __init__(self) -> None:
        super().__init__()
        self.world: dict[TypeUrl, dict[str, int]] = {type_url: {} for type_url in TypeUrl}
        self.content = 0
        self.epoch = 0
        self.cache = SnapshotCache()
        self.client = {type_url: ClientType() for type_url in TypeUrl}
        self.publish()
        self.open_stream()

    @initialize(like_envoy=st.booleans())
    def begin(self, like_envoy: bool) -> None:
        """Half of all histories begin with a client that has a little world, the others with nothing."""
        if like_envoy:
            self.set_resource(LISTENER, "a")
            self.set_resource(RUNTIME, "a")
            self.publish()
            self.subscribe(CLUSTER, "*")
            self.subscribe(LISTENER, "*")
            for type_url in (ENDPOINTS, ROUTE, RUNTIME):
                self.ask(type_url, subscribe=("a", "b"))
            self.deliver_everything()

    # --- the world

    @rule(edits=change_sets)
    def publish_change_set(self, edits: list[Edit]) -> None:
        """Several edits are one change set; none at all is a heartbeat."""
        for kind, type_url, name in edits:
            (self.remove_resource if kind == "remove" else self.set_resource)(type_url, name)
        self.publish()

    def set_resource(self, type_url: TypeUrl, name: str) -> None:
        """Create or change, and create what it refers to."""
        self.content += 1
        self.world[type_url][name] = self.content
        if (target := REFERS_TO.get(type_url)) and name not in self.world[target]:
            self.set_resource(target, name)

    def remove_resource(self, type_url: TypeUrl, name: str) -> None:
        """Remove, and remove what refers to it."""
        self.world[type_url].pop(name, None)
        for referrer, target in REFERS_TO.items():
            if target is type_url and name in self.world[referrer]:
                self.remove_resource(referrer, name)

    def publish(self) -> None:
        resources = []
        for type_url, contents in self.world.items():
            for name, content in contents.items():
                target = REFERS_TO.get(type_url)
                needs = [ResourceKey(target, name)] if target else []
                ttl_s = 30.0 if type_url is RUNTIME else None
                resources.append(resource(type_url, name, content, needs=needs, ttl_s=ttl_s))
        self.epoch += 1
        self.cache.publish(Snapshot(resources, label=str(self.epoch)))
        self.disturbed()

    @property
    def published(self) -> Publication:
        assert self.cache.current is not None
        return self.cache.current

    def token(self, type_url: TypeUrl, name: str) -> object:
        """What makes a response with this resource news."""
        version = self.published.snapshot.resources(type_url)[name].version
        return (version, self.epoch) if type_url is RUNTIME else version

    # --- the stream

    def open_stream(self) -> None:
        self.session = DeltaSession()
        self.server = {type_url: ServerType() for type_url in TypeUrl}
        self.requests: deque[Request] = deque()
        self.responses: deque[Response] = deque()
        self.nonces: set[str] = set()
        self.acknowledgement_lost = False
        self.disturbed()

    def disturbed(self) -> None:
        """From here on, responses are of one change set."""
        self.place = 0
        self.deleting = False

    @rule(whether=st.integers(0, 3), keeps_its_view=st.booleans())
    def stream_breaks(self, whether: int, keeps_its_view: bool) -> None:
        if whether == 3:
            self.reconnect(keeps_its_view)

    def reconnect(self, keeps_its_view: bool) -> None:
        """The stream breaks; the client repeats what it is subscribed to, from memory or after a restart."""
        self.open_stream()
        for type_url, client in self.client.items():
            if not client.opened or not (client.wildcard or client.named):
                self.client[type_url] = ClientType()
                continue
            if not keeps_its_view:
                client.view = {}
            client.rejected = {}
            # What it names, the server need not repeat, except for types that must be fresh.
            client.unanswered = client.named - client.view.keys()
            client.awaits_first = client.wildcard
            legacy = client.wildcard and type_url in LEGACY_WILDCARD and not client.named
            subscribe = {"*"} | client.named if client.wildcard and not legacy else client.named
            self.requests.append(Request(type_url, tuple(sorted(subscribe)), initial=dict(client.view)))

    # --- the client

    def ask(self, type_url: TypeUrl, *, subscribe: tuple[str, ...] = (), unsubscribe: tuple[str, ...] = ()) -> None:
        client = self.client[type_url]
        client.opened = True
        client.wildcard = client.wildcard or "*" in subscribe
        client.awaits_first = client.awaits_first or "*" in subscribe
        client.named |= set(subscribe) - {"*"}
        client.unanswered |= set(subscribe) - {"*"}
        if "*" in unsubscribe:
            client.wildcard = client.awaits_first = False
        client.named -= set(unsubscribe)
        client.drop_unwanted()
        self.requests.append(Request(type_url, subscribe, unsubscribe))

    @rule(type_url=types, name=names | st.just("*"), drop=st.booleans())
    def client_asks(self, type_url: TypeUrl, name: str, drop: bool) -> None:
        if not drop:
            self.subscribe(type_url, name)
        elif self.client[type_url].opened:
            self.ask(type_url, unsubscribe=(name,))

    def subscribe(self, type_url: TypeUrl, name: str) -> None:
        client = self.client[type_url]
        if name == "*" and type_url in LEGACY_WILDCARD and not client.opened:
            client.opened = client.wildcard = client.awaits_first = True
            self.requests.append(Request(type_url))
        else:
            self.ask(type_url, subscribe=(name,))

    def take_response(self, verdict: str = "accept", also: str | None = None) -> None:
        """Take one response; the answer may carry a subscription, or never be sent."""
        response = self.responses.popleft()
        client = self.client[response.type_url]
        news: dict[str, Version] = dict.fromkeys(response.removed)
        news |= {each.key.name: each.version for each in response.resources}
        client.take(news, accept=verdict != "reject")
        if verdict == "say nothing":
            self.acknowledgement_lost = True
            return
        if also is not None:
            client.named.add(also)
            client.unanswered.add(also)
        subscribe = () if also is None else (also,)
        error = "no good" if verdict == "reject" else None
        self.requests.append(Request(response.type_url, subscribe, nonce=response.nonce, error=error))

    # --- the server

    @rule(
        happenings=st.lists(st.sampled_from(HAPPENINGS), min_size=4, max_size=30),
        edits=change_sets,
        also=st.none() | names,
    )
    def time_passes(self, happenings: list[str], edits: list[Edit], also: str | None) -> None:
        """Both ends do what they can, in any order, so that messages cross; meanwhile the world may change."""
        for happening in happenings:
            if happening == "the world changes":
                self.publish_change_set(edits)
            elif happening.startswith("server sends"):
                self.server_sends(deletions=happening.endswith("everything"))
            elif happening == "server takes":
                if self.requests:
                    self.take_request()
            elif self.responses:
                self.take_response(happening, also)
                also = None

    def take_request(self) -> None:
        request = self.requests.popleft()
        self.observe(request)
        answered = self.session.request(
            request.type_url,
            SubscriptionRequest(
                subscribe=request.subscribe, unsubscribe=request.unsubscribe, initial_versions=request.initial
            ),
            nonce=request.nonce,
            error=request.error,
        )
        assert answered is bool(request.nonce)
        self.disturbed()

    def observe(self, request: Request) -> None:
        server = self.server[request.type_url]
        server.asked |= set(request.subscribe) - {"*"}
        if not server.opened:
            legacy = request.type_url in LEGACY_WILDCARD and not request.subscribe and not request.unsubscribe
            server.wildcard |= legacy
            if request.type_url in ALWAYS_FRESH:
                server.told = dict.fromkeys(request.initial, "stale")
            else:
                server.told = dict(request.initial)
                server.asked -= request.initial.keys()
            server.opened = True
        server.wildcard |= "*" in request.subscribe
        server.named |= set(request.subscribe) - {"*"}
        if server.wildcard:
            server.asked |= set(request.unsubscribe) & server.named
        server.wildcard &= "*" not in request.unsubscribe
        server.named -= set(request.unsubscribe)
        if not server.wildcard:
            server.told = {name: token for name, token in server.told.items() if name in server.named}
            server.asked &= server.named
        if request.nonce:
            server.outstanding.discard(request.nonce)
            server.rejected = request.error is not None

    def server_sends(self, *, deletions: bool = True) -> None:
        response = self.session.next(self.published, deletions=deletions)
        if response is not None:
            self.check(response, deletions=deletions)
            self.record(response)
            self.responses.append(response)

    # --- what must hold of each response

    def check(self, response: Response, *, deletions: bool) -> None:
        server = self.server[response.type_url]
        sent = [each.key.name for each in response.resources]
        everything = [*sent, *response.removed]
        assert len(set(everything)) == len(everything), "a name stands twice in a response"
        assert response.nonce, "a nonce is empty"
        assert response.nonce not in self.nonces, "a nonce was used before"
        assert all(server.wildcard or name in server.named | server.asked for name in everything), "not subscribed"
        for name in sent:
            is_news = server.told.get(name) != self.token(response.type_url, name)
            assert is_news or name in server.asked | server.due_again, f"{name} is sent without need"
        deleted = set(response.removed) - server.asked
        assert deleted <= server.told.keys(), "removed without having been there"
        if deleted:
            assert deletions, "a deletion was not held back"
            self.check_deletion(response.type_url, deleted)
        else:
            place = MAKE_ORDER.index(response.type_url)
            making = self.server[CLUSTER].outstanding | self.server[ENDPOINTS].outstanding
            assert place < 2 or not making, "traffic may be sent to clusters that are not yet answered"
            assert not self.deleting, "something is made after the deletions have begun"
            assert place >= self.place, "types are out of order"
            self.place = place
        self.deleting = self.deleting or bool(deleted)

    def check_deletion(self, type_url: TypeUrl, deleted: set[str]) -> None:
        for referrer, target in REFERS_TO.items():
            held = self.server[referrer].told.keys() & deleted if target is type_url else set()
            assert not held, f"{held} of {type_url.name} deleted before the {referrer.name} that refers to it"
        for other, server in self.server.items():
            assert not server.outstanding, f"deletion of {type_url.name} before {other.name} was accepted"
            if other in REFERRERS[type_url]:
                assert not server.rejected, f"deletion of {type_url.name} while a {other.name} stays as it was"

    def record(self, response: Response) -> None:
        server = self.server[response.type_url]
        self.nonces.add(response.nonce)
        server.outstanding.add(response.nonce)
        server.asked.clear()
        server.due_again.clear()
        for each in response.resources:
            server.told[each.key.name] = self.token(response.type_url, each.key.name)
            if response.type_url is CLUSTER:
                self.server[ENDPOINTS].due_again.add(each.key.name)
        for name in response.removed:
            server.told.pop(name, None)

    # --- what must hold once all is said

    @rule()
    def deliver_everything(self) -> None:
        """Let all queues run empty, everything accepted."""
        for _ in range(1000):
            if self.requests:
                self.take_request()
            elif self.responses:
                self.take_response()
            else:
                self.server_sends()
                if not self.responses:
                    break
        else:
            raise AssertionError("server and client never stop talking")
        excused = self.acknowledgement_lost or any(server.rejected for server in self.server.values())
        assert excused or not self.behind, "the server has more to say and does not say it"

    @invariant()
    def client_has_what_it_wants(self) -> None:
        if self.requests or self.responses or self.behind:
            return
        for type_url, client in self.client.items():
            assert not client.awaits_first, "a wildcard was never answered"
            assert not client.unanswered, "a question was never answered"
            self.check_view(type_url, client)

    @property
    def behind(self) -> bool:
        """Whether the client lacks something that the server could send, as far as the wire tells."""
        for type_url, server in self.server.items():
            existing = self.published.snapshot.resources(type_url)
            wanted = {name for name in existing if server.wildcard or name in server.named}
            if any(server.told.get(name) != self.token(type_url, name) for name in wanted):
                return True
            gone = {name for name in server.told if name not in existing}
            if server.asked or server.due_again & wanted or gone or self.client[type_url].awaits_first:
                return True
        return False

    def check_view(self, type_url: TypeUrl, client: ClientType) -> None:
        existing = self.published.snapshot.resources(type_url)
        desired = {name: each.version for name, each in existing.items() if client.wants(name)}
        for name in desired.keys() | client.view.keys():
            newest = desired.get(name)
            if name in client.rejected:
                assert client.rejected[name] == newest, "something newer than what was rejected is owed"
            else:
                assert client.view.get(name) == newest

    def teardown(self) -> None:
        """Whatever happened: when the rejected is replaced, a healthy client comes to have exactly what it wants."""
        if self.acknowledgement_lost:
            self.reconnect(True)
        self.deliver_everything()
        for type_url in TypeUrl:
            for name in self.world[type_url]:
                self.set_resource(type_url, name)
            if self.client[type_url].rejected or self.server[type_url].rejected:
                self.set_resource(type_url, "a")
        self.publish()
        self.deliver_everything()
        for type_url, client in self.client.items():
            existing = self.published.snapshot.resources(type_url)
            assert client.view == {name: each.version for name, each in existing.items() if client.wants(name)}


Stream.TestCase.settings = settings(deterministic, max_examples=300, stateful_step_count=50)
TestStream = Stream.TestCase
