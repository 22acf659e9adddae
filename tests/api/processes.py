"""`carbonrouter engine` as a process of its own, for clients that are not ours."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.api.hosts import write_trace
from tests.support.carbonrouter import COMMAND
from tests.support.ports import HOST, free_port

_STARTS_WITHIN_S = 60.0


@dataclass
class EngineProcess:
    """A configuration, and the process over it."""

    folder: Path
    url: str
    config: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it has decided once."""
        with (self.folder / "engine.log").open("ab") as log:
            self.process = subprocess.Popen([COMMAND, "engine", "-f", str(self.config)], stdout=log, stderr=log)
        ends_s = time.monotonic() + _STARTS_WITHIN_S
        while not self._answers():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < ends_s, self.log
            time.sleep(0.05)

    def stop(self) -> int:
        """Stop it as a service manager does; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=30)

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.folder / "engine.log").read_text(errors="replace")

    def curl(self, *arguments: str, path: str) -> tuple[int, str, Any]:
        """Status, content type and content (JSON, or text) of one answer to a real curl."""
        command = [
            "curl",
            "-s",
            "--max-time",
            "20",
            "-w",
            "\n%{http_code} %{content_type}",
            *arguments,
            self.url + path,
        ]
        body, _, told = subprocess.run(command, capture_output=True, check=True, text=True).stdout.rpartition("\n")
        status, _, content_type = told.partition(" ")
        return int(status), content_type, json.loads(body) if "json" in content_type else body

    def _answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        return False


@contextlib.contextmanager
def engine_process(folder: Path, **changes: Any) -> Iterator[EngineProcess]:
    """An engine over a recorded day while the context lasts; `changes` are top-level keys of its configuration."""
    write_trace(folder / "day.csv")
    listen = f"{HOST}:{free_port()}"
    content = {
        "api": {"listen": listen, "requests_per_second": 100_000},
        "state_dir": "state",
        "sources": {"default": {"source": "file", "path": "day.csv", "repeat": True}},
        **changes,
    }
    (folder / "carbonrouter.yaml").write_text(yaml.safe_dump(content))
    engine = EngineProcess(folder, f"http://{listen}", folder / "carbonrouter.yaml")
    try:
        engine.start()
        yield engine
    finally:
        if engine.process is not None and engine.process.poll() is None:
            engine.process.terminate()
            engine.process.wait(timeout=30)
