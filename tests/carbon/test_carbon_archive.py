"""Forecasts are kept as they were issued, and never at the price of a decision."""

import logging
import math
import os
from dataclasses import replace

import numpy as np
import pytest

from controlplane.carbon import CarbonSeries, IssueArchive
from controlplane.files import write_whole
from scheduler.issues import parse_issues

START_S = 1_700_006_400.0


def series(values, *, issued_s=START_S, start_s=START_S, zone="national"):
    forecast = np.array(values, dtype=float)
    return CarbonSeries(
        source="gb",
        zone=zone,
        kind="average",
        basis="generation",
        licence="",
        start_s=start_s,
        slot_s=1800.0,
        forecast_g_per_kwh=forecast,
        actual_g_per_kwh=np.full(forecast.size, np.nan),
        issued_at_s=issued_s,
    )


def kept(tmp_path, name="gb-national-average-generation.csv"):
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


def test_what_an_earlier_answer_foresaw_is_not_kept_as_of_a_later_issue(tmp_path):
    archive = IssueArchive(tmp_path / "forecasts")
    mixed = replace(series([100.0, 110.0, 120.0]), foreseen_earlier=np.array([False, True, False]))
    archive.record(mixed)
    known = kept(tmp_path).known_at(START_S + 60, start_s=START_S, slot_s=1800.0, count=3)
    assert known[[0, 2]].tolist() == [100.0, 120.0]
    assert np.isnan(known[1])


def test_an_archive_goes_on_after_a_restart_and_zones_are_apart(tmp_path):
    IssueArchive(tmp_path / "forecasts").record(series([100.0, 110.0]))
    again = IssueArchive(tmp_path / "forecasts")
    again.record(series([90.0, 95.0], issued_s=START_S + 60))
    again.record(series([1.0, 2.0], zone="a/b"))
    assert len(kept(tmp_path).issues) == 2
    assert len(kept(tmp_path, "gb-a%2Fb-average-generation.csv").issues) == 1


def test_what_cannot_be_read_is_set_aside_and_what_cannot_be_written_is_a_warning(tmp_path, caplog):
    folder = tmp_path / "forecasts"
    folder.mkdir()
    (folder / "gb-national-average-generation.csv").write_text("nonsense")
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


def test_a_long_forecast_is_cut_and_that_is_said_once(tmp_path, caplog):
    archive = IssueArchive(tmp_path / "forecasts")
    for step in range(3):
        archive.record(series([float(step)] * 6000, issued_s=START_S + 60 * step))
    issues = kept(tmp_path).issues
    assert [len(issue.values) for issue in issues] == [192, 192, 192]
    assert [record.getMessage() for record in caplog.records] == [
        "forecasts of gb-national-average-generation are kept 96 h ahead, not to their end"
    ]


def test_numbers_of_another_kind_or_basis_are_another_file(tmp_path):
    archive = IssueArchive(tmp_path / "forecasts")
    archive.record(series([1.0, 2.0]))
    archive.record(replace(series([500.0, 600.0]), kind="marginal", basis="direct"))
    assert len(kept(tmp_path).issues) == len(kept(tmp_path, "gb-national-marginal-direct.csv").issues) == 1


def test_nothing_foreseen_is_not_kept(tmp_path):
    IssueArchive(tmp_path / "forecasts").record(series([math.nan, math.nan, math.nan]))
    assert not (tmp_path / "forecasts").exists()


@pytest.mark.parametrize("zone", ["z" * 300, "é" * 100, "../../etc/passwd", "."])
def test_a_zone_of_any_name_has_a_file_of_its_own_in_the_folder(tmp_path, zone):
    archive = IssueArchive(tmp_path / "forecasts")
    archive.record(series([1.0, 2.0], zone=zone))
    archive.record(series([3.0, 4.0], zone=zone + "2"))
    files = sorted((tmp_path / "forecasts").iterdir())
    assert len(files) == 2
    assert all(len(os.fsencode(file.name)) < 230 for file in files)
    IssueArchive(tmp_path / "forecasts").record(series([5.0, 6.0], zone=zone, issued_s=START_S + 60))
    assert sorted(len(parse_issues(file.read_text(), name="x").issues) for file in files) == [1, 2]


def test_a_link_is_replaced_and_not_followed_and_others_cannot_read_it(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("precious")
    folder = tmp_path / "forecasts"
    folder.mkdir()
    for name in ("gb-national-average-generation.csv", "gb-national-average-generation.new"):
        (folder / name).symlink_to(outside)
    IssueArchive(folder).record(series([1.0, 2.0]))
    assert outside.read_text() == "precious"
    assert (folder / "gb-national-average-generation.csv").stat().st_mode & 0o077 == 0
    assert len(kept(tmp_path).issues) == 1


def test_a_write_that_fails_leaves_what_was_there_and_no_litter(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def half(file):
        file.write("ne")
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write_whole(path, half)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("file", "old")]
