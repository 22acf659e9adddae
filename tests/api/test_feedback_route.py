"""Counts sent in: entered once whatever happens, answered when they are durable, in the window they were served in."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.accounting import FlavourLoad
from controlplane.files import write_whole
from controlplane.views import iso
from tests.api.hosts import SHOP, TERMS, Served, served
from tests.controlplane.fakes import DAY_S, START_S, World, service_spec, settle, steady
from tests.support.wait import eventually

KEY = "default/shop"
FEEDBACK = SHOP + "/feedback"


def told(sequence: int = 1, sender: str = "gateway", **changes: Any) -> dict[str, Any]:
    return {"sender": sender, "sequence": sequence, "served": {"high": 10, "low": 30}, **changes}


async def made(world: Served) -> None:
    await world.call("PUT", SHOP, json=TERMS)
    await world.clock.advance(60)


async def requests(world: Served) -> float:
    return (await world.call("GET", SHOP))[1]["budget"]["requests"]


async def test_senders_are_told_apart_and_what_is_sent_again_is_entered_once(tmp_path):
    async with served(tmp_path) as world:
        await made(world)
        for sender in ("a", "b"):
            for sequence, status in ((1, 200), (2, 200), (2, 200), (1, 409)):
                assert (await world.call("POST", FEEDBACK, json=told(sequence, sender)))[0] == status
        assert await requests(world) == 160


@pytest.mark.parametrize(
    "sent",
    [
        told(sequence=-1),
        told(sequence=2**53 + 2),
        told(sequence="1"),
        told(sequence=1.0),
        told(sender=""),
        told(sender="x" * 129),
        told(sender="a b"),
        told(served={"nobody": 1}),
        told(served={"high": -1}),
        told(served={"high": 2e12}),
        told(metered={"high": {"requests": 1, "joules": 4e6}}),
        told(metered={"high": {"requests": 0, "joules": 1}}),
        told(until=iso(START_S + 3600)),
        told(until=iso(START_S - DAY_S)),
        told(until=iso(START_S - 2 * DAY_S)),
        told(since=iso(START_S + 61)),
        told(since=iso(START_S + 60 - DAY_S - 1)),
        told(since="yesterday"),
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_and_may_be_sent_again_mended(tmp_path, sent):
    async with served(tmp_path) as world:
        await made(world)
        assert (await world.call("POST", FEEDBACK, json=sent))[0] == 422
        assert await requests(world) == 0
        assert (await world.call("POST", FEEDBACK, json=told()))[1]["entered"] is True


async def test_a_clock_a_little_ahead_of_ours_is_no_mistake(tmp_path):
    async with served(tmp_path) as world:
        await made(world)
        assert (await world.call("POST", FEEDBACK, json=told(until=iso(START_S + 65))))[0] == 200
        assert await requests(world) == 40


async def test_counts_that_come_late_belong_to_the_window_they_were_served_in(tmp_path):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        await world.clock.advance(DAY_S + 600)
        late = told(since=iso(START_S + DAY_S - 600), until=iso(START_S + DAY_S))
        _, answer = await world.call("POST", FEEDBACK, json=late)
        assert answer["budget"]["requests"] == 0
        assert answer["budget"]["previous_window"]["requests"] == 40
        across = told(2, since=iso(START_S + DAY_S - 300), until=iso(START_S + DAY_S + 300))
        _, answer = await world.call("POST", FEEDBACK, json=across)
        assert answer["budget"]["requests"] == pytest.approx(20)
        assert answer["budget"]["previous_window"]["requests"] == pytest.approx(60)
        _, history = await world.call("GET", f"{SHOP}/history?since={iso(START_S + DAY_S - 1800)}")
        assert [sum(slot["served"].values()) for slot in history["slots"]] == pytest.approx([60, 20])


async def test_without_times_counts_reach_from_the_senders_last_ones_but_not_far_back(tmp_path):
    """Who sent nothing since the night has not served the morning's requests in the night."""
    async with served(tmp_path) as world:
        await made(world)
        await world.call("POST", FEEDBACK, json=told())
        await world.clock.advance(600)
        await world.call("POST", FEEDBACK, json=told(2))  # the ten minutes from the first's end
        late = told(3, since=iso(START_S + 90), until=iso(START_S + 120))
        await world.call("POST", FEEDBACK, json=late)
        await world.clock.advance(3600)
        await world.call("POST", FEEDBACK, json=told(4))  # the last quarter of the hour
        _, history = await world.call("GET", SHOP + "/history")
        served_by_slot = {slot["start"]: sum(slot["served"].values()) for slot in history["slots"]}
        before = 3600 - (world.clock.time_s - 900 - START_S)  # seconds of that quarter that lie in the second slot
        shares = {
            iso(START_S): 120,
            iso(START_S + 1800): 40 * before / 900,
            iso(START_S + 3600): 40 * (1 - before / 900),
        }
        assert {start: served_by_slot.get(start, 0) for start in shares} == pytest.approx(shares)


class StuckDisk:
    """Holds what is written to the services' books until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        self.full = False
        monkeypatch.setattr("controlplane.store.write_whole", self._save)

    def _save(self, path: Path, write: Any) -> None:
        if path.parent.name == "services":
            assert self.go.wait(30)
            if self.full:
                raise OSError(28, "No space left on device")
        write_whole(path, write)


async def test_nothing_is_answered_before_it_is_on_the_disk(tmp_path, monkeypatch):
    async with served(tmp_path) as world:
        await made(world)
        disk = StuckDisk(monkeypatch)
        first = asyncio.create_task(world.call("POST", FEEDBACK, json=told()))
        again = asyncio.create_task(world.call("POST", FEEDBACK, json=told()))
        await eventually(lambda: world.host.engine.writer.waiting == 2)
        assert not first.done()
        assert not again.done()
        assert not (tmp_path / "state/services/default%2Fshop.json").exists()
        disk.go.set()
        answers = [await first, await again]
        assert [status for status, _ in answers] == [200, 200]
        assert sorted(answer["entered"] for _, answer in answers) == [False, True]
        assert await requests(world) == 40


async def test_while_the_disk_is_stuck_only_so_much_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr("controlplane.api.access.MOST_WAITING", 3)
    async with served(tmp_path) as world:
        await made(world)
        disk = StuckDisk(monkeypatch)
        waiting = [asyncio.create_task(world.call("POST", FEEDBACK, json=told(number))) for number in range(3)]
        await eventually(lambda: world.host.engine.writer.waiting == 3)
        for path, sent in ((FEEDBACK, told(9)), ("/feedback/default/shop", {"flavour_counts": {"high": 1}})):
            async with world.client.post(path, json=sent) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert (await world.call("GET", SHOP))[0] == 200  # everything else goes on
        disk.go.set()
        assert [status for status, _ in await asyncio.gather(*waiting)] == [200] * 3
        assert (await world.call("POST", FEEDBACK, json=told(9)))[1]["entered"] is True


async def test_what_a_full_disk_refused_is_kept_when_it_is_sent_again(tmp_path, monkeypatch):
    async with served(tmp_path) as world:
        await made(world)
        disk = StuckDisk(monkeypatch)
        disk.go.set()
        disk.full = True
        status, problem = await world.call("POST", FEEDBACK, json=told())
        assert (status, "No space left" in problem["detail"]) == (503, True)
        assert (await world.call("POST", FEEDBACK, json=told()))[0] == 503
        disk.full = False
        assert (await world.call("POST", FEEDBACK, json=told()))[0] == 200
        assert await requests(world) == 40
    async with served(tmp_path) as world:
        assert await requests(world) == 40


async def test_a_service_that_goes_while_counts_wait_answers_them(tmp_path, monkeypatch):
    async with served(tmp_path) as world:
        await made(world)
        disk = StuckDisk(monkeypatch)
        sending = asyncio.create_task(world.call("POST", FEEDBACK, json=told()))
        await eventually(lambda: world.host.engine.writer.waiting == 1)
        assert (await world.call("DELETE", SHOP))[0] == 204
        disk.go.set()
        assert (await sending)[0] == 200
        await world.call("PUT", SHOP, json=TERMS)
        assert await requests(world) == 40


class Senders(World):
    """An engine whose process can be killed, and senders that go on to their next number when one was answered."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, now_s=START_S + 3600.0)
        self.configure(service_spec())
        self.answered = dict.fromkeys("ab", 0)
        self.unanswered: dict[str, int] = {}

    def kill(self) -> None:
        """What is not on the disk is lost."""
        self.engine = self.new_engine()
        self.configure(service_spec())

    def restart(self) -> None:
        super().restart()
        self.configure(service_spec())

    def change(self) -> None:
        self.configure(service_spec(max_error=0.06 - self.session.spec.settings.max_error))

    def tick(self) -> None:
        self.engine.tick()

    def send(self, sender: str, durable: bool) -> None:
        """The next number, or the one that was not answered; its count is the number itself."""
        number = self.unanswered.setdefault(sender, self.answered[sender] + 1)
        self._enter(sender, number, durable)
        if durable:
            self.answered[sender] = self.unanswered.pop(sender)

    def again(self, sender: str, durable: bool) -> None:
        """One that was answered already: the answer was lost on its way."""
        if self.answered[sender]:
            self._enter(sender, self.answered[sender], durable)

    def _enter(self, sender: str, number: int, durable: bool) -> None:
        """As the route does it; `durable` is whether the process lived long enough to answer."""
        session, now_s = self.session, self.clock.now_s()
        if session.senders.place(sender, number) == "next":
            loads = {"fast": FlavourLoad(served=number)}
            key = session.spec.key
            self.engine.enter(key, loads, since_s=now_s - 1.0, until_s=now_s, sender=sender, number=number)
        else:
            self.engine.save(session.spec.key)
        if durable:
            self.engine.writer.flush()


steps = st.one_of(
    st.tuples(st.sampled_from(["send", "again"]), st.sampled_from("ab"), st.booleans()),
    st.tuples(st.sampled_from(["kill", "restart", "tick", "change"])),
)


@settings(steady, max_examples=200)
@given(steps=st.lists(steps, max_size=30))
def test_the_ledger_is_the_sum_of_what_was_sent_whatever_was_repeated_or_crashed(steps):
    with tempfile.TemporaryDirectory() as directory:
        senders = Senders(Path(directory))
        for name, *arguments in steps:
            senders.clock.time_s += 2.0
            getattr(senders, name)(*arguments)
        for sender in list(senders.unanswered):
            senders.send(sender, True)
        senders.kill()
        expected = sum(sum(range(last + 1)) for last in senders.answered.values())
        assert senders.session.books(senders.clock.now_s()).requests == pytest.approx(expected)


async def test_a_decision_waits_for_no_sender_that_fell_silent(tmp_path):
    async with served(tmp_path) as world:
        await made(world)
        await world.call("POST", FEEDBACK, json=told(sender="gone"))
        for sequence in range(1, 4):
            await world.clock.advance(600)
            await world.call("POST", FEEDBACK, json=told(sequence, sender="here"))
        await settle()
        session = world.host.engine.sessions[KEY]
        assert session.controller.state.accounted_until_s == START_S + 1860
