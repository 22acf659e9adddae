"""The series and the clocks."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from controlplane.clock import ScaledClock, SystemClock
from tests.carbon.carbon_fakes import series


@pytest.mark.parametrize(
    ("time_s", "index", "covered"),
    [
        (999.9, None, False),
        (1000.0, 0, True),
        (1099.9, 0, True),
        (1100.0, 1, False),
        (1200.0, 2, True),
        (1300.0, None, False),
    ],
)
def test_slots_and_coverage(time_s, index, covered):
    forecast = np.array([1.0, np.nan, np.nan])
    actual = np.array([np.nan, np.nan, 3.0])
    grid = replace(series(start_s=1000.0, slots=3, slot_s=100.0), forecast_g_per_kwh=forecast, actual_g_per_kwh=actual)
    assert grid.index_at(time_s) == index
    assert grid.covers(time_s) is covered
    assert grid.end_s == 1300.0


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        series().forecast_g_per_kwh[0] = 1.0


@pytest.mark.parametrize(
    "wrong",
    [{"actual_g_per_kwh": np.zeros(2)}, {"slot_s": 0.0}, {"forecast_g_per_kwh": np.zeros((2, 2))}],
)
def test_inconsistent_series_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        replace(series(slots=3), **wrong)


async def test_scaled_clock(monkeypatch):
    real = [100.0]
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("controlplane.clock.time.monotonic", lambda: real[0])
    clock = ScaledClock(start_s=1_000_000.0, speed=900.0)
    monkeypatch.setattr("controlplane.clock.asyncio.sleep", sleep)
    assert clock.now_s() == 1_000_000.0
    real[0] += 2.0
    assert clock.now_s() == 1_001_800.0
    await clock.sleep(1800.0)
    await clock.sleep(-5.0)
    assert slept == [2.0, 0.0]
    await SystemClock().sleep(3.0)
    assert slept[-1] == 3.0


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_clock_runs_forward(speed):
    with pytest.raises(ValueError, match="positive"):
        ScaledClock(start_s=0.0, speed=speed)


async def test_system_clock(monkeypatch):
    monkeypatch.setattr("controlplane.clock.time.time", lambda: 12.5)
    assert SystemClock().now_s() == 12.5
    await asyncio.wait_for(SystemClock().sleep(-1.0), timeout=5.0)
