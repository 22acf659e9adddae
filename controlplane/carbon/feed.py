"""What all carbon sources share, once: polite rate, retries, time-out, the last good series, visible state."""

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import Literal

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from controlplane.carbon.archive import IssueArchive
from controlplane.carbon.errors import CarbonSourceError, TemporarySourceError
from controlplane.carbon.http import printable
from controlplane.carbon.identity import Identity
from controlplane.carbon.memory import Remembered, observed
from controlplane.carbon.series import CarbonSeries, CarbonSource, Kind
from controlplane.clock import Clock
from scheduler import CarbonHistory

_log = logging.getLogger(__name__)

FeedState = Literal["fresh", "stale", "none"]

ATTEMPTS = 3
FETCH_TIMEOUT_S = 30.0
FIRST_PAUSE_S = 30.0
MAX_RETRY_AFTER_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedStatus:
    """How good the feed's series is.

    fresh: it covers now and was fetched within max_age, whether or not a later fetch failed.
    stale: it covers now, but every fetch for longer than max_age failed or never happened.
    none: there is no series, or it does not cover now.

    `age_s` counts from the last good fetch; `last_error` is None once a fetch succeeds and what it gave is kept.
    `fetches` counts every attempt, `failures` those that failed and those of which nothing could be kept.
    `next_fetch_s` is when the next fetch is due, None before the first one.
    The rest says what the last good series is, None without one; times are seconds since the Unix epoch.
    """

    state: FeedState
    age_s: float | None
    last_error: str | None
    fetches: int
    failures: int
    source: str
    zone: str
    next_fetch_s: float | None = None
    kind: Kind | None = None
    basis: str | None = None
    licence: str | None = None
    issued_at_s: float | None = None


class CarbonFeed:
    """Keeps one source's last good series; fetches no more often than is polite.

    Waits between retries run on `clock`; `timeout_s` of one fetch is real seconds; `variant` is the source's, see
    `Identity`. What is foreseen goes into the
    `archive`, as it was issued; what the intensity turned out to be is in `history`, from `memory` over restarts.
    """

    def __init__(  # noqa: PLR0913 - a source, and where what it says is kept
        self,
        source: CarbonSource,
        *,
        clock: Clock,
        max_age_s: float = 7200.0,
        timeout_s: float = FETCH_TIMEOUT_S,
        archive: IssueArchive | None = None,
        memory: Remembered | None = None,
        variant: str = "",
    ) -> None:
        self.series: CarbonSeries | None = None
        self.history = CarbonHistory() if memory is None else memory.load()
        self._memory = memory
        self._variant = variant
        self._source = source
        self._clock = clock
        self._max_age_s = max_age_s
        self._timeout_s = timeout_s
        self._archive = archive
        self._busy = asyncio.Lock()
        self._closed = False
        self._good_at_s: float | None = None
        self._tried_at_s: float | None = None
        self._pause_s = 0.0
        self._failed_refreshes = 0
        self._last_error: str | None = None
        self._reported: str | None = None
        self._fetches = 0
        self._failures = 0

    @property
    def identity(self) -> Identity:
        """Whose figures these are; always the same."""
        return Identity.of(self._source, self._variant)

    async def refresh(self) -> None:
        """Fetch if a fetch is due, and keep the last good series if that fails; never raises, whatever is wrong.

        A no-op before the polite interval has passed since the last fetch (after failures: before the pause,
        which doubles from `FIRST_PAUSE_S` up to that interval, or the time the source asked for).
        """
        async with self._busy:
            now_s = self._clock.now_s()
            if self._closed or not self._due(now_s):
                return
            self._tried_at_s = now_s
            try:
                await self._renew()
            except CarbonSourceError as error:
                self._report(error)
            # A defect in one source, or in what is kept of it, must not end the loop that serves all of them.
            except Exception as error:
                self._report_defect(error)

    def status(self, now_s: float) -> FeedStatus:
        """Return the state at `now_s`, seconds since the Unix epoch."""
        age_s = None if self._good_at_s is None else max(0.0, now_s - self._good_at_s)
        state: FeedState = "none"
        if self.series is not None and age_s is not None and self.series.covers(now_s):
            state = "fresh" if age_s <= self._max_age_s else "stale"
        series = self.series
        return FeedStatus(
            state=state,
            age_s=age_s,
            last_error=self._last_error,
            fetches=self._fetches,
            failures=self._failures,
            source=self._source.name,
            zone=self._source.zone,
            next_fetch_s=None if self._tried_at_s is None else self._tried_at_s + self._pause_s,
            kind=series.kind if series else None,
            basis=series.basis if series else None,
            licence=series.licence if series else None,
            issued_at_s=series.issued_at_s if series else None,
        )

    async def aclose(self) -> None:
        """Close the source, after a fetch that is under way; the last good series stays."""
        self._closed = True
        async with self._busy:
            await self._source.aclose()

    async def _renew(self) -> None:
        try:
            series = await self._fetch_with_retries()
        except Exception as error:
            self._pause_after(error)
            raise
        self.series = series
        self._good_at_s = self._clock.now_s()
        self._pause_s = self._source.poll_s
        self._failed_refreshes = 0
        # With the series: who looks while it is being kept must not see a fresh one that failed.
        self._last_error = None
        try:
            await self._keep(series)
        except Exception:
            self._failures += 1
            raise
        self._reported = None

    async def _keep(self, series: CarbonSeries) -> None:
        before, self.history = self.history, observed(self.history, series, now_s=self._clock.now_s())
        if self._memory is not None and self.history is not before:
            await asyncio.to_thread(self._memory.save, self.history)
        if self._archive is not None:
            await asyncio.to_thread(self._archive.record, series, variant=self._variant)

    def _due(self, now_s: float) -> bool:
        # A wall clock that was set back must not silence the feed until it has caught up.
        if self._tried_at_s is None or now_s < self._tried_at_s:
            return True
        return now_s - self._tried_at_s >= self._pause_s

    async def _fetch_with_retries(self) -> CarbonSeries:
        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=2, min=0.5, max=10),
            retry=retry_if_exception(_retry_soon),
            reraise=True,
        )
        return await retrying(self._fetch_once)

    async def _fetch_once(self) -> CarbonSeries:
        self._fetches += 1
        try:
            return await self._bounded_fetch()
        except Exception as error:
            self._failures += 1
            if isinstance(error, CarbonSourceError):
                self._last_error = str(error)  # seen already while it is tried again
            raise

    async def _bounded_fetch(self) -> CarbonSeries:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._source.fetch(now_s=self._clock.now_s())
        except TimeoutError as error:
            message = f"no answer within {self._timeout_s:g} s"
            raise TemporarySourceError(message, source=self._source.name) from error

    def _report(self, error: CarbonSourceError) -> None:
        """Log a failure once, not once a minute for as long as it lasts."""
        if self._is_new(str(error)):
            _log.warning("carbon source %s", error)

    def _report_defect(self, error: Exception) -> None:
        """The same, with where it came from, of what should not have happened."""
        if self._is_new(f"{self._source.name}: unexpected {type(error).__name__}: {printable(str(error))}"):
            _log.error("carbon source %s", self._last_error, exc_info=error)

    def _is_new(self, message: str) -> bool:
        self._last_error = message
        before, self._reported = self._reported, message
        return message != before

    def _pause_after(self, error: Exception) -> None:
        self._failed_refreshes += 1
        doublings = min(self._failed_refreshes - 1, 16)
        pause_s = min(FIRST_PAUSE_S * 2**doublings, self._source.poll_s)
        pause_s *= random.uniform(0.75, 1.0)  # noqa: S311 - spreads load, guards nothing
        asked_s = _retry_after_s(error)
        self._pause_s = max(pause_s, min(asked_s, MAX_RETRY_AFTER_S))


def _retry_after_s(error: Exception) -> float:
    return (error.retry_after_s or 0.0) if isinstance(error, TemporarySourceError) else 0.0


def _retry_soon(error: BaseException) -> bool:
    # A source that named a time is asked again then, in a later refresh.
    return isinstance(error, TemporarySourceError) and error.retry_after_s is None
