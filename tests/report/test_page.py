"""The page says what the results say, says broken promises plainly, and reaches for nothing outside itself."""

from __future__ import annotations

import dataclasses
import math
import re
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from controlplane.report import SourceNote, numbers, report_page
from controlplane.report.tables import MOST_WINDOWS
from scheduler import Flavour

from .made import flavours, one, page, results
from .reading import Page


def of_group(policy: str, percent: float):
    return [each for each in results() if each.policy == policy and each.max_error_pct == pytest.approx(percent)]


def mean(values):
    return sum(values) / len(values)


def test_the_summary_has_the_means_and_sums_of_the_results():
    read = Page(page())
    savings, promises = read.table("Emissions"), read.table("Promise kept")
    assert len(savings.rows) == len(promises.rows) == 1 + 6
    for row, values, kept in zip(savings.rows[1:], savings.values[1:], promises.values[1:], strict=True):
        chosen = of_group(row[0], float(row[1]))
        assert values[2:9] == pytest.approx(
            [
                mean([each.saving_vs_always_best_pct for each in chosen]),
                mean([each.gain_vs_blind_mix_pct for each in chosen]),
                mean([each.gap_to_clairvoyant_pct for each in chosen]),
                sum(each.grams for each in chosen),
                sum(each.always_best_g for each in chosen),
                sum(each.carbon_blind_mix_g for each in chosen),
                sum(each.clairvoyant_g for each in chosen),
            ]
        )
        assert kept[2] == pytest.approx(mean([each.mean_error_pct for each in chosen]))
        assert row[-1] == f"{sum(each.over_budget for each in chosen)} of 2"


def test_each_window_has_its_own_figures():
    read = Page(page())
    rows = [
        (row, values)
        for table in read.tables
        if table.caption.startswith("Windows under")
        for row, values in zip(table.rows[1:], table.values[1:], strict=True)
    ]
    assert len(rows) == len(results())
    for (row, values), result in zip(rows, results(), strict=True):
        assert row[0] == result.trace
        assert values[2:4] == [result.requests, result.mean_error_pct]
        assert values[5:] == [
            result.grams,
            result.always_best_g,
            result.carbon_blind_mix_g,
            result.clairvoyant_g,
            result.saving_vs_always_best_pct,
            result.gain_vs_blind_mix_pct,
            result.gap_to_clairvoyant_pct,
        ]


def test_a_broken_promise_stands_first_and_by_name():
    read = Page(page(one(), one(trace="bad day", over_budget=True, mean_error_pct=2.0000001)))
    assert "The promise was BROKEN in 1 of 2 windows" in read.text
    broken = read.table("Broken promises")
    assert [row[0] for row in broken.rows[1:]] == ["bad day"]
    assert broken.rows[1][-2:] == ["2.001", "OVER by 0.001 points"]
    assert read.table("Promise kept").rows[1][-2:] == ["1 of 2", "OVER by 0.001 points"]


def test_when_all_is_held_the_page_says_so_and_lists_nothing():
    read = Page(page(one(), one(trace="other")))
    assert "held in all 2 windows" in read.text
    assert not any(table.caption.startswith("Broken") for table in read.tables)
    assert "OVER" not in read.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"over_budget": True, "mean_error_pct": 1.9, "window": "1d rolling"}, "OVER in a stretch inside"),
        ({"over_budget": False, "mean_error_pct": 2.1}, "held, with credit carried over"),
        ({"over_budget": False, "mean_error_pct": 2.0 + 1e-12}, "held"),
    ],
)
def test_the_mean_alone_does_not_decide_whether_a_promise_was_kept(changes, said):
    assert Page(page(one(**changes))).table("Promise kept").rows[1][-1] == said


def test_figures_are_never_rounded_in_our_favour():
    assert numbers.saved(9.999).text == "9.99"
    assert numbers.saved(-1.001).text == "-1.01"
    assert numbers.saved(-1.001).remark == "more"
    assert numbers.saved(-1e-15).text == "0.00"
    assert numbers.above_bound(0.2101).text == "0.22"
    assert numbers.error(4.00001).text == "4.001"
    assert numbers.error(4.0 + 1e-12).text == "4.000"
    assert numbers.realised(85.59).text == "85.5"


@pytest.mark.parametrize(
    ("grams", "shown"),
    [(0.0, ("0", "g")), (5.7e-3, ("5.700", "mg")), (12.5, ("12.50", "g")), (1234567.0, ("1.235", "t"))],
)
def test_masses_are_shown_in_a_fitting_unit_and_kept_in_grams(grams, shown):
    unit = numbers.GramUnit.fitting([grams, grams / 3])
    assert (unit.number(grams).text, unit.name) == shown
    assert float(unit.number(grams).exact) == grams


def test_what_has_no_figure_says_why():
    nothing = one(
        requests=0.0,
        grams=0.0,
        mean_error_pct=0.0,
        always_best_g=0.0,
        saving_vs_always_best_pct=None,
        gain_vs_blind_mix_pct=None,
        gap_to_clairvoyant_pct=math.inf,
        served=np.zeros((48, 3)),
    )
    row = Page(page(nothing)).table("Windows under").rows[1]
    assert row[3] == "n/a (no requests)"
    assert row[-3:] == ["n/a (no emissions above zero to compare with)"] * 2 + ["n/a (not a finite number)"]


def test_a_mean_that_leaves_windows_out_says_so():
    rows = Page(page(one(), one(trace="b", saving_vs_always_best_pct=None))).table("Emissions").rows
    assert "1 of 2 windows" in rows[1][2]


def test_waiting_is_shown_only_where_requests_waited():
    assert not any(table.caption.startswith("Waiting") for table in Page(page()).tables)
    waited = one(deferred_requests=120.0, deadlines_missed=3.0, realised_deferral_gain_pct=86.39)
    read = Page(page(waited))
    assert read.table("Waiting").rows[1][-3:] == ["120", "3", "86.3"]
    assert read.table("Windows under").rows[1][-3:] == ["120", "3", "86.3"]


def test_missed_deadlines_are_the_reason_for_no_share_of_the_gain():
    late = one(deferred_requests=120.0, deadlines_missed=3.0, realised_deferral_gain_pct=None)
    assert Page(page(late)).table("Waiting").rows[1][-1] == "n/a (deadlines were missed)"


def test_credit_carried_over_is_shown_and_what_was_granted_judged_where_there_is_any():
    assert "granted, %" not in Page(page()).text
    carrying = one(carried_pct=0.5, granted_pct=2.5, mean_error_pct=2.4)
    over = one(trace="bad day", carried_pct=0.5, granted_pct=2.5, mean_error_pct=2.6, over_budget=True)
    read = Page(page(carrying, over))
    for name in ("Promise kept", "Windows under", "Broken promises"):
        table = read.table(name)
        at = table.rows[0].index("granted, %")
        assert [row[at - 1 : at + 1] for row in table.rows[1:]] == [["0.500", "2.500"]] * (len(table.rows) - 1)
    assert "held, with credit carried over" in read.text
    assert "OVER by 0.100 points" in read.text


def test_results_that_knew_other_things_of_the_carbon_to_come_are_not_put_together():
    rows = Page(page(one(), one(lead="no forecast"))).table("Promise kept").rows
    assert [row[2] for row in rows] == [
        "carbon forecast",
        "the forecast column, all of it seen from the start",
        "no forecast",
    ]


HOSTILE = '<script>alert("1")</script>&amp;\'"\x00\x1b\u202e\udcff'


def test_values_are_text_whatever_they_are():
    result = one(trace=HOSTILE, policy=HOSTILE, window=HOSTILE, notes=(HOSTILE,), over_budget=True)
    source = SourceNote(
        name=HOSTILE, kind=HOSTILE, origin=HOSTILE, licence=HOSTILE, lead=HOSTILE, notes=(HOSTILE, HOSTILE)
    )
    named = tuple(dataclasses.replace(each, name=HOSTILE + each.name) for each in flavours())
    text = page(result, flavours=named, sources=[source], command=HOSTILE, version=HOSTILE)
    text.encode("utf-8")
    assert "\x00" not in text
    assert "\x1b" not in text
    read = Page(text)
    assert not read.of("script")
    assert read.text.count('<script>alert("1")</script>&amp;\'"') > 15
    harmless = SourceNote(name="a", kind="a", origin="a", licence="a", lead="a", notes=("a", "a"))
    plain = Page(page(one(notes=("a",), over_budget=True), sources=[harmless]))
    assert [tag for tag, _ in read.elements] == [tag for tag, _ in plain.elements]


def test_nothing_on_the_page_leads_outside():
    text = page()
    for way in ("http://", "https://", "src=", "srcset", "@import", "url(", "javascript:", "<script"):
        assert way not in text
    read = Page(text)
    for tag, attrs in read.elements:
        assert tag not in {"script", "img", "iframe", "object", "embed", "form", "base", "video", "audio"}
        assert not any(name.startswith("on") or name == "style" for name in attrs)
        assert (attrs.get("href") or "#").startswith("#") or (tag, attrs["href"]) == ("link", "data:,")
    policy = next(each["content"] for each in read.of("meta") if each.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")


def test_the_page_is_navigable():
    text = page(*results(), one(deferred_requests=1.0, policy="waits"))
    assert text.startswith('<!doctype html>\n<html lang="en">')
    read = Page(text)
    ids = [attrs["id"] for _, attrs in read.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in read.elements:
        assert attrs.get("aria-labelledby", ids[0]) in ids
        if (attrs.get("href") or "").startswith("#"):
            assert attrs["href"][1:] in ids
    assert all(attrs.get("scope") in {"col", "row"} for attrs in read.of("th"))
    assert len(read.of("table")) == len(read.of("caption")) == len(read.of("thead"))
    assert all(len({len(row) for row in table.rows}) == 1 for table in read.tables)
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert set(levels[1:]) == {2}


def test_sources_flavours_command_and_version_are_stated():
    made = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    costly = (*flavours(), Flavour(name="wasteful", error=0.05, energy_j=6.0))
    served = np.hstack([results()[0].served, np.zeros((48, 1))])
    read = Page(page(one(served=served, notes=("bridged x",)), flavours=costly, command="carbonrouter x", made_at=made))
    assert read.table("Sources").rows[1][-1] == "requests are synthetic"
    assert ["bridged x", "camel_m03.csv"] in read.table("What the replay noted").rows
    rows = {row[0]: row[-1] for row in read.table("Flavours").rows}
    assert rows["wasteful"].startswith("off the hull")
    assert rows["MediumPower"] == "yes"
    for said in ("carbonrouter x", "carbonrouter 1.2", "2026-01-02T02:04:05+00:00", "all of it seen from the start"):
        assert said in read.text
    assert "none was stated" in Page(page(sources=[])).text
    assert "no time stated" in Page(page()).text
    assert "2026-01-02T00:00:00+00:00" in page(made_at=datetime(2026, 1, 2, tzinfo=UTC).replace(tzinfo=None))


def test_the_same_results_give_the_same_page():
    assert page() == page()


def test_many_results_stay_within_two_megabytes():
    many = [
        one(policy=f"policy-{policy}", max_error_pct=percent, trace=f"some/where/day_{day:02}.csv")
        for policy in range(9)
        for percent in (1.0, 2.0, 4.0, 8.0)
        for day in range(12)
    ]
    text = page(*many)
    assert len(text.encode()) < 1_000_000
    assert len(Page(text).of("svg")) < 40


def test_more_windows_than_a_page_holds_are_counted_and_broken_ones_kept():
    many = [one(trace=f"{day}", over_budget=day == MOST_WINDOWS + 4) for day in range(MOST_WINDOWS + 5)]
    read = Page(page(*many))
    table = read.table("Windows under")
    assert len(table.rows) == 1 + MOST_WINDOWS
    assert "5 further windows are left out" in table.caption
    assert table.rows[-1][0] == f"{MOST_WINDOWS + 4}"
    assert f"BROKEN in 1 of {MOST_WINDOWS + 5}" in read.text


def test_a_long_window_is_drawn_in_steps():
    slots = 48 * 365
    long = one(carbon_g_per_kwh=np.linspace(50, 300, slots), served=np.ones((slots, 3)), trace="year")
    text = page(long)
    assert "Each step is the mean of 73 slots" in Page(text).text
    assert len(text) < 100_000


def test_results_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="no result"):
        report_page([], flavours(), sources=[], command="", made_at=None, version="")
    with pytest.raises(ValueError, match="one column for each of 2 flavours"):
        page(one(), flavours=flavours()[:2])
