"""The command line: help that helps, and failures that say what to do, in one message, with the right exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
import yaml

from controlplane.cli import main
from tests.support.dirs import short_directory
from tests.support.ports import free_port

COMMANDS = ("demo", "up", "down", "check", "replay", "report")
_PATIENCE_S = 60.0


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch, capsys) -> Callable[..., Result]:
    """The command in this process: fast, and as its entry point runs it."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["carbonrouter", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Result(code, *capsys.readouterr())

    return run


def configuration(directory: Path, **changes: Any) -> Path:
    """A configuration that works, with addresses nobody else has, written to `directory`."""
    content = {
        "api": {"listen": f"127.0.0.1:{free_port()}"},
        "state_dir": "state",
        "services": [
            {
                "name": "shop",
                "budget": {"max_error_pct": 4},
                "carbon": {"source": "file", "path": "day.csv", "repeat": True},
                "flavours": [
                    {"name": "best", "precision_pct": 100, "energy_j": 10, "endpoints": ["127.0.0.1:9"]},
                    {"name": "fast", "precision_pct": 90, "energy_j": 1, "endpoints": ["127.0.0.2:9"]},
                ],
            }
        ],
    }
    rows = "".join(f"2023-01-01T{hour:02}:00Z,{100 + hour}\n" for hour in range(24))
    (directory / "day.csv").write_text(f"time,carbon_actual_g_per_kwh\n{rows}")
    path = directory / "router.yaml"
    path.write_text(yaml.safe_dump(content | changes))
    return path


# Help and usage


def test_help_names_every_command_with_what_it_does(run):
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert "Carbon-aware" in out
    for command in COMMANDS:
        [line] = [line for line in out.splitlines() if re.search(rf"^\W*{command}\s", line)]
        assert len(line.split()) >= 5


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_tells_its_purpose_and_explains_every_option(run, command, flag):
    code, out, err = run(command, flag)
    assert (code, err) == (0, "")
    assert f"Usage: carbonrouter {command}" in out
    options = [line for line in out.splitlines() if re.search(r"^\W*--\w", line)]
    assert options
    assert all(len(line.split()) >= 3 for line in options)


@pytest.mark.parametrize("command", ["demo", "up", "replay"])
def test_help_of_what_does_the_work_holds_an_example(run, command):
    assert f"Example: carbonrouter {command}" in run(command, "--help").out


def test_without_a_command_help_is_shown(run):
    code, out, err = run()
    assert "Usage: carbonrouter" in out + err
    assert code in {0, 2}


def test_the_version_is_that_of_the_package(run):
    assert run("--version") == Result(0, f"carbonrouter {version('carbonrouter')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("upp",), "upp"),
        (("--nope",), "--nope"),
        (("up", "--nope"), "--nope"),
        (("check", "extra"), "extra"),
        (("check", "-f"), "-f"),
        (("demo", "--speed", "0"), "--speed"),
        (("demo", "--speed", "fast"), "--speed"),
        (("demo", "-o", "xml"), "xml"),
        (("replay", "x.csv"), "--max-error-pct"),
        (("replay", "--max-error-pct", "2"), "--scenario"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_typed_wrongly_is_named(run, arguments, named):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert named in err
    assert "Traceback" not in err


# check


def test_check_says_that_a_right_file_is_right(run, tmp_path):
    path = configuration(tmp_path)
    assert run("check", "-f", path) == Result(0, f"{path}: 1 service(s), nothing to object to\n", "")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("command", ["check", "up", "down"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "must hold a mapping"),
        ("services: [", "is not YAML: while parsing"),
        ("services: []", "services: must not be empty"),
        ("? [a]\n: b", "is not YAML: a list or mapping cannot be a key"),
        ("servces: 1", "servces: unknown key; did you mean services?"),
    ],
    ids=["missing", "empty", "cut", "no service", "odd key", "typing mistake"],
)
def test_a_broken_file_is_a_message_for_every_command_that_reads_one(run, tmp_path, command, content, message):
    path = tmp_path / "router.yaml"
    if content is not None:
        path.write_text(content)
    code, out, err = run(command, "-f", path)
    assert (code, out) == (2, "")
    assert f"{path}: {message}" in err
    assert "Traceback" not in err


def test_check_looks_into_the_files_that_are_named(run, tmp_path):
    path = configuration(tmp_path)
    content = yaml.safe_load(path.read_text())
    content["services"][0]["demand"] = {"path": "nowhere.csv"}
    path.write_text(yaml.safe_dump(content))
    code, _, err = run("check", "-f", path)
    assert code == 2
    assert str(tmp_path / "nowhere.csv") in err


def test_the_default_file_is_the_one_in_this_directory(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("check")
    assert (code, err) == (2, "carbonrouter.yaml: cannot be read: No such file or directory\n")


# down


@pytest.mark.parametrize(
    "record",
    [
        None,
        "",
        "{",
        "[]",
        "{}",
        '{"pid": "x", "create_time": 1}',
        '{"pid": -1, "create_time": 1}',
        '{"pid": 999999999999999999999999, "create_time": 1}',
        '{"pid": null, "create_time": null}',
        json.dumps({"pid": os.getpid(), "create_time": 1.0}),
    ],
    ids=["none", "empty", "cut", "list", "nothing", "word", "negative", "huge", "null", "somebody else"],
)
def test_down_with_nothing_running_says_so_and_touches_nobody(run, tmp_path, record):
    path = configuration(tmp_path)
    if record is not None:
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "envoy.pid.json").write_text(record)
    assert run("down", "-f", path) == Result(0, f"no envoy of {tmp_path / 'state'} is running\n", "")


# up, with real processes


@contextmanager
def started(path: Path) -> Iterator[subprocess.Popen[str]]:
    """`carbonrouter up` as a process of its own; it and its Envoy are gone at the end, whatever happens."""
    command = [sys.executable, "-c", "from controlplane.cli import main; main()", "up", "-f", str(path)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()
            envoy = envoy_of(path.parent / "state")
            if envoy is not None:
                envoy.kill()


def finished(process: subprocess.Popen[str]) -> Result:
    out, err = process.communicate(timeout=_PATIENCE_S)
    return Result(process.returncode, out, err)


def envoy_of(state_dir: Path) -> psutil.Process | None:
    """The Envoy that runs in `state_dir`, found without asking the code under test."""
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"] or []
        if str(state_dir / "envoy.json") in command and process.info["status"] != psutil.STATUS_ZOMBIE:
            return process
    return None


def served_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        pytest.fail(f"ended with {process.wait(_PATIENCE_S)}: {process.stderr and process.stderr.read()}")
    return line


@pytest.fixture
def directory() -> Iterator[Path]:
    with short_directory() as path:
        yield path


@pytest.fixture
def gateway() -> str:
    return f"127.0.0.1:{free_port()}"


def assert_told(result: Result, *texts: str) -> None:
    assert result.code == 1, result
    assert "Traceback" not in result.err, result.err
    for text in texts:
        assert text in result.err


def test_up_with_a_taken_api_port_says_which_and_what_to_set(directory, gateway):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        path = configuration(directory, api={"listen": address}, gateway={"listen": gateway})
        with started(path) as process:
            assert_told(finished(process), address, "in use", "set api.listen")
            assert envoy_of(directory / "state") is None


def test_up_with_a_state_dir_too_long_for_a_socket_says_so(directory):
    state_dir = directory / ("s" * 120)
    with started(configuration(directory, state_dir=str(state_dir))) as process:
        assert_told(finished(process), "state_dir", "too long", "107")
        assert envoy_of(state_dir) is None


@pytest.mark.parametrize("what", ["file", "name too long"])
def test_up_with_a_state_dir_that_cannot_be_made_says_so(directory, what):
    (directory / "file").write_text("")
    state_dir = directory / "file" if what == "file" else directory / ("s" * 300)
    with started(configuration(directory, state_dir=str(state_dir))) as process:
        assert_told(finished(process), "state_dir")


def test_up_serves_refuses_a_second_one_and_ends_cleanly(directory, gateway):
    path = configuration(directory, gateway={"listen": gateway, "concurrency": 1})
    with started(path) as first:
        assert f"http://{gateway}" in served_line(first)
        envoy = envoy_of(directory / "state")
        assert envoy is not None
        with started(configuration(directory, gateway={"listen": gateway, "concurrency": 1})) as second:
            result = second.communicate(timeout=_PATIENCE_S)
            assert_told(Result(second.returncode, *result), "another carbonrouter", "state_dir")
            assert envoy.is_running()
            first.send_signal(signal.SIGTERM)
            result = finished(first)
            assert (result.code, result.out.splitlines()[-1]) == (0, "stopped")
            assert "Traceback" not in result.err
        assert envoy_of(directory / "state") is None


def test_up_with_a_taken_gateway_port_says_which_and_leaves_nothing_running(directory):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        path = configuration(directory, gateway={"listen": address, "concurrency": 1})
        with started(path) as process:
            assert_told(finished(process), address, "set gateway.listen")
            assert envoy_of(directory / "state") is None


def test_what_a_killed_up_leaves_running_is_stopped_by_down(directory, gateway, run):
    path = configuration(directory, gateway={"listen": gateway, "concurrency": 1})
    with ExitStack() as stack:
        killed = stack.enter_context(started(path))
        served_line(killed)
        killed.kill()
        killed.wait(_PATIENCE_S)
        envoy = envoy_of(directory / "state")
        assert envoy is not None
        assert run("down", "-f", path) == Result(0, f"stopped envoy, pid {envoy.pid}\n", "")
        assert envoy_of(directory / "state") is None
        assert run("down", "-f", path).out == f"no envoy of {directory / 'state'} is running\n"
