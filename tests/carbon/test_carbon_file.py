"""The file source: causal, replayed by whole days, read again when changed, and never worse than an error."""

import os
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from controlplane.carbon import CarbonFeed, FileSource, PermanentSourceError, TemporarySourceError, file
from tests.carbon.carbon_fakes import FakeClock

DAY = datetime(2023, 1, 1, tzinfo=UTC)


def trace(slots: int, *, minutes: int = 30, forecast: bool = True, start: datetime = DAY) -> str:
    header = "time,carbon_actual_g_per_kwh" + (",carbon_forecast_g_per_kwh" if forecast else "")
    lines = [header]
    for index in range(slots):
        at = (start + timedelta(minutes=minutes * index)).strftime("%Y-%m-%dT%H:%MZ")
        lines.append(f"{at},{index}" + (f",{1000 + index}" if forecast else ""))
    return "\n".join(lines) + "\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "winter.csv"


async def fetched(path, now, **options):
    return await FileSource(path, **options).fetch(now_s=now.timestamp())


@pytest.mark.parametrize(("minute", "ended"), [(0, 0), (29, 0), (30, 1), (31, 1), (90, 3), (47 * 30 + 29, 47)])
async def test_nothing_is_known_before_its_slot_has_ended(path, minute, ended):
    path.write_text(trace(48))
    series = await fetched(path, DAY + timedelta(minutes=minute))
    assert np.array_equal(series.actual_g_per_kwh[:ended], np.arange(float(ended)))
    assert np.isnan(series.actual_g_per_kwh[ended:]).all()
    assert np.array_equal(series.forecast_g_per_kwh, 1000.0 + np.arange(48))
    assert (series.start_s, series.slot_s, series.zone) == (DAY.timestamp(), 1800.0, "winter")
    assert (series.source, series.kind, series.notes) == ("file", "average", ())


async def test_without_a_forecast_column_the_recorded_values_stand_in(path):
    path.write_text(trace(48, forecast=False))
    series = await fetched(path, DAY)
    assert np.array_equal(series.forecast_g_per_kwh, np.arange(48.0))
    assert np.isnan(series.actual_g_per_kwh).all()
    assert any("stand in" in note for note in series.notes)


async def test_what_was_bridged_is_noted_and_was_not_observed(path):
    path.write_text(trace(48).replace(",3,1003", ",,1003"))
    series = await fetched(path, DAY + timedelta(hours=12))
    assert any("bridged" in note and "1 empty" in note for note in series.notes)
    assert np.isnan(series.actual_g_per_kwh[3])
    assert series.actual_g_per_kwh[4] == 4.0


async def test_before_the_trace_there_is_no_value(path):
    path.write_text(trace(48))
    with pytest.raises(TemporarySourceError, match="no value for now"):
        await fetched(path, DAY - timedelta(seconds=1))


async def test_after_its_end_the_trace_still_tells_how_its_last_slot_turned_out(path):
    path.write_text(trace(48))
    series = await fetched(path, DAY + timedelta(days=1))
    assert np.isfinite(series.actual_g_per_kwh[-1])
    assert not series.covers((DAY + timedelta(days=1)).timestamp())
    assert "the trace has ended" in series.notes


@pytest.mark.parametrize("days_recorded", [1, 3])
@pytest.mark.parametrize("later", [timedelta(0), timedelta(days=500, hours=7, minutes=12), -timedelta(days=90)])
async def test_a_replayed_trace_keeps_the_time_of_day(path, days_recorded, later):
    path.write_text(trace(48 * days_recorded))
    now = DAY + later
    series = await fetched(path, now, repeat=True)
    assert "recorded trace replayed" in series.notes
    assert series.start_s <= (now - timedelta(hours=23)).timestamp()
    assert series.end_s >= (now + timedelta(hours=47)).timestamp()
    period_s = days_recorded * 86_400
    for index, forecast in enumerate(series.forecast_g_per_kwh):
        at_s = series.start_s + index * 1800.0 - DAY.timestamp()
        assert forecast == 1000.0 + (at_s % period_s) / 1800.0
    ended = int((now.timestamp() - series.start_s) // 1800.0)
    assert np.array_equal(series.actual_g_per_kwh[:ended], series.forecast_g_per_kwh[:ended] - 1000.0)
    assert np.isnan(series.actual_g_per_kwh[ended:]).all()


async def test_a_replay_uses_whole_days_only(path):
    path.write_text(trace(60))
    series = await fetched(path, DAY + timedelta(days=1), repeat=True)
    assert np.nanmax(series.forecast_g_per_kwh) == 1047.0


async def test_a_replay_of_half_a_day_knows_nothing_of_the_other_half(path):
    path.write_text(trace(24))
    series = await fetched(path, DAY + timedelta(days=9, hours=3), repeat=True)
    assert np.isnan(series.forecast_g_per_kwh).sum() == series.forecast_g_per_kwh.size / 2
    with pytest.raises(TemporarySourceError, match="no value for now"):
        await fetched(path, DAY + timedelta(days=9, hours=15), repeat=True)


async def test_slots_that_do_not_fill_days_cannot_be_replayed(path):
    path.write_text(trace(300, minutes=7))
    with pytest.raises(PermanentSourceError, match="do not fill"):
        await fetched(path, DAY, repeat=True)


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (None, TemporarySourceError, "No such file"),
        (b"", PermanentSourceError, "empty"),
        (b"\xff\xfe\x00", PermanentSourceError, "UTF-8"),
        (b"time,carbon_actual_g_per_kwh\n2023-01-01T00:00Z,x\n2023-01-01T00:30Z,1\n", PermanentSourceError, "number"),
        (b"<html>\n", PermanentSourceError, "missing"),
    ],
)
async def test_unusable_files(path, content, error, words):
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=words):
        await fetched(path, DAY)


async def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(PermanentSourceError, match="directory"):
        await fetched(tmp_path, DAY)


async def test_a_file_that_is_too_large_is_not_read(path, monkeypatch):
    path.write_text(trace(48))
    monkeypatch.setattr("controlplane.traces.MAX_BYTES", 10)
    with pytest.raises(PermanentSourceError, match="larger than"):
        await fetched(path, DAY)


async def test_the_file_is_parsed_once_until_it_changes(path, monkeypatch):
    parsed = []
    read = file.read_trace
    monkeypatch.setattr(file, "read_trace", lambda trace: parsed.append(trace) or read(trace))
    path.write_text(trace(48))
    source = FileSource(path)
    for _ in range(3):
        await source.fetch(now_s=DAY.timestamp())
    assert len(parsed) == 1
    path.write_text(trace(48).replace(",0,1000", ",0,7"))
    os.utime(path, ns=(1, 1))
    assert (await source.fetch(now_s=DAY.timestamp())).forecast_g_per_kwh[0] == 7.0
    assert len(parsed) == 2


async def test_a_broken_new_file_keeps_the_last_good_series(path):
    clock = FakeClock(DAY.timestamp())
    feed = CarbonFeed(FileSource(path), clock=clock)
    path.write_text(trace(48))
    await feed.refresh()
    good = feed.series
    path.write_text("broken")
    clock.time_s += 60.0
    await feed.refresh()
    status = feed.status(clock.now_s())
    assert feed.series is good
    assert (status.state, status.failures) == ("fresh", 1)
    assert status.last_error is not None
    path.write_text(trace(47))
    clock.time_s += 60.0
    await feed.refresh()
    assert feed.series is not good
    assert feed.status(clock.now_s()).last_error is None
    await feed.aclose()
