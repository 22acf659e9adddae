"""Every case of `cases.py` with every source: what is kept, how often is asked, and that no credential is shown."""

import logging
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from controlplane.carbon import CarbonFeed, TemporarySourceError
from controlplane.carbon.feed import ATTEMPTS
from controlplane.carbon.http import MAX_BODY_BYTES
from tests.carbon.carbon_fakes import START_S, FakeClock, serving
from tests.carbon.cases import (
    CASES,
    HOUR_S,
    KEPT,
    PARTIAL,
    SECRETS,
    SUBJECTS,
    Case,
    Subject,
    credentials,
    no_forecast,
    run,
    simulated_day,
    subject,
)


@pytest.fixture(autouse=True)
def in_environment():
    with credentials():
        yield


def every(error: BaseException):
    """An error and all that hangs on to it."""
    seen: list[BaseException | None] = [error]
    for each in seen:
        if each is not None:
            yield each
            seen += [other for other in (each.__cause__, each.__context__) if other is not None and other not in seen]


@pytest.mark.parametrize("about", SUBJECTS, ids=lambda each: each.name)
@pytest.mark.parametrize("case", CASES, ids=lambda each: each.name)
async def test_case(about: Subject, case: Case, caplog):
    caplog.set_level(logging.DEBUG)
    result = await run(about, case)
    assert result.outcome == case.expected(about.name)
    if result.outcome in {KEPT, PARTIAL}:
        assert result.asked == about.requests
        assert result.series.covers(START_S)
        assert (result.status.kind, result.status.licence) == (result.series.kind, result.series.licence)
        assert (result.status.state, result.status.last_error) == ("fresh", None)
        known = np.concatenate((result.series.forecast_g_per_kwh, result.series.actual_g_per_kwh))
        assert 50 < np.nanmin(known) <= np.nanmax(known) < 300
    else:
        assert result.series is None
        assert result.status.last_error.startswith(f"{about.name}: ")
        # Nothing is asked in a loop, and what asked for a pause gets it.
        retried = isinstance(result.errors[-1], TemporarySourceError) and result.errors[-1].retry_after_s is None
        assert len(result.errors) == (ATTEMPTS if retried else 1)
        assert result.asked <= len(result.errors) * 2 * about.requests
        assert result.again_s >= (result.errors[-1].retry_after_s if "429" in case.name else 22)
    assert result.elsewhere == 0
    assert result.sent_bytes < 20 * MAX_BODY_BYTES
    shown = [result.shown, caplog.text, *(repr(each) + str(each.args) for e in result.errors for each in every(e))]
    assert not [secret for secret in SECRETS for text in shown if secret in text]


async def test_a_redirect_would_have_been_seen_elsewhere():
    """The servers of the table notice requests at all."""
    result = await run(subject("gb"), CASES[0])
    assert result.asked == 2


@pytest.mark.parametrize(
    ("name", "slot_s", "ahead", "kind", "basis"),
    [
        ("gb", 1800, 96, "average", "generation"),
        ("electricity-maps", 3600, 48, "average", "life-cycle"),
        ("watttime", 1800, 145, "marginal", "direct"),
        ("carbon-aware-sdk", 1800, 97, "marginal", "direct"),
        ("energy-charts", 900, 192, "average", "generation"),
    ],
)
async def test_what_a_healthy_provider_gives(name, slot_s, ahead, kind, basis):
    about = subject(name)
    series = (await run(about, CASES[0])).series
    assert (series.source, series.zone, series.kind, series.basis) == (name, about.zone, kind, basis)
    assert series.slot_s == slot_s
    assert series.start_s % slot_s == 0
    assert series.licence
    now = series.index_at(START_S)
    past = slice(now - 24 * HOUR_S // slot_s + 1, now)
    assert np.isfinite(series.actual_g_per_kwh[past]).all()
    assert np.isnan(series.actual_g_per_kwh[now:]).all()
    assert np.isfinite(series.forecast_g_per_kwh[now:]).all()
    assert series.forecast_g_per_kwh[now:].size == (ahead if name != "gb" else 92)


@pytest.mark.parametrize("ugly", [9e9, None, "NaN"])
@pytest.mark.parametrize("about", SUBJECTS, ids=lambda each: each.name)
async def test_an_answer_that_is_good_for_now_alone_does_not_cost_the_forecast_before(about: Subject, ugly):
    clock = FakeClock()
    async with serving() as provider:
        feed = CarbonFeed(about.make(provider.url, 60.0), clock=clock)
        provider.respond_to = lambda request: about.healthy(request, about.told(clock.now_s()))
        await feed.refresh()
        before = feed.series
        clock.time_s += feed._source.poll_s
        told = about.told(clock.now_s())
        only_now = [(at_s, 222 if index == 0 else ugly) for index, (at_s, _) in enumerate(told.forecast)]
        provider.respond_to = lambda request: about.healthy(request, replace(told, forecast=only_now))
        await feed.refresh()
        await feed.aclose()
    now_s, after = clock.now_s(), feed.series
    assert after is not before
    assert after.renews(now_s)
    later_s = np.arange(after.slot_s * (now_s // after.slot_s + 1), before.end_s, after.slot_s)
    assert later_s.size > 40
    for at_s in later_s:
        kept, known = after.index_at(at_s), before.index_at(at_s)
        assert after.forecast_g_per_kwh[kept] == before.forecast_g_per_kwh[known]
        assert not after.renews(at_s)
    assert any("as foreseen by an earlier answer" in note for note in after.notes)


@pytest.mark.parametrize("about", SUBJECTS, ids=lambda each: each.name)
async def test_answers_that_are_good_for_nothing_keep_the_last_good_series(about: Subject):
    clock = FakeClock()
    async with serving() as provider:
        feed = CarbonFeed(about.make(provider.url, 60.0), clock=clock)
        provider.respond_to = lambda request: about.healthy(request, about.told(clock.now_s()))
        await feed.refresh()
        before = feed.series
        clock.time_s += feed._source.poll_s
        provider.respond_to = lambda request: about.healthy(
            request, replace(about.told(clock.now_s()), forecast=[(START_S, None)])
        )
        await feed.refresh()
        await feed.aclose()
    assert feed.series is before
    assert "no value for" in feed.status(clock.now_s()).last_error


@pytest.mark.parametrize("about", SUBJECTS, ids=lambda each: each.name)
async def test_a_day_is_always_fresh_and_polite(about):
    day = await simulated_day(about)
    assert set(day.states) == {"fresh"}
    slots = 24 * HOUR_S / max(about.period_s, 900 if about.name == "energy-charts" else 1800)
    assert len(day.requests) <= about.requests * slots + 1


@pytest.mark.parametrize("name", ["electricity-maps", "carbon-aware-sdk"])
async def test_a_forecast_that_is_not_for_us_is_asked_for_once_a_day(name):
    day = await simulated_day(subject(name), refused=no_forecast)
    refused = [at_s for at_s, request in day.requests if no_forecast(request)]
    assert len(refused) == 1
    others = Counter(request.path for _, request in day.requests if not no_forecast(request))
    assert max(others.values()) <= math.ceil(24 * HOUR_S / subject(name).period_s) + 1 <= 289


async def test_without_a_forecast_electricity_maps_knows_the_running_hour_nearly_always():
    day = await simulated_day(subject("electricity-maps"), refused=no_forecast)
    counts = Counter(day.states)
    assert counts["fresh"] >= 0.95 * len(day.states)
    assert len(day.requests) <= 3 * 24
