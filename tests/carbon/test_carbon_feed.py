"""The feed: state transitions, polite rate, retries, and that no source can bring it down."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from controlplane.carbon import (
    CarbonFeed,
    CarbonSeries,
    CarbonSourceError,
    IssueArchive,
    PermanentSourceError,
    TemporarySourceError,
    ZoneMemory,
)
from controlplane.carbon.feed import ATTEMPTS
from scheduler import CarbonHistory
from tests.carbon.carbon_fakes import START_S, FakeClock, FakeSource, series

HOUR_S = 3600.0


def temporary(retry_after_s: float | None = None) -> TemporarySourceError:
    return TemporarySourceError("down", source="fake", retry_after_s=retry_after_s)


def permanent() -> PermanentSourceError:
    return PermanentSourceError("refused", source="fake")


async def test_nothing_is_known_before_the_first_fetch(clock):
    feed = CarbonFeed(FakeSource(series()), clock=clock)
    status = feed.status(clock.now_s())
    assert (status.state, status.age_s, status.last_error, status.fetches) == ("none", None, None, 0)
    assert (status.source, status.zone) == ("fake", "Z")


async def test_from_none_to_fresh_to_stale_to_none_and_back(clock):
    source = FakeSource(series(slots=6))
    feed = CarbonFeed(source, clock=clock, max_age_s=2 * HOUR_S)
    seen = []
    await feed.refresh()
    source.outcomes = [permanent()]
    for _ in range(7):
        status = feed.status(clock.now_s())
        seen.append((status.state, status.last_error is not None))
        clock.time_s += HOUR_S / 2
        await feed.refresh()
    assert seen == [
        ("fresh", False),
        ("fresh", True),
        ("fresh", True),
        ("fresh", True),
        ("fresh", True),
        ("stale", True),
        ("none", True),
    ]
    source.outcomes = [series(start_s=clock.now_s())]
    clock.time_s += HOUR_S / 2
    await feed.refresh()
    status = feed.status(clock.now_s())
    assert (status.state, status.age_s, status.last_error) == ("fresh", 0.0, None)


async def test_a_failure_keeps_the_last_good_series(clock):
    good = series()
    feed = CarbonFeed(FakeSource(good, permanent()), clock=clock)
    await feed.refresh()
    clock.time_s += HOUR_S
    await feed.refresh()
    assert feed.series is good
    status = feed.status(clock.now_s())
    assert (status.fetches, status.failures, status.age_s) == (2, 1, HOUR_S)
    assert status.last_error == "fake: refused"


async def test_one_fetch_an_interval_however_often_it_is_refreshed(clock):
    source = FakeSource(series())
    feed = CarbonFeed(source, clock=clock)
    while clock.time_s < START_S + 24 * HOUR_S:
        await feed.refresh()
        clock.time_s += 10.0
    assert len(source.asked_at) == 48
    assert min(b - a for a, b in zip(source.asked_at, source.asked_at[1:], strict=False)) >= 1800.0


async def test_a_day_of_failures_stays_polite_and_recovers(clock):
    source = FakeSource(temporary())
    feed = CarbonFeed(source, clock=clock)
    while clock.time_s < START_S + 24 * HOUR_S:
        await feed.refresh()
        clock.time_s += 10.0
    refreshes = len(source.asked_at) / ATTEMPTS
    # The first seven pauses double from half a minute; then one refresh in 3/4 to 1 interval.
    assert 48 <= refreshes <= 48 / 0.75 + 8
    assert feed.status(clock.now_s()).state == "none"


async def test_temporary_errors_are_retried_with_growing_bounded_waits(clock):
    good = series()
    source = FakeSource(temporary(), temporary(), good)
    feed = CarbonFeed(source, clock=clock)
    await feed.refresh()
    assert feed.series is good
    assert len(clock.slept) == ATTEMPTS - 1
    assert all(0.5 <= wait <= 10.0 for wait in clock.slept)
    status = feed.status(clock.now_s())
    assert (status.state, status.fetches, status.failures, status.last_error) == ("fresh", 3, 2, None)


@pytest.mark.parametrize(
    ("error", "attempts"),
    [(temporary(), ATTEMPTS), (temporary(retry_after_s=5.0), 1), (permanent(), 1), (ValueError("defect"), 1)],
)
async def test_what_is_retried_at_once(clock, error, attempts):
    source = FakeSource(error)
    feed = CarbonFeed(source, clock=clock)
    await feed.refresh()
    assert len(source.asked_at) == attempts
    assert feed.status(clock.now_s()).failures == attempts


@pytest.mark.parametrize(("asked_s", "waited_s"), [(600.0, 600.0), (90_000.0, 3600.0)])
async def test_retry_after_is_honoured_and_bounded(clock, asked_s, waited_s):
    source = FakeSource(temporary(retry_after_s=asked_s))
    feed = CarbonFeed(source, clock=clock)
    await feed.refresh()
    clock.time_s = START_S + waited_s - 1.0
    await feed.refresh()
    assert len(source.asked_at) == 1
    clock.time_s = START_S + waited_s
    await feed.refresh()
    assert len(source.asked_at) == 2


async def test_a_defect_in_a_source_is_an_error_like_any_other(clock):
    feed = CarbonFeed(FakeSource(KeyError("intensity")), clock=clock)
    await feed.refresh()
    assert feed.status(clock.now_s()).last_error == "fake: unexpected KeyError: 'intensity'"


class Defective(IssueArchive, ZoneMemory):
    """Keeps nothing: what it is asked to do ends in an error that nobody foresaw."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def load(self) -> CarbonHistory:
        return CarbonHistory()

    def save(self, history: CarbonHistory) -> None:
        raise self.error

    def record(self, series: CarbonSeries, *, variant: str = "") -> None:
        raise self.error


@pytest.mark.parametrize("place", ["memory", "archive"])
async def test_what_cannot_be_kept_is_a_failure_that_is_seen_and_not_one_of_the_engine(clock, caplog, place):
    source = FakeSource(known := replace(series(), actual_g_per_kwh=np.full(96, 90.0)))
    feed = CarbonFeed(source, clock=clock, **{place: Defective(ValueError("no\nroom"))})
    for fetches in (1, 2):
        await feed.refresh()
        status = feed.status(clock.now_s())
        assert (status.fetches, status.failures, status.state) == (fetches, fetches, "fresh")
        assert status.last_error == "fake: unexpected ValueError: no\\nroom"
        assert feed.series is known
        await feed.refresh()
        assert len(source.asked_at) == fetches, "a defect of ours is no reason to ask more often"
        clock.time_s += HOUR_S
        feed.history = CarbonHistory()
    assert len(caplog.records) == 1, "said once, with where it came from"
    assert caplog.records[0].exc_info is not None


async def test_a_history_that_refuses_a_series_does_not_end_the_feed(clock, monkeypatch):
    def refuse(*_: object, **__: object) -> CarbonHistory:
        raise ValueError("no number")

    feed = CarbonFeed(FakeSource(series()), clock=clock)
    with monkeypatch.context() as defective:
        defective.setattr("controlplane.carbon.feed.observed", refuse)
        await feed.refresh()
    assert feed.status(clock.now_s()).last_error == "fake: unexpected ValueError: no number"
    clock.time_s += HOUR_S
    await feed.refresh()
    assert feed.status(clock.now_s()).last_error is None


async def test_a_source_that_never_answers_is_given_up(clock):
    class Silent(FakeSource):
        async def fetch(self, *, now_s: float):
            await asyncio.Event().wait()

    feed = CarbonFeed(Silent(series()), clock=clock, timeout_s=0.01)
    await feed.refresh()
    assert feed.status(clock.now_s()).last_error == "fake: no answer within 0.01 s"


async def test_cancellation_passes():
    with pytest.raises(asyncio.CancelledError):
        await CarbonFeed(FakeSource(asyncio.CancelledError()), clock=FakeClock()).refresh()


async def test_refreshes_at_the_same_time_fetch_once(clock):
    source = FakeSource(series())
    feed = CarbonFeed(source, clock=clock)
    await asyncio.gather(*(feed.refresh() for _ in range(5)))
    assert len(source.asked_at) == 1


async def test_a_clock_set_back_does_not_silence_the_feed(clock):
    source = FakeSource(series(start_s=START_S - 24 * HOUR_S))
    feed = CarbonFeed(source, clock=clock)
    await feed.refresh()
    clock.time_s -= 12 * HOUR_S
    await feed.refresh()
    assert len(source.asked_at) == 2
    assert feed.status(clock.now_s()).age_s == 0.0


async def test_closing_closes_the_source(clock):
    source = FakeSource(series())
    await CarbonFeed(source, clock=clock).aclose()
    assert source.closed


def test_the_tree_of_errors():
    assert issubclass(TemporarySourceError, CarbonSourceError)
    assert issubclass(PermanentSourceError, CarbonSourceError)
