"""Forecasts are kept as they were issued, and never at the price of a decision."""

import logging

import numpy as np
import pytest

from controlplane.carbon import CarbonSeries, IssueArchive
from scheduler.issues import parse_issues

START_S = 1_700_006_400.0


def series(values, *, issued_s=START_S, start_s=START_S, zone="national"):
    forecast = np.array(values, dtype=float)
    return CarbonSeries(
        source="gb",
        zone=zone,
        kind="average",
        basis="",
        licence="",
        start_s=start_s,
        slot_s=1800.0,
        forecast_g_per_kwh=forecast,
        actual_g_per_kwh=np.full(forecast.size, np.nan),
        issued_at_s=issued_s,
    )


def kept(tmp_path, name="gb-national.csv"):
    return parse_issues((tmp_path / "forecasts" / name).read_text(), name=name)


def test_each_forecast_is_kept_with_the_time_it_was_issued(tmp_path):
    archive = IssueArchive(tmp_path / "forecasts")
    archive.record(series([100.0, 110.0, 120.0]))
    archive.record(series([101.0, 111.0, 121.0], issued_s=START_S + 1800))
    issues = kept(tmp_path)
    grid = {"start_s": START_S, "slot_s": 1800.0, "count": 3}
    assert issues.known_at(START_S + 60, **grid).tolist() == [100.0, 110.0, 120.0]
    later = issues.known_at(START_S + 1800, **grid)
    assert np.isnan(later[0])  # what is past when a forecast is issued is none
    assert later[1:].tolist() == [111.0, 121.0]


def test_an_archive_goes_on_after_a_restart_and_zones_are_apart(tmp_path):
    IssueArchive(tmp_path / "forecasts").record(series([100.0, 110.0]))
    again = IssueArchive(tmp_path / "forecasts")
    again.record(series([90.0, 95.0], issued_s=START_S + 60))
    again.record(series([1.0, 2.0], zone="a/b"))
    assert len(kept(tmp_path).issues) == 2
    assert len(kept(tmp_path, "gb-a%2Fb.csv").issues) == 1


def test_what_cannot_be_read_is_set_aside_and_what_cannot_be_written_is_a_warning(tmp_path, caplog):
    folder = tmp_path / "forecasts"
    folder.mkdir()
    (folder / "gb-national.csv").write_text("nonsense")
    with caplog.at_level(logging.WARNING):
        IssueArchive(folder).record(series([100.0, 110.0]))
    assert len(kept(tmp_path).issues) == 1
    assert [path.read_text() for path in folder.glob("*.unusable-*")] == ["nonsense"]
    (tmp_path / "file").write_text("")
    caplog.clear()
    IssueArchive(tmp_path / "file").record(series([100.0, 110.0]))
    assert "not kept" in caplog.text


@pytest.mark.parametrize("values", [[100.0], []])
def test_too_short_to_be_a_forecast_is_left_out(tmp_path, values):
    IssueArchive(tmp_path / "forecasts").record(series(values))
    assert not (tmp_path / "forecasts").exists()
