"""Many services at once: ticks, feedback, publication.

Everything here happens in one event loop, so no state needs a lock; what blocks (the disk) or waits (carbon
sources) has a task of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from controlplane.accounting import FlavourLoad
from controlplane.carbon import CarbonFeed
from controlplane.clock import Clock, sleep_unless
from controlplane.feedback import Feedback, Target
from controlplane.freshness import Freshness
from controlplane.intent import RoutingIntent
from controlplane.metrics.instruments import Instruments
from controlplane.pulse import Pulse
from controlplane.session import Incomplete, ServiceSession
from controlplane.spec import Planned, ServiceSpec
from controlplane.steering import Steering
from controlplane.store import StateStore, StateWriter
from xds import LoadReport

logger = logging.getLogger(__name__)

Publish = Callable[[Sequence[RoutingIntent], str], None]
ClusterName = Callable[[ServiceSpec, str], str]
# Real seconds after which a sender of counts is not waited for.
_SILENT_S = 900.0
# So long the loop may be held by decisions in one go: whoever asks the API meanwhile waits this much longer.
_AT_A_STRETCH_S = 0.005


class Engine:
    """Decides for every configured service, again every `refresh_s` and at the start of every slot.

    Every service in `sessions` has been decided for, so that one which changes never loses its routes meanwhile.

    Args:
        clock: the engine's time; `refresh_s` and slots are measured on it.
        publish: takes all intents and a label, and makes the data plane follow; called at every refresh, since
            publication is also the heartbeat without which proxies return to full quality.
        cluster_name: the name under which a proxy counts what a flavour served.
        store: keeps the books over restarts.
        instruments: what is fed while it works.
    """

    def __init__(  # noqa: PLR0913 - all that surrounds it
        self,
        *,
        clock: Clock,
        publish: Publish,
        cluster_name: ClusterName,
        store: StateStore,
        refresh_s: float,
        instruments: Instruments | None = None,
    ) -> None:
        self.clock = clock
        self.sessions: dict[str, ServiceSession] = {}
        self.feedback = Feedback(now_s=clock.now_s, speed=clock.speed)
        self._instruments = instruments or Instruments()
        self.writer = StateWriter(store, on_written=self._instruments.state_written)
        self.changes = Pulse()
        self.generation = 0
        self.publish_failures = 0
        self._targets: dict[str, Target] = {}
        self.feedback.targets = self._targets
        self._publish = publish
        self._cluster_name = cluster_name
        self._store = store
        self._refresh_s = refresh_s
        self._due_s = clock.now_s()
        self._pending: set[str] = set()
        self._act_now = asyncio.Event()
        self._freshness = Freshness(self._feeds_in_use, clock=clock, on_first=self._decide_soon)

    def configure(self, planned: Sequence[Planned]) -> None:
        """Serve exactly these services; what is unchanged is left alone, and books outlive every change.

        Raises:
            StoreError: saved books cannot be read; nothing has changed then.
        """
        made = [(each, self._session(each)) for each in planned]
        for key in self.sessions.keys() - {each.spec.key for each in planned}:
            self.drop(key)
        for each, session in made:
            self._install(each.spec.key, session)

    def put(self, planned: Planned, *, keep: Callable[[], None] = lambda: None) -> bool:
        """Serve this service too, or as it is now; whether anything changed.

        `keep` is called when nothing else can refuse any more; if it raises, nothing has changed.

        Raises:
            StoreError: saved books cannot be read; nothing has changed then.
        """
        session = self._session(planned)
        keep()
        return self._install(planned.spec.key, session)

    def drop(self, key: str, *, forget: bool = False) -> None:
        """Serve this service no more; its books are kept for the day it comes back, unless they are to be forgotten.

        Raises:
            KeyError: there is no such service.
            OSError: its books cannot be deleted.
        """
        session = self.sessions.pop(key)
        self._forget_targets(session)
        self._act_now.set()
        if forget:
            self.writer.delete(key)
        else:
            self._save(session)

    def steer(self, key: str, steering: Steering) -> ServiceSession:
        """Impose this on a service, at once; it outlives a restart.

        Raises:
            KeyError: there is no such service.
        """
        session = self.sessions[key]
        session.steering = steering
        self._save(session)
        self._decide_alone(session)
        return session

    def enter(  # noqa: PLR0913 - counts, and where they come from
        self,
        key: str,
        loads: Mapping[str, FlavourLoad],
        *,
        since_s: float,
        until_s: float,
        sender: str,
        number: int | None = None,
    ) -> None:
        """Enter what somebody other than a proxy of ours counted in (since_s, until_s], under a number of its own.

        Raises:
            KeyError: there is no such service.
        """
        session, now_s = self.sessions[key], self.clock.now_s()
        senders, silent_s = session.senders, _SILENT_S * self.clock.speed
        counted_s = senders.counted_s(sender, until_s=until_s, now_s=now_s, silent_s=silent_s)
        session.observe(loads, since_s=since_s, until_s=until_s, counted_s=counted_s)
        number = senders.next_number(sender) if number is None else number
        senders.enter(sender, number, until_s=until_s, now_s=now_s)
        self._save(session)

    def save(self, key: str) -> None:
        """Have a service's state saved as it is now.

        Raises:
            KeyError: there is no such service.
        """
        self._save(self.sessions[key])

    def resume(self) -> None:
        """A proxy goes on that was there before us: what it served since the books were written is missing so far."""
        counted = [session.controller.state.accounted_until_s for session in self.sessions.values()]
        self.feedback.resumed_from_s = min((each for each in counted if each is not None), default=None)

    def on_report(self, report: LoadReport) -> None:
        """Enter a proxy's load report into the books of the services it names."""
        loads = self.feedback.take(report)
        counted_s = self.feedback.counted_until_s
        until_s = self.clock.now_s()
        since_s = until_s - report.interval_s * self.clock.speed
        for key, session in self.sessions.items():
            session.observe(loads.get(key, {}), since_s=since_s, until_s=until_s, counted_s=counted_s)
            if key in loads:
                self._save(session)

    async def run(self) -> None:
        """Tick until cancelled; then everything is saved."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.writer.run())
            tasks.create_task(self._freshness.run())
            try:
                await self._tick_forever()
            finally:
                for session in self.sessions.values():
                    self._save(session)
                self.writer.flush()

    def tick(self) -> None:
        """Decide for every service, and publish."""
        now_s = self.clock.now_s()
        next_s = self._next_tick_s(now_s)
        for session in self.sessions.values():
            self._decide(session, now_s=now_s, next_s=next_s)
        self._publish_all()

    async def _tick_forever(self) -> None:
        while True:
            self._act_now.clear()
            with self._instruments.planning():
                await self._decide_what_is_due()
                self._publish_all()
            now_s = self.clock.now_s()
            pause_s = min(self._next_tick_s(now_s), max(self._due_s, now_s)) - now_s
            await sleep_unless(self._act_now, pause_s, clock=self.clock)

    async def _decide_what_is_due(self) -> None:
        """Decide for all services when it is time to, else for those that cannot wait; others may run in between."""
        now_s = self.clock.now_s()
        # A clock that was set back must not silence the engine until it has caught up.
        if self._due_s - self._refresh_s <= now_s < self._due_s and not self._ended(now_s):
            keys: Iterable[str] = list(self._pending)
        else:
            keys = list(self.sessions)
            self._due_s = now_s + self._refresh_s
        self._pending.clear()
        await self._decide_each(keys, next_s=self._next_tick_s(now_s))
        # A round may take longer than is left of a slot: who had its turn before the end must not wait a refresh.
        now_s = self.clock.now_s()
        ended = [key for key, session in self.sessions.items() if session.ends_s <= now_s]
        await self._decide_each(ended, next_s=self._next_tick_s(now_s))

    async def _decide_each(self, keys: Iterable[str], *, next_s: float) -> None:
        stretch_s = time.monotonic()
        for key in keys:
            if (session := self.sessions.get(key)) is not None:
                self._decide(session, now_s=self.clock.now_s(), next_s=next_s)
            if time.monotonic() - stretch_s > _AT_A_STRETCH_S:
                await asyncio.sleep(0)
                stretch_s = time.monotonic()

    def _publish_all(self) -> None:
        intents = [session.intent for session in self.sessions.values() if session.intent is not None]
        self.generation += 1
        moment = datetime.fromtimestamp(self.clock.now_s(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        try:
            self._publish(intents, f"{moment}#{self.generation}")
        except Exception:
            # What was published before is not renewed either, so proxies return to full quality at the TTL.
            self.publish_failures += 1
            logger.exception("generation %d cannot be published", self.generation)
        self.changes.beat()

    def _ended(self, now_s: float) -> bool:
        """Whether something that was decided has ended."""
        return any(session.ends_s <= now_s for session in self.sessions.values())

    def _next_tick_s(self, now_s: float) -> float:
        """After `refresh_s`, or at the end of the slot or decision that comes first."""
        ends = (session.ends_s for session in self.sessions.values())
        return min((end for end in (*ends, now_s + self._refresh_s) if end > now_s), default=now_s + self._refresh_s)

    def _feeds_in_use(self) -> set[CarbonFeed]:
        return {session.feed for session in self.sessions.values()}

    def _decide_soon(self, feed: CarbonFeed) -> None:
        """A first forecast should not wait for the next refresh."""
        self._pending.update(key for key, session in self.sessions.items() if session.feed is feed)
        self._act_now.set()

    def _session(self, planned: Planned) -> ServiceSession:
        running = self.sessions.get(planned.spec.key)
        if running is None:
            return self._begin(planned)
        if running.spec == planned.spec and running.feed is planned.feed:
            return running
        return running.with_spec(planned.spec, planned.feed)

    def _begin(self, planned: Planned) -> ServiceSession:
        key = planned.spec.key
        state = self.writer.load(key)
        try:
            session = ServiceSession.begin(planned.spec, planned.feed, state)
        except ValueError as error:
            self._store.set_aside(key, str(error))
            session = ServiceSession.begin(planned.spec, planned.feed)
        if (reason := self._store.aside.pop(key, None)) is not None:
            window, now_s = planned.spec.settings.window, self.clock.now_s()
            ends_s = now_s + window.length_s if window.kind == "rolling" else window.of(now_s)[1]
            session.incomplete = Incomplete(f"the books could not be used and begin afresh ({reason})", ends_s)
        return session

    def _install(self, key: str, session: ServiceSession) -> bool:
        running = self.sessions.get(key)
        if running is session:
            return False
        if running is not None:
            self._forget_targets(running)
        self.sessions[key] = session
        for flavour in session.spec.flavours:
            self._targets[self._cluster_name(session.spec, flavour.name)] = Target(key, flavour.name)
        self._decide_alone(session)
        self._freshness.look()
        return True

    def _decide_alone(self, session: ServiceSession) -> None:
        """Decide for one service now, and have it published soon; the others have their turn at the next refresh."""
        now_s = self.clock.now_s()
        next_s = min(max(self._due_s, now_s), now_s + self._refresh_s)
        self._decide(session, now_s=now_s, next_s=next_s if next_s > now_s else now_s + self._refresh_s)
        self._act_now.set()

    def _decide(self, session: ServiceSession, *, now_s: float, next_s: float) -> None:
        with self._instruments.deciding():
            session.decide(now_s=now_s, next_s=next_s)
        session.save_failure = self.writer.failing.get(session.spec.key)
        if session.take_settled():  # an idle service has no report that would have it saved
            self._save(session)

    def _forget_targets(self, session: ServiceSession) -> None:
        for flavour in session.spec.flavours:
            self._targets.pop(self._cluster_name(session.spec, flavour.name), None)

    def _save(self, session: ServiceSession) -> None:
        self.writer.changed(session.spec.key, session.state)
