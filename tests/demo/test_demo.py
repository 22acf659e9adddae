"""The demo as a user runs it: a day of real requests through a real Envoy, in a hurry."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

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
