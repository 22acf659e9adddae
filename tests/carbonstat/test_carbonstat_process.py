"""The real process: it says where it listens, drains on SIGTERM, and refuses what it cannot run."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

COMMAND = [sys.executable, "-m", "carbonstat"]
CLEAN = {k: v for k, v in os.environ.items() if k not in {"FLAVOUR", "PORT", "NUMBERS", "SEED", "ACCESS_LOG"}}


@contextmanager
def running(*options: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    command = [*COMMAND, "--host", "127.0.0.1", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=CLEAN | variables) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(
                r"carbonstat (high|mid|low) listening on http://127\.0\.0\.1:(\d+)\n",
                line,
            )
            assert found, line
            yield process, found[1], int(found[2])
        finally:
            process.kill()


def read_reply(connection: socket.socket) -> tuple[int, bytes]:
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        headers = dict(line.split(b": ", 1) for line in iter(stream.readline, b"\r\n"))
        return status, stream.read(int(headers.get(b"content-length", b"0")))


def test_options_come_from_the_environment_too():
    with running("--numbers", "100", FLAVOUR="low") as (_, flavour, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/avg") as reply:
            document = json.load(reply)
        assert (flavour, document["flavour"], document["elements"]) == ("low", "low", 25)


def test_sigterm_lets_a_request_in_flight_finish():
    body = b'{"numbers": [1, 2, 3]}'
    with running("--numbers", "100") as (process, _, port):
        address = ("127.0.0.1", port)
        with socket.create_connection(address) as idle, socket.create_connection(address) as busy:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_reply(idle)[0] == 200
            head = f"POST /avg HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
            busy.sendall(head.encode())
            # The server asks for the body only when the handler is waiting for it: the request is in flight.
            assert read_reply(busy)[0] == 100
            process.send_signal(signal.SIGTERM)
            # Idle connections are closed once draining has begun.
            assert idle.recv(1) == b""
            busy.sendall(body)
            status, answer = read_reply(busy)
        assert (status, json.loads(answer)["avg"]) == (200, 2)
        assert process.wait() == 0


@pytest.mark.parametrize(
    ("options", "variables", "words"),
    [
        (["--flavour", "medium"], {}, "--flavour"),
        ([], {"FLAVOUR": "high-power"}, "FLAVOUR"),
        (["--numbers", "0"], {}, "--numbers"),
        (["--precision-pct", "101"], {}, "--precision-pct"),
        (["--port", "70000"], {}, "--port"),
    ],
)
def test_bad_options_exit_2_and_name_the_option(options, variables, words):
    done = subprocess.run(
        [*COMMAND, *options],
        capture_output=True,
        check=False,
        text=True,
        env=CLEAN | {"COLUMNS": "200", "NO_COLOR": "1"} | variables,
    )
    assert done.returncode == 2
    assert words in done.stderr


def test_an_address_in_use_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "--host", "127.0.0.1", "--port", port, "--numbers", "100"],
            capture_output=True,
            check=False,
            text=True,
            env=CLEAN,
        )
    assert done.returncode == 3
    assert "in use" in done.stdout + done.stderr
