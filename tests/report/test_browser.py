"""The page in a real browser: everything on it is shown, nothing is asked for besides it, nothing is complained of."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.ports import HOST

from .made import page
from .reading import Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--headless=new",
    "--dump-dom",
    "--enable-logging=stderr",
    "--v=0",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    # The browser asks for things of its own, such as the time: nothing leaves this machine. What the page would fetch
    # from elsewhere its own policy forbids, and a violation is in the log.
    f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HOST}",
)
_PATIENCE_S = 60.0


def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    return found


@contextmanager
def served(text: str) -> Iterator[tuple[str, list[str]]]:
    """A server that answers every path with the page; its address, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            content = text.encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def opened(url: str, *, profile: Path) -> tuple[str, str]:
    """What the browser has made of the page, as HTML, and its log; every process of it is gone afterwards."""
    command = [browser(), *OPTIONS, f"--user-data-dir={profile}", url]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", start_new_session=True
    ) as process:
        try:
            dom, log = process.communicate(timeout=_PATIENCE_S)
        finally:
            with suppress(ProcessLookupError):  # as it is when all of them have ended
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, log
    return dom, log


def test_a_browser_shows_every_table_asks_for_nothing_else_and_has_no_complaint(tmp_path):
    text = page()
    with served(text) as (address, asked):
        dom, log = opened(f"{address}/report.html", profile=tmp_path)
    assert [path for path in asked if path != "/favicon.ico"] == ["/report.html"]
    assert [line for line in log.splitlines() if "CONSOLE" in line] == []
    written, shown = Page(text), Page(dom)
    assert len(shown.tables) >= 5
    assert [(table.caption, table.rows) for table in shown.tables] == [
        (table.caption, table.rows) for table in written.tables
    ]
    assert [tag for tag, _ in shown.elements if tag == "svg"] == [tag for tag, _ in written.elements if tag == "svg"]
