"""The demo as a user runs it: a day of real requests through a real Envoy, in a hurry."""

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil
import pytest

from scheduler import parse_trace
from tests.support.carbonrouter import COMMAND
from tests.support.wait import eventually

DAY = Path(__file__).parents[2] / "examples" / "demo" / "day.csv"
IN_A_HURRY = ("--speed", "3600", "--requests-per-slot", "25", "-o", "json")


async def _demo(folder: Path, *options: str) -> asyncio.subprocess.Process:
    with (folder / "progress.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            COMMAND,
            "demo",
            *IN_A_HURRY,
            *("--plot", str(folder / "day.png")),
            *options,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )


def _grams(slots: list[dict[str, Any]], carbon: list[float], energy: dict[str, float]) -> float:
    return sum(
        count * energy[name] * intensity / 3.6e6
        for slot, intensity in zip(slots, carbon, strict=True)
        for name, count in slot["served"].items()
    )


async def test_a_day_is_served_within_its_budget_and_honestly_summed_up(tmp_path: Path) -> None:
    process = await _demo(tmp_path)
    output, _ = await process.communicate()
    progress = (tmp_path / "progress.log").read_text()
    assert process.returncode == 0, progress
    result = json.loads(output)
    client, proxy = result["client"], result["proxy"]

    assert client["failed"] == 0
    assert client["answered"] == client["sent"] > 1000
    assert {name: round(count, 6) for name, count in proxy["served"].items() if count} == client["by_flavour"]
    assert result["budget_held"]
    assert 0.03 < proxy["mean_error"] <= 0.04 * (1 + 1e-9)
    assert result["split"]["measured"] < result["split"]["by_chance"] + 0.06

    # The savings again, from the counts alone and the trace itself.
    carbon = parse_trace(DAY.read_text(), name="day").carbon_actual.tolist()
    energy = {flavour["name"]: flavour["energy_j"] for flavour in result["flavours"]}
    served = _grams(result["slots"], carbon, energy)
    best = max(result["flavours"], key=lambda flavour: flavour["precision_pct"])["name"]
    assert proxy["grams"] == pytest.approx(served)
    assert proxy["always_best_g"] == pytest.approx(_grams(result["slots"], carbon, dict.fromkeys(energy, energy[best])))
    assert proxy["clairvoyant_g"] <= served * (1 + 1e-9)
    assert proxy["clairvoyant_g"] <= proxy["carbon_blind_mix_g"] * (1 + 1e-9)
    assert proxy["requests_on_forecast"] == 0
    assert (tmp_path / "day.png").stat().st_size > 20_000
    assert "23:30" in progress


@pytest.mark.timeout(240)
async def test_the_source_may_be_gone_for_days_and_nobody_is_refused(tmp_path: Path) -> None:
    # Long enough for the last good forecast, which reaches 48 hours, to run out.
    process = await _demo(tmp_path, "--outage", "--outage-hours", "54", "--requests-per-slot", "15")
    output, _ = await process.communicate()
    progress = (tmp_path / "progress.log").read_text()
    result = json.loads(output)
    assert result["client"]["failed"] == 0, progress
    assert result["client"]["answered"] == result["client"]["sent"] > 1500

    outage = result["outage"]
    assert outage["answered"] > 1000
    assert outage["failed"] == 0
    seen = [(each["state"], each["metric"], each["forecast_fresh"], each["reason"]) for each in outage["seen"]]
    assert seen == [
        ("fresh", "fresh", True, "Fresh"),
        ("stale", "stale", False, "LastGood"),
        ("none", "none", False, "CarbonBlindMix"),
        ("fresh", "fresh", True, "Fresh"),
    ]
    assert "503" in outage["seen"][1]["last_error"]
    assert outage["seen"][3]["last_error"] is None
    assert outage["from"] < outage["seen"][1]["time"] < outage["seen"][2]["time"] < outage["to"]

    days = result["days"]
    assert [day["start"][:10] for day in days] == ["2023-01-14", "2023-01-15", "2023-01-16"]
    assert sum(day["requests"] for day in days) == pytest.approx(result["client"]["answered"])
    for day in days:
        assert day["proxy"]["requests"] == pytest.approx(day["requests"])
        assert day["proxy"]["requests_without_carbon"] == 0
        assert day["proxy"]["mean_error"] > 0.02
    assert result["proxy"]["grams"] == pytest.approx(sum(day["proxy"]["grams"] for day in days))
    assert result["budget_held"] == all(day["held"] for day in days)
    assert process.returncode == (0 if result["budget_held"] else 1)
    assert (tmp_path / "day.png").stat().st_size > 20_000


async def test_it_stays_to_be_looked_at_with_its_clock_at_the_end_of_the_day(tmp_path: Path) -> None:
    # Four hours from midnight on, so that it is over soon.
    morning = tmp_path / "morning.csv"
    morning.write_text("".join(DAY.read_text().splitlines(keepends=True)[:9]))
    process = await _demo(tmp_path, "--trace", str(morning), "--stay", "--no-open")
    await eventually(lambda: "Ctrl-C stops" in (tmp_path / "progress.log").read_text(), timeout=60)
    [page] = re.findall(r"live page: (http://\S+/)", (tmp_path / "progress.log").read_text())
    async with aiohttp.ClientSession(page, raise_for_status=True) as session:
        async with session.get("api/v1/services/default/carbonstat") as answer:
            first = await answer.json()
        generation = await _generation(session)
        await eventually(lambda: _later(session, generation))
        async with session.get("api/v1/services/default/carbonstat") as answer:
            later = await answer.json()
    assert first["time"] == later["time"] == "2023-03-25T03:59:59Z"
    assert later["weights"] is not None
    assert later["budget"]["requests"] > 100
    process.send_signal(signal.SIGINT)
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert json.loads(output)["client"]["failed"] == 0
    assert process.returncode in {0, 1}


async def _generation(session: aiohttp.ClientSession) -> int:
    async with session.get("api/v1/services") as answer:
        return int((await answer.json())["generation"])


async def _later(session: aiohttp.ClientSession, generation: int) -> bool:
    return await _generation(session) > generation + 2


async def test_ctrl_c_stops_the_demo_and_leaves_nothing(tmp_path: Path) -> None:
    process = await _demo(tmp_path)
    await eventually(lambda: "sending" in (tmp_path / "progress.log").read_text(), timeout=60)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) == 4, "three flavours and an Envoy"
    process.send_signal(signal.SIGINT)
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 130
    assert output == b""
    progress = (tmp_path / "progress.log").read_text()
    assert "cleaned up" in progress
    assert "Traceback" not in progress
    await eventually(lambda: not any(each.is_running() and each.status() != "zombie" for each in family))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--trace", "nowhere.csv"), "nowhere.csv: cannot be read"),
        (("--plot", "/nowhere/day.png"), "/nowhere/day.png: cannot be written"),
        (("--speed", "fast"), "--speed"),
        (("--max-error-pct", "101"), "max-error-pct"),
        (("--outage", "--trace", str(DAY)), "--outage has its own days"),
    ],
)
async def test_a_wrong_option_is_explained(tmp_path: Path, options: tuple[str, ...], complaint: str) -> None:
    process = await _demo(tmp_path, *options)
    await process.communicate()
    progress = (tmp_path / "progress.log").read_text()
    assert process.returncode == 2
    assert complaint in progress
    assert "Traceback" not in progress


def test_the_shipped_day_is_one_whole_day_of_half_hours() -> None:
    trace = parse_trace(DAY.read_text(), name="day")
    assert trace.carbon_actual.size == 48
    assert trace.start_s % 86_400 == 0
    assert trace.requests_actual is not None
    assert np.all(trace.requests_actual > 0)
