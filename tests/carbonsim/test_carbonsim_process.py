"""`carbonrouter carbon-sim` as a process: it serves, agrees with others about the time, ends, and refuses nonsense."""

import asyncio
import json
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest

from controlplane.carbonsim import AnchoredClock
from controlplane.cli import main

COMMAND = str(Path(sys.executable).with_name("carbonrouter"))
_FIRST = re.compile(r"carbon-sim serves (http://127\.0\.0\.1:[0-9]+) \((.+)\)\n")


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, str]]:
    """The process, its URL and what else its first line says."""
    process = await asyncio.create_subprocess_exec(
        COMMAND, "carbon-sim", "--listen", "127.0.0.1:0", *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        match = _FIRST.fullmatch(line)
        assert match, line
        yield process, match[1], match[2]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def get(url: str, **options: object) -> tuple[int, dict]:
    async with aiohttp.ClientSession() as session, session.get(url, **options) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serves_until_it_is_told_to_stop(number):
    async with running("--scenario", "peak", "--start", "2023-01-10T12:10Z") as (process, url, said):
        assert said == "scenario peak, 2023-01-10T12:10Z at 1 times real time"
        async with aiohttp.ClientSession() as session, session.get(f"{url}/intensity") as response:
            row = (await response.json())["data"][0]
            assert (row["from"], row["intensity"]["forecast"]) == ("2023-01-10T12:00Z", 300)
            process.send_signal(number)  # with a connection still open
            assert await asyncio.wait_for(process.wait(), 30) == 0
        assert process.stdout is not None
        assert await process.stdout.read() == b"stopped\n"


async def test_processes_with_one_anchor_agree_about_the_time():
    anchor_s = time.time() - 1000.0
    options = ("--scenario", "low", "--start", "2023-01-10T00:00Z", "--speed", "3600", "--anchor", repr(anchor_s))
    clock = AnchoredClock(
        start_s=datetime.fromisoformat("2023-01-10T00:00Z").timestamp(), speed=3600.0, anchor_s=anchor_s
    )
    async with running(*options) as (_, one, _), running(*options) as (_, other, _):
        for url in (one, other, one):
            before_s = clock.now_s()
            now = (await get(f"{url}/health"))[1]["now"]
            assert before_s - 0.001 <= datetime.fromisoformat(now).timestamp() <= clock.now_s()
        path = "/intensity/2023-01-10T00:00Z/fw48h"  # long past: the same for both, whenever asked
        assert await get(one + path) == await get(other + path)


async def test_the_built_in_day_with_an_outage_and_a_token(tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    outage = "2023-03-25T00:00Z/2023-03-26T00:00Z"
    async with running("--outage", outage, "--token-file", str(token), "--speed", "0.001") as (_, url, said):
        assert said.endswith("day.csv, 2023-03-25T00:00Z at 0.001 times real time")
        assert (await get(f"{url}/intensity"))[0] == 503
        faults = (await get(f"{url}/faults"))[1]["faults"]
        assert [(fault["kind"], fault["planned"]) for fault in faults] == [("down", True)]
    async with running("--token-file", str(token)) as (_, url, _):
        latest = f"{url}/v3/carbon-intensity/latest?zone=GB"
        assert (await get(latest))[0] == 401
        assert (await get(latest, headers={"auth-token": "s3cret"}))[0] == 200


async def test_a_taken_address_is_said():
    async with running("--scenario", "low") as (_, url, _):
        address = url.removeprefix("http://")
        process = await asyncio.create_subprocess_exec(
            COMMAND, "carbon-sim", "--listen", address, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        _, said = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 1
        assert said.decode().startswith(f"--listen {address}: cannot be served: ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--scenario", "unheard-of"], "no scenario is named 'unheard-of'; there are rising, peak,"),
        (["--scenario", "low", "--trace", "day.csv"], "exclude each other"),
        (["--scenario", "custom"], "need each other"),
        (["--file", "pattern.json"], "need each other"),
        (["--scenario", "custom", "--file", "no-such.json"], "cannot be read"),
        (["--trace", "no-such.csv"], "cannot be read"),
        (["--listen", "nowhere"], "is not ADDRESS:PORT"),
        (["--listen", "127.0.0.1:70000"], "is not ADDRESS:PORT"),
        (["--listen", "999.0.0.1:80"], "is not ADDRESS:PORT"),
        (["--speed", "0"], "--speed"),
        (["--speed", "nan"], "--speed"),
        (["--anchor", "inf"], "--anchor"),
        (["--start", "tomorrow"], "--start"),
        (["--start", "9999-12-31T23:59-12:00"], "--start"),
        (["--outage", "2023-01-01T12:00Z"], "is not FROM/TO"),
        (["--outage", "2023-01-01T12:00Z/2023-01-01T11:00Z"], "is not FROM/TO"),
        (["--token-file", "no-such"], "cannot be read"),
        (["--token-file", "empty"], "must hold one line"),
        (["--noise-pct", "101"], "noise-pct"),
        (["--seed", "-1"], "seed"),
    ],
)
def test_bad_input(monkeypatch, capsys, tmp_path, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    (tmp_path / "empty").write_text("\n")
    monkeypatch.setattr(sys, "argv", ["carbonrouter", "carbon-sim", "--listen", "127.0.0.1:0", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert complaint in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_a_custom_pattern_of_short_slots_is_refused_where_a_trace_cannot_be_halved(monkeypatch, capsys, tmp_path):
    path = tmp_path / "odd.csv"
    rows = "".join(f"2023-01-01T00:{minute:02}:00Z,100\n" for minute in range(0, 60, 7))
    path.write_text(f"time,carbon_actual_g_per_kwh\n{rows}")
    monkeypatch.setattr(sys, "argv", ["carbonrouter", "carbon-sim", "--trace", str(path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "do not fit into each other" in capsys.readouterr().err


def test_help_has_an_example(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "argv", ["carbonrouter", "carbon-sim", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "Example: carbonrouter carbon-sim --scenario volatile --speed 900" in said
    for name in json.loads('["rising", "fast-test", "uk-daily-pattern"]'):
        assert name in said
