"""`carbonrouter replay` and `report` as they are typed: every option, what it does, and what it says when misused."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from controlplane.cli import main
from scheduler import parse_trace, policy_names
from scheduler.issues import ForecastIssues
from scheduler.scenarios import scenario_names

DATA = Path(__file__).parents[1] / "scheduler" / "data"
DAY, OTHER_DAY = DATA / "camel_m03.csv", DATA / "stable_m06.csv"
FLAVOURS = ("--flavours", DATA / "flavours_paper.csv")
KEYS = {
    *("trace", "policy", "window", "max_error_pct", "requests", "grams", "mean_error_pct", "over_budget"),
    *("carried_pct", "granted_pct", "lead", "lead_h"),
    *("always_best_g", "carbon_blind_mix_g", "clairvoyant_g"),
    *("gap_to_clairvoyant_pct", "saving_vs_always_best_pct", "gain_vs_blind_mix_pct"),
    *("deferred_requests", "deadlines_missed", "realised_deferral_gain_pct", "notes"),
}
POLICIES = tuple(name for name in policy_names() if name != "p100")


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch, capsys) -> Run:
    """The command in this process, with the streams of a pipe."""
    for name, value in {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["carbonrouter", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def results(run: Run) -> Callable[..., list[dict[str, Any]]]:
    """The objects that `replay` prints for these arguments, at 2 % unless they say otherwise."""

    def results(*arguments: object) -> list[dict[str, Any]]:
        budget = () if "--max-error-pct" in arguments else ("--max-error-pct", 2)
        code, out, err = run("replay", *arguments, *budget, "-o", "json")
        assert (code, err) == (0, "")
        found: list[dict[str, Any]] = json.loads(out)
        return found

    return results


def assert_refused(result: Result, *texts: str, code: int = 2) -> None:
    """One line says what is wrong."""
    assert (result.code, result.out) == (code, ""), result
    assert result.err.count("\n") == 1, result.err
    for text in texts:
        assert text in result.err


def alike(
    path: Path, *, days: int = 8, slot_h: int = 2, served: Callable[[int], float] = lambda _: 1.0
) -> tuple[object, ...]:
    """A file of days that are alike, and flavours; `served` is how much of the requests foreseen for a slot comes."""
    rows = ["time,carbon_actual_g_per_kwh,carbon_forecast_g_per_kwh,requests_actual,requests_forecast"]
    for slot in range(days * 24 // slot_h):
        time = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=slot * slot_h)
        carbon = 200.0 - 100.0 * math.cos(math.pi * slot * slot_h / 12)
        rows.append(f"{time.isoformat()},{carbon:.3f},{carbon:.3f},{100.0 * served(slot):g},100")
    path.write_text("\n".join(rows) + "\n")
    return path, *FLAVOURS


def table_rows(text: str) -> Iterator[list[str]]:
    """The cells of each printed row."""
    for line in text.splitlines():
        if line.startswith("│"):
            yield [cell.strip() for cell in line.strip("│").split("│")]


def without(objects: Iterable[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in each.items() if key not in keys} for each in objects]


# --policy and what is printed


def test_there_is_one_object_for_each_policy_trace_and_budget(results):
    chosen = ("--policy", "carbon-blind", "--policy", "always-best", "--max-error-pct", 1, "--max-error-pct", 4)
    objects = results(DAY, OTHER_DAY, *FLAVOURS, *chosen)
    assert [(each["policy"], each["trace"], each["max_error_pct"]) for each in objects] == [
        (policy, str(trace), percent)
        for policy in ("carbon-blind", "always-best")
        for trace in (DAY, OTHER_DAY)
        for percent in (1.0, 4.0)
    ]
    for each in objects:
        assert each.keys() >= KEYS
        assert (each["deferred_requests"], each["deadlines_missed"], each["notes"]) == (0.0, 0.0, [])
        assert each["realised_deferral_gain_pct"] is None


def test_the_default_policy_is_the_optimal_one_over_the_whole_trace(results):
    [default] = results(DAY, *FLAVOURS)
    assert (default["policy"], default["window"]) == ("optimal", "all")
    assert [default] == results(DAY, *FLAVOURS, "--policy", "optimal", "--window", "all")


def test_all_policies_are_those_installed_each_once(results):
    objects = results(DAY, *FLAVOURS, "--policy", "all")
    assert [each["policy"] for each in objects] == list(POLICIES)
    assert not any(each["over_budget"] for each in objects if each["policy"] in {"optimal", "carbon-blind"})


def test_an_unknown_policy_is_refused_with_the_list_of_those_there_are(run):
    result = run("replay", DAY, *FLAVOURS, "--max-error-pct", 2, "--policy", "optimal", "--policy", "optimum")
    assert_refused(result, "--policy", "'optimum'", *policy_names())


def test_what_random_chooses_follows_from_the_seed(results):
    one, again, other = (results(DAY, *FLAVOURS, "--policy", "random", "--seed", seed) for seed in (7, 7, 8))
    assert one == again
    assert one[0]["grams"] != other[0]["grams"]


# --window, --rolling, --carry-over-pct, --join


HALF_DAYS = ("01T00", "02T12", "04T00", "05T12", "07T00", "08T12")


def test_months_are_those_of_the_calendar_and_only_whole_ones_are_judged(results, tmp_path):
    study = alike(tmp_path / "months.csv", days=70, slot_h=12)
    objects = results(*study, "--window", "month")
    assert [(each["window"], each["window_start"], each["window_end"]) for each in objects] == [
        ("month", "2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z"),
        ("month", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
    ]
    assert objects[0]["notes"] == ["20 of 140 slots fill no whole window and are left out"]
    assert not any(each["over_budget"] for each in objects)


def test_a_rolling_month_is_refused(run):
    result = run("replay", DAY, *FLAVOURS, "--max-error-pct", 2, "--window", "month", "--rolling")
    assert_refused(result, "--rolling", "30d")


def test_there_is_one_object_for_each_budget_window(results, tmp_path):
    study = alike(tmp_path / "days.csv")
    begins = [f"2024-01-{day:02}T00:00:00Z" for day in range(1, 10)]
    for window, starts, ends in (
        ("1d", begins[:8], begins[1:]),
        ("7d", begins[:1], begins[7:8]),
        ("30d", begins[:1], begins[8:]),
        ("2d", begins[:8:2], begins[2::2]),
        ("36h", [f"2024-01-{at}:00:00Z" for at in HALF_DAYS[:5]], [f"2024-01-{at}:00:00Z" for at in HALF_DAYS[1:]]),
        ("month", begins[:1], begins[8:]),
        ("all", begins[:1], begins[8:]),
    ):
        objects = results(*study, "--window", window)
        assert [(each["window"], each["window_start"], each["window_end"]) for each in objects] == [
            (window, start, end) for start, end in zip(starts, ends, strict=True)
        ]
        assert not any(each["over_budget"] for each in objects)
        notes = {
            "7d": ["12 of 96 slots fill no whole window and are left out"],
            "30d": ["the trace is shorter than 30d: one window of 192 h"],
            "36h": ["6 of 96 slots fill no whole window and are left out"],
            "month": ["the trace holds no whole month: one window of 192 h"],
        }
        assert [each["notes"] for each in objects] == [notes.get(window, [])] * len(starts)


@pytest.mark.parametrize("window", ["30m", "32d", "7", "week", ""])
def test_an_unknown_window_is_refused_with_those_there_are(run, window):
    result = run("replay", DAY, *FLAVOURS, "--max-error-pct", 2, "--window", window)
    assert_refused(result, "--window", repr(window), "1h to 31d", "7d", "month", "all")


def test_a_rolling_window_has_one_result_that_holds_at_every_moment(results, tmp_path):
    [result] = results(*alike(tmp_path / "days.csv", days=3), "--window", "1d", "--rolling")
    assert result["window"] == "1d rolling"
    assert (result["window_start"], result["window_end"]) == ("2024-01-01T00:00:00Z", "2024-01-04T00:00:00Z")
    assert result["over_budget"] is False
    assert result["gain_vs_blind_mix_pct"] > 0.0


def test_carried_over_credit_lets_a_window_err_more_and_still_hold(results, tmp_path):
    # The first evening, for which credit was saved as carbon is highest at noon, hardly anybody comes.
    study = alike(tmp_path / "days.csv", days=2, slot_h=1, served=lambda slot: 0.1 if 10 <= slot < 24 else 1.0)
    alone, carried = (results(*study, "--window", "1d", *extra) for extra in ((), ("--carry-over-pct", "50")))
    assert carried[0] == alone[0]
    assert alone[1]["mean_error_pct"] <= 2.0 < carried[1]["mean_error_pct"] <= 3.0
    assert carried[1]["over_budget"] is False
    assert carried[1]["grams"] < alone[1]["grams"]
    assert alone[1]["carried_pct"] == carried[0]["carried_pct"] == 0.0
    assert carried[1]["mean_error_pct"] <= carried[1]["granted_pct"] == 2.0 + carried[1]["carried_pct"] <= 3.0


def test_the_clairvoyant_has_the_credit_carried_over_as_well(results, tmp_path):
    study = alike(tmp_path / "days.csv", days=2, slot_h=1, served=lambda slot: 0.1 if 10 <= slot < 24 else 1.0)
    for policy in ("optimal", "carbon-blind"):
        carrying = (*study, "--window", "1d", "--carry-over-pct", "50", "--policy", policy)
        first, second = results(*carrying)
        [alone] = results(*study, "--window", "1d", "--policy", policy, "--max-error-pct", second["granted_pct"])[1:]
        assert second["carried_pct"] > 0.0
        assert second["clairvoyant_g"] == pytest.approx(alone["clairvoyant_g"], rel=1e-9)
        assert first["gap_to_clairvoyant_pct"] >= 0.0
        assert second["gap_to_clairvoyant_pct"] >= 0.0


def test_credit_carried_over_is_printed_where_there_is_any(run, tmp_path):
    study = alike(tmp_path / "days.csv", days=2, slot_h=1, served=lambda slot: 0.1 if 10 <= slot < 24 else 1.0)
    plain, carrying = (
        run("replay", *study, "--max-error-pct", 2, "--window", "1d", *extra).out
        for extra in ((), ("--carry-over-pct", "50"))
    )
    assert "granted %" not in " ".join(plain.split())
    assert "carried" in carrying
    first, second, *_ = table_rows(carrying)
    assert first[3:5] == ["0.000", "2.000"]
    assert float(second[3]) > 0.0
    assert float(second[4]) == pytest.approx(2.0 + float(second[3]))


@pytest.mark.parametrize("percent", ["101", "-1", "nan"])
def test_a_share_of_credit_out_of_range_is_refused(run, percent):
    result = run("replay", DAY, *FLAVOURS, "--max-error-pct", 2, "--window", "1d", f"--carry-over-pct={percent}")
    assert_refused(result, "--carry-over-pct", "between 0 and 100")


def test_carrying_credit_over_makes_no_sense_in_a_rolling_window(run):
    extra = ("--window", "1d", "--rolling", "--carry-over-pct", "10")
    assert_refused(run("replay", DAY, *FLAVOURS, "--max-error-pct", 2, *extra), "--carry-over-pct", "rolling")


def test_joined_traces_are_replayed_as_one(results):
    apart = results(DAY, OTHER_DAY, *FLAVOURS)
    [joined] = results(DAY, OTHER_DAY, *FLAVOURS, "--join")
    assert joined["trace"] == f"{DAY} and 1 more"
    assert joined["requests"] == pytest.approx(sum(each["requests"] for each in apart))
    assert (joined["window_start"], joined["window_end"]) == ("2023-03-25T00:00:00Z", "2023-03-27T00:00:00Z")
    assert len(results(DAY, OTHER_DAY, *FLAVOURS, "--join", "--window", "1d")) == 2
    assert results(DAY, *FLAVOURS, "--join") == results(DAY, *FLAVOURS)


# --lead and --forecasts


@pytest.mark.parametrize(("lead", "hours"), [("48h", 48.0), ("90m", 1.5), ("7d", 168.0), ("6", 6.0), (" 0.5 h", 0.5)])
def test_a_lead_is_a_time_with_its_unit(results, lead, hours):
    assert results(DAY, *FLAVOURS, "--lead", lead)[0]["lead_h"] == hours


def test_what_is_known_sooner_is_never_known_less(results):
    whole, long, short = (results(DAY, *FLAVOURS, *lead)[0] for lead in ((), ("--lead", "24h"), ("--lead", "30m")))
    assert without([whole], "lead", "lead_h") == without([long], "lead", "lead_h")
    assert whole["gap_to_clairvoyant_pct"] < short["gap_to_clairvoyant_pct"]


@pytest.mark.parametrize("lead", ["nonsense", "", "-3h", "48 hours", "nan", "1e3h", "9000d", "h"])
def test_a_lead_that_is_no_time_is_refused_with_an_example(run, lead):
    result = run("replay", DAY, *FLAVOURS, "--max-error-pct", 2, f"--lead={lead}")
    assert_refused(result, "--lead", repr(lead), "48h")


def issued(path: Path, *, lead_slots: int) -> Path:
    """The forecast column of the day as if each slot had begun with a new forecast of so many slots."""
    trace = parse_trace(DAY.read_text(), name=DAY.name)
    assert trace.carbon_forecast is not None
    known = np.concatenate((trace.carbon_forecast, np.full(lead_slots, np.nan)))
    issues = ForecastIssues()
    for slot in range(trace.carbon_actual.size):
        now_s = trace.start_s + slot * trace.slot_s
        issues = issues.keep(now_s, now_s, trace.slot_s, known[slot : slot + lead_slots])
    path.write_text("".join(issues.to_csv()))
    return path


def test_forecasts_as_issued_give_what_the_column_gives_with_the_same_lead(results, tmp_path):
    path = issued(tmp_path / "issues.csv", lead_slots=12)
    from_issues, from_column = results(DAY, *FLAVOURS, "--forecasts", path), results(DAY, *FLAVOURS, "--lead", "6h")
    unlike = ("lead", "lead_h", "notes")
    assert without(from_issues, *unlike) == without(from_column, *unlike)
    assert from_issues[0]["lead"] == "as issued at the time"
    assert from_issues[0]["notes"] == ["carbon forecasts as issued at the time: in force in 48 of 48 slots"]


def test_of_forecasts_that_begin_late_only_the_slots_since_then_are_said_to_have_had_one(results, tmp_path):
    path = issued(tmp_path / "issues.csv", lead_slots=12)
    header, *lines = path.read_text().splitlines(keepends=True)
    path.write_text(header + "".join(line for line in lines if line >= "2023-03-25T18"))
    assert results(DAY, *FLAVOURS, "--forecasts", path)[0]["notes"] == [
        "carbon forecasts as issued at the time: in force in 12 of 48 slots"
    ]


def test_forecasts_of_another_time_than_the_trace_are_refused(run, tmp_path):
    path = issued(tmp_path / "issues.csv", lead_slots=12)
    for year in ("2022", "2024"):
        path.write_text(path.read_text().replace("2023-", f"{year}-").replace("2022-", f"{year}-"))
        result = run("replay", DAY, *FLAVOURS, "--max-error-pct", 2, "--forecasts", path)
        assert_refused(result, str(DAY), "in none of its slots, from 2023-03-25T00:00:00Z", f"from {year}-03-25")


def test_a_lead_beside_forecasts_as_issued_is_refused(run, tmp_path):
    path = issued(tmp_path / "issues.csv", lead_slots=12)
    result = run("replay", DAY, *FLAVOURS, "--max-error-pct", 2, "--forecasts", path, "--lead", "6h")
    assert_refused(result, "--lead", "only one of the two")


def test_forecasts_that_cannot_be_read_are_named(run, tmp_path):
    arguments = ("replay", DAY, *FLAVOURS, "--max-error-pct", 2, "--forecasts")
    assert_refused(run(*arguments, tmp_path / "none.csv"), f"{tmp_path / 'none.csv'}: cannot be read")
    assert_refused(run(*arguments, DAY), f"{DAY}:1: column issued is missing")


# --defer and --processing


def test_what_waiting_gained_is_reported_and_nobody_waited_too_long(results):
    [at_once], [waited] = results(DAY, *FLAVOURS), results(DAY, *FLAVOURS, "--defer", "0.3:6")
    assert waited["requests"] == pytest.approx(at_once["requests"])
    assert 0.0 < waited["deferred_requests"] < 0.3 * waited["requests"]
    assert waited["deadlines_missed"] == 0.0
    assert 0.0 < waited["realised_deferral_gain_pct"] <= 100.0
    assert waited["grams"] < at_once["grams"]
    assert waited["over_budget"] is False


def test_the_throttle_decides_otherwise_than_the_plan(results):
    [planned], [throttled] = (
        results(DAY, *FLAVOURS, "--defer", "0.3:6h", "--processing", name) for name in ("release-plan", "throttle")
    )
    assert [planned] == results(DAY, *FLAVOURS, "--defer", "0.3:6")
    assert throttled["deferred_requests"] != planned["deferred_requests"]
    assert throttled["realised_deferral_gain_pct"] < planned["realised_deferral_gain_pct"]


def test_where_deadlines_were_missed_there_is_no_share_of_the_gain_but_they_are_counted(run, results):
    missing = (OTHER_DAY, *FLAVOURS, "--defer", "0.3:1", "--processing", "throttle")
    [throttled] = results(*missing)
    assert throttled["deadlines_missed"] > 0.0
    assert throttled["realised_deferral_gain_pct"] is None
    row = next(table_rows(run("replay", *missing, "--max-error-pct", 2).out))
    assert row[-2:] == ["n/a", f"{throttled['deadlines_missed']:,.0f}"]


def test_the_rounding_of_floats_is_no_gain_by_waiting(results, tmp_path):
    path, *rest = alike(tmp_path / "flat.csv", days=1, slot_h=1)
    times = [line.partition(",")[0] for line in path.read_text().splitlines()]
    carbon = [f"{300.0 + 1e-10 * (slot % 3)!r}" for slot in range(24)]
    rows = [f"{time},{level},{level},100.0,100" for time, level in zip(times[1:], carbon, strict=True)]
    head = path.read_text().splitlines()[0]
    path.write_text("\n".join([head, *rows]) + "\n")
    [result] = results(path, *rest, "--defer", "0.3:6")
    assert result["realised_deferral_gain_pct"] is None


@pytest.mark.parametrize("waiting", ["x", "2:6", "0.3", "0.3:-1", "0.3:", ":6", "nan:6", "-0.1:6", "0.3:6:1"])
def test_a_bad_form_of_waiting_names_the_option_and_shows_a_right_one(run, waiting):
    result = run("replay", DAY, *FLAVOURS, "--max-error-pct", 2, f"--defer={waiting}")
    assert_refused(result, f"--defer: {waiting!r}", "0.3:6")


@pytest.mark.parametrize("waiting", [(), ("--defer", "0.3:6")], ids=["nobody waits", "some wait"])
def test_an_unknown_processing_is_refused_by_its_own_name(run, waiting):
    result = run("replay", DAY, *FLAVOURS, "--max-error-pct", 2, *waiting, "--processing", "throtle")
    assert_refused(result, "--processing: ", "'throtle'", "release-plan", "throttle")
    assert "SHARE:HOURS" not in result.err


def test_requests_cannot_wait_where_none_are_foreseen(run, tmp_path):
    path = tmp_path / "unforeseen.csv"
    path.write_text("time,carbon_actual_g_per_kwh,requests_actual\n2024-01-01T00:00Z,1,5\n2024-01-01T01:00Z,2,5\n")
    result = run("replay", path, *FLAVOURS, "--max-error-pct", 2, "--defer", "0.3:6")
    assert_refused(result, str(path), "forecast of requests")


# --scenario and what is missing


def test_a_scenario_brings_its_own_flavours(results):
    [result] = results("--scenario", "carbon-scenario", "--max-error-pct", 15)
    assert (result["trace"], result["notes"]) == ("carbon-scenario", ["no requests: constant demand"])
    assert result["always_best_g"] > result["carbon_blind_mix_g"] > result["grams"] >= result["clairvoyant_g"]
    [paper] = results("--scenario", "carbon_scenario", *FLAVOURS, "--max-error-pct", 15)
    assert paper["always_best_g"] != result["always_best_g"]


def test_all_scenarios_are_replayed_by_name(results):
    objects = results("--scenario", "all", "--policy", "carbon-blind")
    assert [each["trace"] for each in objects] == list(scenario_names())


def test_an_unknown_scenario_is_refused_with_those_there_are(run):
    assert_refused(run("replay", "--scenario", "coal", "--max-error-pct", 2), "--scenario", "'coal'", *scenario_names())


@pytest.mark.parametrize("command", ["replay", "report"])
@pytest.mark.parametrize(
    ("arguments", "texts"),
    [((), ("nothing to replay", "--scenario")), ((DAY,), ("--flavours is missing", "error_pct"))],
    ids=["no trace", "no flavours"],
)
def test_what_is_missing_is_said(run, command, arguments, texts):
    assert_refused(run(command, *arguments, "--max-error-pct", 2), f"carbonrouter {command}: ", *texts)


# The table


def test_a_large_study_is_printed_as_means_for_each_policy_and_budget(run, results, tmp_path):
    weeks = alike(tmp_path / "weeks.csv", days=8 * 7, slot_h=84)
    study = (
        *weeks,
        "--window",
        "7d",
        "--policy",
        "carbon-blind",
        "--policy",
        "always-best",
        *(word for percent in (1, 2, 4, 8) for word in ("--max-error-pct", percent)),
    )
    code, out, err = run("replay", *study)
    assert (code, err) == (0, "")
    assert "means of 64 results; -o json prints each" in out
    assert "2024-01" not in out
    objects = results(*study)
    expected = []
    for policy in ("carbon-blind", "always-best"):
        mine = [each for each in objects if each["policy"] == policy]
        for budget in ("1", "2", "4", "8", "all"):
            group = [each for each in mine if budget in {"all", f"{each['max_error_pct']:g}"}]
            means = [
                f"{sum(each[key] for each in group) / len(group):.{digits}f}"
                for key, digits in (
                    ("mean_error_pct", 4),
                    ("gap_to_clairvoyant_pct", 3),
                    ("saving_vs_always_best_pct", 3),
                    ("gain_vs_blind_mix_pct", 3),
                )
            ]
            expected.append([policy, budget, *means, f"0 of {len(group)}"])
    assert list(table_rows(out)) == expected


def test_a_small_study_is_printed_window_by_window_with_what_was_noted(run, tmp_path):
    study = (*alike(tmp_path / "days.csv", days=2), "--scenario", "wind-heavy", "--window", "1d")
    code, out, _ = run("replay", *study, "--max-error-pct", 2)
    assert code == 0
    rows = list(table_rows(out))
    assert [row[0] for row in rows[:2]] == ["days.csv", "days.csv"]
    assert [row[1] for row in rows[:2]] == ["2024-01-01 00:00", "2024-01-02 00:00"]
    assert rows[-1][0] == "mean"
    assert "wind-heavy: no requests: constant demand" in out


def test_a_pipe_gets_120_columns_whatever_the_terminal_has(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    name = f"{'long-' * 40}day.csv"
    (tmp_path / name).write_text(DAY.read_text())
    code, out, _ = run("replay", tmp_path / name, *FLAVOURS, "--max-error-pct", 2)
    assert code == 0
    assert max(map(len, out.splitlines())) == 120
    assert "".join(row[0] for row in table_rows(out)) == f"{name}mean"
    assert "…" not in out


# --plot and the page


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG\r\n\x1a\n"), ("svg", b"<?xml")])
def test_the_picture_is_written_beside_what_is_printed(run, tmp_path, ending, magic):
    path = tmp_path / f"replay.{ending}"
    code, out, err = run("replay", DAY, *FLAVOURS, "--max-error-pct", 2, "--plot", path, "-o", "json")
    assert (code, err) == (0, "")
    assert path.read_bytes().startswith(magic)
    assert len(json.loads(out)) == 1


@pytest.mark.parametrize("name", ["replay.jpeg", "replay"])
def test_a_picture_of_another_kind_is_refused(run, tmp_path, name):
    result = run("replay", DAY, *FLAVOURS, "--max-error-pct", 2, "--plot", tmp_path / name)
    assert_refused(result, str(tmp_path / name), ".png, .svg or .pdf")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("command", "option", "ending"), [("replay", "--plot", "png"), ("report", "--page", "html")])
def test_what_cannot_be_written_is_said_in_one_line(run, tmp_path, command, option, ending):
    (tmp_path / f"folder.{ending}").mkdir()
    for path in (tmp_path / "nowhere" / f"a.{ending}", tmp_path / f"folder.{ending}"):
        result = run(command, DAY, *FLAVOURS, "--max-error-pct", 2, option, path)
        assert_refused(result, f"{path}: cannot be written: ", code=1)


def test_the_report_is_one_page_and_its_size_is_said(run, tmp_path):
    path = tmp_path / "page.html"
    options = ("--policy", "optimal", "--policy", "carbon-blind", "--page", path, "--source", "GB <Carbon> API, CC BY")
    code, out, err = run("report", DAY, OTHER_DAY, *FLAVOURS, "--max-error-pct", 2, *options)
    size = path.stat().st_size
    assert (code, out, err) == (0, f"{path}: 4 results, {size / 1024:.0f} KiB\n", "")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    for said in ("GB &lt;Carbon&gt; API, CC BY", f"carbonrouter report {DAY}", "held in all 4 windows"):
        assert said in text


def test_a_page_that_cannot_be_written_in_full_leaves_the_old_one_and_nothing_else(run, tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("the old page")
    write = Path.write_text

    def full(self, text, **options):
        write(self, text[:100], **options)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    result = run("report", DAY, *FLAVOURS, "--max-error-pct", 2, "--page", path)
    assert_refused(result, f"{path}: cannot be written: ", code=1)
    assert path.read_text() == "the old page"
    assert list(tmp_path.iterdir()) == [path]


def test_a_page_may_be_a_link_or_a_pipe(run, tmp_path):
    target, link, pipe = tmp_path / "real.html", tmp_path / "link.html", tmp_path / "pipe"
    link.symlink_to(target)
    assert run("report", DAY, *FLAVOURS, "--max-error-pct", 2, "--page", link).code == 0
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    assert run("report", DAY, *FLAVOURS, "--max-error-pct", 2, "--page", pipe).code == 0
    reader.join()
    assert read[0].startswith("<!doctype html>")
    assert pipe.is_fifo()


def test_the_report_is_written_here_unless_a_place_is_named(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("report", "--scenario", "wind-heavy", "--max-error-pct", 15)
    assert code == 0
    assert out.startswith("carbonrouter-report.html: ")
    assert [path.name for path in tmp_path.iterdir()] == ["carbonrouter-report.html"]


def test_the_report_does_not_call_forecasts_as_issued_unlimited(run, tmp_path):
    page = tmp_path / "page.html"
    forecasts = issued(tmp_path / "issues.csv", lead_slots=12)
    assert run("report", DAY, *FLAVOURS, "--max-error-pct", 2, "--forecasts", forecasts, "--page", page).code == 0
    text = page.read_text(encoding="utf-8")
    assert "as issued at the time" in text
    assert "not limited" not in text


def test_the_report_does_not_say_that_a_scenario_was_known_further_than_its_lead(run, tmp_path):
    page = tmp_path / "page.html"
    arguments = ("--scenario", "wind-heavy", "--max-error-pct", 15, "--lead", "2h", "--page", page)
    assert run("report", *arguments).code == 0
    text = page.read_text(encoding="utf-8")
    assert "2 h" in text
    assert "the whole pattern is known from the start" not in text
