"""The picture is written, whatever the results are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from controlplane.report import replay_plot
from controlplane.report.series import blind_mix_curve, series_of
from scheduler import Flavour

from .made import flavours, one, results


def test_several_policies_make_a_png(tmp_path):
    path = tmp_path / "replay.png"
    replay_plot(results(), flavours(), path)
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(content) > 20_000
    replay_plot(results()[:1], flavours(), tmp_path / "one.png")
    assert height(tmp_path / "one.png") < height(path)


def height(path):
    return int.from_bytes(path.read_bytes()[20:24], "big")


@pytest.mark.parametrize(("ending", "magic"), [("svg", b"<?xml"), ("PDF", b"%PDF-")])
def test_the_ending_chooses_the_format_and_no_time_is_written(tmp_path, ending, magic):
    path = tmp_path / f"a.{ending}"
    replay_plot(results(), flavours(), path)
    content = path.read_bytes()
    assert content.startswith(magic)
    assert b"dc:date" not in content
    assert b"CreationDate" not in content


@pytest.mark.parametrize("name", ["picture", "picture.jpeg", "picture.txt"])
def test_another_ending_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(ValueError, match=r"\.png, \.svg or \.pdf"):
        replay_plot(results(), flavours(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        replay_plot(results(), flavours(), tmp_path / "nowhere" / "a.png")


def test_no_results_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no result"):
        replay_plot([], flavours(), tmp_path / "a.png")


def test_names_are_neither_formulas_nor_hidden(tmp_path):
    named = tuple(dataclasses.replace(each, name=f"_{each.name} $\\frac$ 高") for each in flavours())
    odd = one(trace="$\\bad{$ day", policy="_x$y$")
    replay_plot([odd, one()], named, tmp_path / "a.svg")
    assert "_HighPower $\\frac$" in (tmp_path / "a.svg").read_text()


def test_nothing_served_and_nothing_emitted_is_still_a_picture(tmp_path):
    nothing = one(
        requests=0.0,
        served=np.zeros((48, 3)),
        carbon_g_per_kwh=np.zeros(48),
        always_best_g=0.0,
        clairvoyant_g=0.0,
        max_error_pct=0.0,
        saving_vs_always_best_pct=None,
    )
    replay_plot([nothing, dataclasses.replace(nothing, policy="other")], flavours(), tmp_path / "a.png")


def test_more_windows_than_are_drawn_and_ten_flavours(tmp_path):
    many = [Flavour(name=f"f{place}", error=place / 100, energy_j=20.0 - place) for place in range(10)]
    served = np.ones((48, 10))
    windows = [one(start_s=one().start_s + 86400.0 * day, served=served) for day in range(40)]
    replay_plot(windows, many, tmp_path / "a.png")


def test_the_course_of_a_window_adds_up():
    result = results()[0]
    whole = series_of(result, flavours())
    assert whole.cumulative_pct[-1] == pytest.approx(np.full(48, 100.0))
    assert whole.running_error_pct[-1] == pytest.approx(result.mean_error_pct)
    coarse = series_of(result, flavours(), at_most=10)
    assert coarse.slots == 5
    assert coarse.carbon.size == 10
    assert coarse.running_error_pct[-1] == pytest.approx(result.mean_error_pct)
    assert (coarse.edges_s[0], coarse.edges_s[-1]) == (whole.edges_s[0], whole.edges_s[-1])
    assert coarse.carbon[-1] == pytest.approx(result.carbon_g_per_kwh[45:].mean())


def test_the_line_of_mixes_is_the_carbon_blind_counterfactual():
    errors, savings = blind_mix_curve(flavours())
    for result in results():
        expected = 100.0 * (1.0 - result.carbon_blind_mix_g / result.always_best_g)
        assert np.interp(result.mean_error_pct, errors, savings) == pytest.approx(expected, abs=1e-6)
