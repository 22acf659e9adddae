"""State on disk: replaced whole or not at all, never lost, and always the newest in the end."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.store import FileStore, PreciousStore, StateWriter, StoreError
from tests.controlplane.fakes import steady


@pytest.fixture
def store(tmp_path) -> FileStore:
    return FileStore(tmp_path / "state")


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "state").iterdir())


def test_what_was_saved_is_loaded_by_another_store(tmp_path, store):
    store.save("ns/shop", {"a": [1, 2.5, None, "é"]})
    assert FileStore(tmp_path / "state").load("ns/shop") == {"a": [1, 2.5, None, "é"]}


def test_an_unknown_key_has_no_state(store):
    assert store.load("ns/shop") is None


def test_others_on_the_machine_cannot_read_it(tmp_path, store):
    store.save("ns/shop", {})
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in files(tmp_path))


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["disk", "signal"]
)
def test_a_write_that_fails_midway_leaves_the_old_state_and_no_litter(tmp_path, store, monkeypatch, failure):
    store.save("ns/shop", {"requests": 1})

    def half(state: Any, file: Any, **_: Any) -> None:
        file.write('{"requests":')
        file.flush()
        raise failure

    monkeypatch.setattr(json, "dump", half)
    with pytest.raises(type(failure)):
        store.save("ns/shop", {"requests": 2})
    assert store.load("ns/shop") == {"requests": 1}
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"a": 1', b"[1]", b"7", b"null", b'"text"', b"\xff\xfe\x00", b"\x00" * 4096, b"[" * 100_000],
    ids=["empty", "brace", "cut", "list", "number", "null", "text", "binary", "zeros", "deep"],
)
def test_a_file_that_is_no_state_is_set_aside_with_its_content(tmp_path, store, caplog, content):
    store.save("ns/shop", {})
    [path] = files(tmp_path)
    path.write_bytes(content)
    assert store.load("ns/shop") is None
    [kept] = files(tmp_path)
    assert kept != path
    assert kept.read_bytes() == content
    assert kept.name in caplog.text
    assert "ns/shop" in caplog.text
    store.save("ns/shop", {"new": 1})
    assert store.load("ns/shop") == {"new": 1}
    assert kept.read_bytes() == content


def test_a_file_that_cannot_be_read_is_no_reason_to_start_afresh(tmp_path, store):
    store.save("ns/shop", {})
    [path] = files(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        store.load("ns/shop")


def test_every_unusable_file_is_kept_under_a_name_of_its_own(tmp_path, store):
    for content in ("first", "second"):
        store.save("ns/shop", {})
        next(path for path in files(tmp_path) if path.suffix == ".json").write_text(content)
        store.load("ns/shop")
    assert sorted(path.read_text() for path in files(tmp_path)) == ["first", "second"]


hostile = st.sampled_from(
    ["..", ".", "/", "../../etc/passwd", "a/../b", "~", "%2F", "a%2Fb", "\\", "con", "", "é/ü", "a\x00b"]
)


@steady
@given(keys=st.lists(hostile | st.text(max_size=300), min_size=1, max_size=4, unique=True))
def test_no_key_leaves_the_directory_or_meets_another(tmp_path_factory, keys):
    root = tmp_path_factory.mktemp("keys")
    store = FileStore(root / "state")
    # Surrogates cannot be written in UTF-8, and no name of a service holds any.
    keys = [key.encode("utf-8", "replace").decode() for key in keys]
    keys = list(dict.fromkeys(keys))
    for number, key in enumerate(keys):
        store.save(key, {"number": number})
    assert [store.load(key) for key in keys] == [{"number": number} for number in range(len(keys))]
    assert [path.name for path in root.iterdir()] == ["state"]
    assert all(path.is_file() for path in (root / "state").iterdir())
    assert len(list((root / "state").iterdir())) == len(keys)


def test_the_longest_names_that_kubernetes_allows_can_be_saved_and_set_aside(tmp_path, store):
    first, second = (f"{'n' * 253}/{'s' * 252}{end}" for end in "ab")
    store.save(first, {"a": 1})
    store.save(second, {"b": 1})
    assert (store.load(first), store.load(second)) == ({"a": 1}, {"b": 1})
    store.set_aside(first, "a test")
    assert (store.load(first), store.load(second)) == (None, {"b": 1})


class SlowStore(FileStore):
    """Holds every write until the test lets it go, and can be told to fail."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.began: asyncio.Queue[str] = asyncio.Queue()
        self.loop = asyncio.get_running_loop()
        self.go = threading.Semaphore(0)
        self.written: list[tuple[str, dict[str, Any]]] = []
        self.failure: Exception | None = None

    def save(self, key: str, state: dict[str, Any]) -> None:
        self.loop.call_soon_threadsafe(self.began.put_nowait, key)
        assert self.go.acquire(timeout=10)
        if self.failure is not None:
            raise self.failure
        super().save(key, state)
        self.written.append((key, state))


@pytest.fixture
async def slow(tmp_path):
    slow = SlowStore(tmp_path / "slow")
    writer = StateWriter(slow)
    task = asyncio.create_task(writer.run())
    yield slow, writer
    slow.go.release(100)
    task.cancel()
    await asyncio.wait([task])


async def test_only_the_newest_state_is_written(slow):
    store, writer = slow
    for number in range(5):
        writer.changed("a", lambda number=number: {"n": number})
    store.go.release()
    await store.began.get()
    writer.changed("b", lambda: {})
    await store.began.get()
    assert store.written == [("a", {"n": 4})]


async def test_what_changes_while_it_is_written_is_written_again(slow):
    store, writer = slow
    state = {"n": 1}
    writer.changed("a", lambda: dict(state))
    await store.began.get()
    state["n"] = 2
    writer.changed("a", lambda: dict(state))
    store.go.release()
    await store.began.get()
    store.go.release()
    writer.changed("b", lambda: {})
    await store.began.get()
    assert store.written == [("a", {"n": 1}), ("a", {"n": 2})]


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), ValueError("circular")], ids=["disk", "state"]
)
async def test_a_failure_is_counted_and_told_and_does_not_end_the_writing(slow, caplog, failure):
    store, writer = slow
    store.failure = failure
    writer.changed("ns/shop", lambda: {"n": 1})
    await store.began.get()
    store.go.release()
    writer.changed("other", lambda: {})
    await store.began.get()
    assert writer.failures == 1
    assert "ns/shop" in caplog.text
    store.failure = None
    store.go.release()
    writer.changed("ns/shop", lambda: {"n": 2})
    await store.began.get()
    store.go.release()
    writer.changed("third", lambda: {})
    await store.began.get()
    assert store.load("ns/shop") == {"n": 2}
    assert writer.failures == 1


async def test_flush_writes_everything_that_is_unsaved(store):
    writer = StateWriter(store)
    writer.changed("a", lambda: {"n": 1})
    writer.changed("b", lambda: {"n": 2})
    writer.flush()
    assert (store.load("a"), store.load("b")) == ({"n": 1}, {"n": 2})
    writer.flush()


async def test_a_write_that_is_still_under_way_does_not_replace_what_flush_wrote(slow):
    store, writer = slow
    writer.changed("a", lambda: {"n": 1})
    await store.began.get()
    writer.changed("a", lambda: {"n": 2})
    flushing = asyncio.create_task(asyncio.to_thread(writer.flush))
    store.go.release(2)
    await flushing
    assert store.load("a") == {"n": 2}


async def test_a_write_that_flush_has_overtaken_is_left_out(tmp_path):
    # The order of two threads cannot be told from outside, so the overtaken write is made by hand.
    store = FileStore(tmp_path / "state")
    writer = StateWriter(store)
    writer.changed("a", lambda: {"n": 1})
    overtaken = writer._take()
    writer.changed("a", lambda: {"n": 2})
    writer.flush()
    writer._save("a", overtaken[1], {"n": 1})
    assert store.load("a") == {"n": 2}


async def test_a_state_is_loaded_before_it_has_reached_the_disk(slow):
    store, writer = slow
    FileStore.save(store, "a", {"n": 0})
    assert writer.load("a") == {"n": 0}
    writer.changed("a", lambda: {"n": 1})
    assert writer.load("a") == {"n": 1}
    await store.began.get()
    assert writer.load("a") == {"n": 1}
    assert writer.load("b") is None


async def test_who_waits_is_told_when_the_newest_state_is_on_the_disk(slow):
    store, writer = slow
    await writer.saved("a")  # nothing has changed
    writer.changed("a", lambda: {"n": 1})
    first = asyncio.create_task(writer.saved("a"))
    await store.began.get()
    during = asyncio.create_task(writer.saved("a"))
    await asyncio.sleep(0)
    writer.changed("a", lambda: {"n": 2})
    second = asyncio.create_task(writer.saved("a"))
    await asyncio.sleep(0)
    assert writer.waiting == 3
    store.go.release()
    await asyncio.gather(first, during)
    assert store.written == [("a", {"n": 1})]
    assert not second.done()
    store.go.release()
    await second
    assert store.written[-1] == ("a", {"n": 2})
    assert writer.waiting == 0


async def test_who_waits_is_told_that_it_could_not_be_saved(slow):
    store, writer = slow
    store.failure = ValueError("circular")
    writer.changed("a", lambda: {})
    waiting = asyncio.create_task(writer.saved("a"))
    store.go.release()
    with pytest.raises(OSError, match="circular"):
        await waiting
    store.failure = None
    writer.changed("a", lambda: {"n": 1})
    store.go.release()
    await writer.saved("a")
    assert store.load("a") == {"n": 1}


async def test_who_waits_for_what_flush_saves_or_for_what_is_forgotten_is_told_too(store):
    writer = StateWriter(store)
    for settle in (writer.flush, lambda: writer.delete("a")):
        writer.changed("a", lambda: {"n": 1})
        waiting = asyncio.create_task(writer.saved("a"))
        await asyncio.sleep(0)
        settle()
        await waiting
    assert store.load("a") is None


async def test_a_writer_that_is_stopped_leaves_nobody_waiting(slow, tmp_path):
    store, _ = slow
    writer = StateWriter(store)
    task = asyncio.create_task(writer.run())
    writer.changed("a", lambda: {"n": 1})
    waiting = asyncio.create_task(writer.saved("a"))
    await store.began.get()
    task.cancel()
    with pytest.raises(OSError, match="stopping"):
        await waiting
    store.go.release()


async def test_who_gave_up_waiting_is_no_trouble(slow):
    store, writer = slow
    writer.changed("a", lambda: {"n": 1})
    gone, here = asyncio.create_task(writer.saved("a")), asyncio.create_task(writer.saved("a"))
    await store.began.get()
    gone.cancel()
    store.go.release()
    await here
    assert store.load("a") == {"n": 1}


async def test_what_is_forgotten_while_it_is_written_does_not_come_back(slow):
    store, writer = slow
    FileStore.save(store, "a", {"n": 0})
    writer.changed("a", lambda: {"n": 1})
    await store.began.get()
    forgetting = asyncio.create_task(asyncio.to_thread(writer.delete, "a"))
    await asyncio.sleep(0)
    store.go.release()
    await forgetting
    assert writer.load("a") is None
    assert FileStore(store._directory).load("a") is None
    writer.changed("a", lambda: {"n": 2})
    store.go.release()
    await writer.saved("a")
    assert store.load("a") == {"n": 2}


async def test_a_write_that_what_is_forgotten_has_overtaken_is_left_out(tmp_path):
    # The order of two threads cannot be told from outside, so the overtaken write is made by hand.
    store = FileStore(tmp_path / "state")
    writer = StateWriter(store)
    writer.changed("a", lambda: {"n": 1})
    overtaken = writer._take()
    writer.delete("a")
    writer._save("a", overtaken[1], {"n": 1})
    assert store.load("a") is None


def test_what_nobody_may_start_without_is_refused_and_stays_where_it_is(tmp_path):
    store = PreciousStore(tmp_path / "state")
    store.save("services", {"a": 1})
    assert store.load("services") == {"a": 1}
    [path] = files(tmp_path)
    path.write_text("[1]")
    with pytest.raises(StoreError, match="it holds no object"):
        store.load("services")
    assert [each.read_text() for each in files(tmp_path)] == ["[1]"]
