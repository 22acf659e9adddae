"""Everything a provider may answer, good and ugly, for every source on the network: one table.

The tests and `python -m benchmarks sources` run it, each case over real sockets through a feed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from controlplane.carbon import (
    CarbonAwareSdkSource,
    CarbonFeed,
    CarbonSeries,
    CarbonSource,
    ElectricityMapsSource,
    EnergyChartsSource,
    FeedStatus,
    GbSource,
    PermanentSourceError,
    SecretVariable,
    TemporarySourceError,
    WattTimeSource,
)
from tests.carbon.carbon_fakes import RESET, START_S, FakeClock, Flood, Reply, Request, answer, serving

HOUR_S = 3600
TOKEN, USERNAME, PASSWORD, BEARER = "tok-8f3a", "ada", "pw-77c1", "jwt.55d0.x"
VARIABLES = {"CASES_TOKEN": TOKEN, "CASES_USERNAME": USERNAME, "CASES_PASSWORD": PASSWORD}
SECRETS = (TOKEN, PASSWORD, BEARER, "YWRhOnB3LTc3YzE=")
PATIENT_S, IMPATIENT_S = 60.0, 0.4

Points = list[tuple[int, Any]]


@contextmanager
def credentials() -> Iterator[None]:
    """Set the environment variables that the sources below read."""
    os.environ.update(VARIABLES)
    try:
        yield
    finally:
        for name in VARIABLES:
            os.environ.pop(name, None)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a provider has to tell at one moment, and how it says it is called."""

    forecast: Points
    actual: Points
    now_s: float
    period_s: int
    zone: str
    unit: str | None = None
    issued: str | None = None
    """When it says it foresaw this; None for just now."""
    unasked: bool = False
    """It answers with all it has, whatever it was asked for."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A source, and a provider of its shape: `document` gives what it answers, None for what it does not know."""

    name: str
    make: Callable[[str, float], CarbonSource]
    document: Callable[[Request, Told], Any]
    zone: str
    period_s: int
    ahead_s: int = 48 * HOUR_S
    requests: int = 2
    """To a healthy provider, for one fetch."""
    names_zone: bool = True
    secret: bool = False

    def told(self, now_s: float) -> Told:
        """A day of actual values and the forecast, as known at `now_s`; the forecast begins with the running slot."""
        present_s = int(now_s // self.period_s) * self.period_s
        past = range(present_s - 24 * HOUR_S, present_s, self.period_s)
        ahead = range(present_s, present_s + self.ahead_s, self.period_s)
        return Told(
            forecast=[(at_s, _value(at_s)) for at_s in ahead],
            actual=[(at_s, _value(at_s) + 1) for at_s in past],
            now_s=now_s,
            period_s=self.period_s,
            zone=self.zone,
        )

    def healthy(self, request: Request, told: Told) -> Reply:
        """The provider's answer."""
        if request.path == "/login":
            return answer({"token": BEARER})
        return answer(self.document(request, told))


def _value(at_s: int) -> int:
    return 200 + at_s // 300 % 97


def iso(at_s: float, *, milliseconds: bool = False) -> str:
    text = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds" if milliseconds else "seconds")
    return text.replace("+00:00", "Z")


def _gb(request: Request, told: Told) -> Any:
    start = datetime.fromisoformat(request.path.split("/")[2]).timestamp()
    first, last = (start - 24 * HOUR_S, start) if "pt24h" in request.path else (start, start + 48 * HOUR_S)
    actual = dict(told.actual)
    rows = [(at_s, None, value) for at_s, value in told.actual] + [
        (at_s, value, actual.get(at_s)) for at_s, value in told.forecast
    ]
    return {
        "data": [
            {
                "from": iso(at_s),
                "to": iso(at_s + told.period_s),
                "intensity": {"forecast": forecast, "actual": known, "index": "moderate"},
            }
            for at_s, forecast, known in rows
            if told.unasked or first <= at_s < last
        ]
    }


def _electricity_maps(request: Request, told: Told) -> Any:
    common = {"zone": told.zone, "updatedAt": told.issued or iso(told.now_s - 60, milliseconds=True)}
    factors = {"emissionFactorType": told.unit or "lifecycle", "isEstimated": True, "estimationMethod": "TIME_SLICER"}

    def row(at_s: int, value: Any) -> dict[str, Any]:
        return {"carbonIntensity": value, "datetime": iso(at_s, milliseconds=True)}

    what = request.path.rpartition("/")[2]
    if what == "forecast":
        return {**common, "forecast": [row(at_s, value) for at_s, value in told.forecast]}
    if what == "latest":
        return {**common, **factors, **row(*(told.actual or [(0, None)])[-1])}
    return {
        "zone": told.zone,
        "history": [{**common, **factors, **row(at_s, value)} for at_s, value in told.actual],
    }


def _watttime(request: Request, told: Told) -> Any:
    points = told.forecast if request.path.endswith("forecast") else told.actual
    meta = {
        "data_point_period_seconds": told.period_s,
        "region": told.zone,
        "signal_type": "co2_moer",
        "units": told.unit or "lbs_co2_per_mwh",
        "generated_at": told.issued or iso(told.now_s // 300 * 300),
        "model": {"date": "2023-03-01"},
        "warnings": [],
    }
    return {"data": [{"point_time": iso(at_s), "value": value} for at_s, value in points], "meta": meta}


def _energy_charts(request: Request, told: Told) -> Any:
    points = [(at_s, value, None) for at_s, value in told.actual]
    points += [(at_s, None, value) for at_s, value in told.forecast]
    seconds, actual, forecast = (list(column) for column in zip(*points, strict=True)) if points else ([], [], [])
    return {"unix_seconds": seconds, "co2eq": actual, "co2eq_forecast": forecast, "deprecated": False}


def _sdk(request: Request, told: Told) -> Any:
    minutes = told.period_s // 60
    if request.path.endswith("bylocation"):
        length = f"{minutes // 60:02}:{minutes % 60:02}:00"
        return [
            {"location": "IE", "time": iso(at_s), "rating": value, "duration": length} for at_s, value in told.actual
        ]
    points = [
        {"location": "IE", "timestamp": iso(at_s), "duration": minutes, "value": value} for at_s, value in told.forecast
    ]
    generated = told.issued or iso(told.now_s // 300 * 300)
    head = {"requestedAt": iso(told.now_s), "generatedAt": generated, "location": told.zone, "windowSize": minutes}
    return [{**head, "optimalDataPoint": points[0] if points else None, "forecastData": points}]


SUBJECTS = (
    Subject(
        name="gb",
        make=lambda url, timeout_s: GbSource(base_url=url, timeout_s=timeout_s),
        document=_gb,
        zone="GB",
        period_s=1800,
        names_zone=False,
    ),
    Subject(
        name="electricity-maps",
        make=lambda url, timeout_s: ElectricityMapsSource(
            zone="DE", token=SecretVariable("CASES_TOKEN"), base_url=url, timeout_s=timeout_s
        ),
        document=_electricity_maps,
        zone="DE",
        period_s=HOUR_S,
        secret=True,
    ),
    Subject(
        name="watttime",
        make=lambda url, timeout_s: WattTimeSource(
            region="CAISO_NORTH",
            username=SecretVariable("CASES_USERNAME"),
            password=SecretVariable("CASES_PASSWORD"),
            base_url=url,
            timeout_s=timeout_s,
        ),
        document=_watttime,
        zone="CAISO_NORTH",
        period_s=300,
        ahead_s=72 * HOUR_S,
        requests=3,
        secret=True,
    ),
    Subject(
        name="carbon-aware-sdk",
        make=lambda url, timeout_s: CarbonAwareSdkSource(
            location="northeurope", kind="marginal", basis="direct", base_url=url, timeout_s=timeout_s
        ),
        document=_sdk,
        zone="northeurope",
        period_s=300,
    ),
    Subject(
        name="energy-charts",
        make=lambda url, timeout_s: EnergyChartsSource(country="de", base_url=url, timeout_s=timeout_s),
        document=_energy_charts,
        zone="de",
        period_s=900,
        requests=1,
        names_zone=False,
    ),
)


def subject(name: str) -> Subject:
    [found] = [each for each in SUBJECTS if each.name == name]
    return found


# What becomes of an answer.
KEPT, PARTIAL, TEMPORARY, PERMANENT = "kept", "partial", "temporary", "permanent"
"""A whole series; one that notes what it lacks; an error that trying again may mend; one that it will not."""

Change = Callable[[Told], Told]
Answered = Callable[[Request, Reply, str], Reply]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One ugliness: what is told, or how it is answered to every request but a login; and what must come of it."""

    name: str
    outcome: str
    told: Change = lambda told: told
    answered: Answered = lambda request, reply, elsewhere: reply
    logins: bool = False
    """The login is answered so, too."""
    but: dict[str, str] = field(default_factory=dict)
    """Where it is another outcome, by source."""
    timeout_s: float = PATIENT_S

    def expected(self, name: str) -> str:
        return self.but.get(name, self.outcome)


def _both(change: Callable[[Points], Points]) -> Change:
    return lambda told: replace(told, forecast=change(told.forecast), actual=change(told.actual))


def _every(step: int, value: Any) -> Callable[[Points], Points]:
    """Every `step`th value is replaced; never the first, which is the running slot's."""
    return lambda points: [
        (at_s, value if index and index % step == 0 else known) for index, (at_s, known) in enumerate(points)
    ]


def _shuffled(points: Points) -> Points:
    return random.Random(1).sample(points, len(points))


def _gaps(points: Points) -> Points:
    return [point for index, point in enumerate(points) if index == 0 or index % 10 < 8]


def _twice(points: Points) -> Points:
    return [*points[:3], *points[:3], *points[3:]]


def _scaled(points: Points) -> Points:
    return [(at_s, value * 1000) for at_s, value in points]


def _shifted(points: Points) -> Points:
    return [(at_s + 5 * 86_400, value) for at_s, value in points]


def _from_the_week_before(told: Told) -> Told:
    """Rows of a week that nobody asked for, of a value that would be seen."""
    until_s = told.actual[0][0] - told.period_s
    before = [(at_s, 4000) for at_s in range(until_s - 7 * 86_400, until_s, HOUR_S)]
    return replace(told, actual=[*before, *told.actual], unasked=True)


def _issued(text: str) -> Case:
    return Case(
        name=f"issued {text}",
        outcome=PARTIAL,
        told=lambda told: replace(told, issued=text),
        but={"gb": KEPT, "energy-charts": KEPT},
    )


def _aside(points: Points) -> Points:
    return [(at_s + (61 if index % 5 == 4 else 0), value) for index, (at_s, value) in enumerate(points)]


def _with(status: int, body: Any = b"", *headers: tuple[str, str]) -> Answered:
    """A refusal that repeats whatever credential it was asked with."""

    def respond(request: Request, reply: Reply, elsewhere: str) -> Reply:
        shown = " ".join(request.headers.get(name, "") for name in ("auth-token", "authorization"))
        return answer(body or {"error": f"no: {shown}"}, status=status, headers=headers)

    return respond


def _redirect(request: Request, reply: Reply, elsewhere: str) -> Reply:
    return answer(status=302, headers=[("Location", elsewhere + request.target)])


def _cut(request: Request, reply: Reply, elsewhere: str) -> Reply:
    assert isinstance(reply, bytes)
    body = reply.partition(b"\r\n\r\n")[2]
    return answer(body[: len(body) // 2])


def _short(request: Request, reply: Reply, elsewhere: str) -> Reply:
    assert isinstance(reply, bytes)
    body = reply.partition(b"\r\n\r\n")[2]
    return answer(body[: len(body) // 2], length=len(body))


DATES = (("Date", "Tue, 10 Jan 2023 12:00:00 GMT"), ("Retry-After", "Tue, 10 Jan 2023 12:04:00 GMT"))

CASES = (
    Case(
        name="healthy",
        outcome=KEPT,
    ),
    Case(name="nulls", outcome=PARTIAL, told=_both(_every(7, None))),
    Case(name="text, NaN and true for numbers", outcome=PARTIAL, told=_both(_every(9, "NaN"))),
    Case(name="gaps", outcome=PARTIAL, told=_both(_gaps)),
    Case(name="rows twice", outcome=PARTIAL, told=_both(_twice)),
    Case(
        name="rows in any order",
        outcome=KEPT,
        told=_both(_shuffled),
    ),
    Case(name="times beside the slots", outcome=PARTIAL, told=_both(_aside)),
    Case(name="mg instead of g", outcome=TEMPORARY, told=_both(_scaled)),
    Case(
        name="another unit or factor named",
        outcome=KEPT,
        told=lambda told: replace(told, unit="kg_co2_per_mwh"),
        but={"electricity-maps": PERMANENT, "watttime": PERMANENT},
    ),
    Case(name="nothing about now", outcome=TEMPORARY, told=_both(_shifted)),
    Case(
        name="rows of the week before, too",
        outcome=PARTIAL,
        told=_from_the_week_before,
        # It is never told for which time it is asked.
        but={"energy-charts": KEPT},
    ),
    _issued("0001-01-01T00:00:00+14:00"),
    _issued("1970-01-01T00:00:00Z"),
    _issued("9999-12-31T23:59:59-14:00"),
    _issued("yesterday"),
    Case(name="empty list", outcome=TEMPORARY, told=_both(lambda points: [])),
    Case(
        name="another zone",
        outcome=KEPT,
        told=lambda told: replace(told, zone="XX"),
        but={"electricity-maps": PERMANENT, "watttime": PERMANENT, "carbon-aware-sdk": PERMANENT},
    ),
    Case(name="401", outcome=PERMANENT, answered=_with(401)),
    Case(name="401, the login too", outcome=PERMANENT, answered=_with(401), logins=True),
    Case(name="403", outcome=PERMANENT, answered=_with(403)),
    Case(name="404", outcome=PERMANENT, answered=_with(404)),
    Case(name="429", outcome=TEMPORARY, answered=_with(429)),
    Case(name="429, Retry-After: 240", outcome=TEMPORARY, answered=_with(429, b"", ("Retry-After", "240"))),
    Case(name="429, Retry-After: a date", outcome=TEMPORARY, answered=_with(429, b"", *DATES)),
    Case(name="500", outcome=TEMPORARY, answered=_with(500, b"<h1>sorry</h1>")),
    Case(name="501", outcome=PERMANENT, answered=_with(501)),
    Case(name="503", outcome=TEMPORARY, answered=_with(503)),
    Case(name="no answer", outcome=TEMPORARY, answered=lambda *_: None, timeout_s=IMPATIENT_S),
    Case(name="JSON that ends in the middle", outcome=TEMPORARY, answered=_cut),
    Case(name="body shorter than announced", outcome=TEMPORARY, answered=_short),
    Case(name="HTML with 200", outcome=TEMPORARY, answered=_with(200, b"<!doctype html><p>Sign in")),
    Case(name="JSON of another shape", outcome=PERMANENT, answered=_with(200, {"message": "welcome"})),
    Case(name="JSON that is a number", outcome=PERMANENT, answered=_with(200, b"7")),
    Case(name="100 MB", outcome=PERMANENT, answered=lambda *_: Flood(announced=True)),
    Case(name="100 MB, length not said", outcome=PERMANENT, answered=lambda *_: Flood(announced=False)),
    Case(name="connection reset", outcome=TEMPORARY, answered=lambda *_: RESET),
    Case(name="redirect to another host", outcome=PERMANENT, answered=_redirect),
    Case(name="redirect, the login too", outcome=PERMANENT, answered=_redirect, logins=True),
)


class Watched:
    """A source whose outcomes are written down."""

    def __init__(self, source: CarbonSource) -> None:
        self._source = source
        self.errors: list[BaseException] = []

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def zone(self) -> str:
        return self._source.zone

    @property
    def poll_s(self) -> float:
        return self._source.poll_s

    async def fetch(self, *, now_s: float) -> CarbonSeries:
        try:
            return await self._source.fetch(now_s=now_s)
        except BaseException as error:
            self.errors.append(error)
            raise

    async def aclose(self) -> None:
        await self._source.aclose()


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one refresh."""

    outcome: str
    asked: int
    again_s: float
    sent_bytes: int
    elsewhere: int
    series: CarbonSeries | None
    errors: list[BaseException]
    status: FeedStatus
    shown: str
    """Everything of the source and the feed that somebody may print."""


async def run(about: Subject, case: Case, *, now_s: float = START_S) -> Result:
    """Let one feed be refreshed once by a provider that answers like this."""
    clock = FakeClock(now_s)
    async with serving() as provider, serving() as elsewhere:
        source = Watched(about.make(provider.url, case.timeout_s))
        feed = CarbonFeed(source, clock=clock, timeout_s=2 * case.timeout_s)

        def respond(request: Request) -> Reply:
            told = case.told(about.told(clock.now_s()))
            reply = about.healthy(request, told)
            changed = request.path != "/login" or case.logins
            return case.answered(request, reply, elsewhere.url) if changed else reply

        provider.respond_to = respond
        await feed.refresh()
        status = feed.status(clock.now_s())
        result = Result(
            outcome=_outcome(feed.series, source.errors),
            asked=len(provider.requests),
            again_s=(status.next_fetch_s or 0.0) - now_s,
            sent_bytes=provider.sent_bytes,
            elsewhere=len(elsewhere.requests),
            series=feed.series,
            errors=source.errors,
            status=status,
            shown=f"{source._source!r} {vars(source._source)} {feed!r} {status} {feed.series}",
        )
        await feed.aclose()
        return result


def _outcome(series: CarbonSeries | None, errors: list[BaseException]) -> str:
    if series is not None:
        said = [note for note in series.notes if not note.startswith("averaged") and "estimated by" not in note]
        return PARTIAL if said else KEPT
    error = errors[-1]
    if isinstance(error, TemporarySourceError):
        return TEMPORARY
    return PERMANENT if isinstance(error, PermanentSourceError) else type(error).__name__


@dataclass(frozen=True, kw_only=True)
class Day:
    """A simulated day with a healthy provider: a refresh a minute, as an engine asks for it."""

    requests: list[tuple[float, Request]]
    states: list[str]

    @property
    def an_hour(self) -> float:
        return len(self.requests) / 24

    @property
    def in_the_busiest_hour(self) -> int:
        times = [at_s for at_s, _ in self.requests]
        return max((sum(at_s <= other < at_s + HOUR_S for other in times) for at_s in times), default=0)


Refusal = Callable[[Request], int | None]


async def simulated_day(about: Subject, *, refused: Refusal = lambda request: None, slot_s: int | None = None) -> Day:
    """Run it; what `refused` gives a status for is answered with that."""
    clock = FakeClock()
    requests: list[tuple[float, Request]] = []
    states: list[str] = []
    async with serving() as provider:

        def respond(request: Request) -> Reply:
            requests.append((clock.now_s(), request))
            status = refused(request)
            told = about.told(clock.now_s())
            if status is not None or request.path.endswith("latest"):
                # Without a forecast, the running slot is told as an estimate.
                told = replace(told, actual=[*told.actual, *told.forecast[:1]])
            return answer(status=status) if status is not None else about.healthy(request, told)

        provider.respond_to = respond
        source = about.make(provider.url, PATIENT_S)
        feed = CarbonFeed(source, clock=clock, timeout_s=PATIENT_S)
        while clock.time_s < START_S + 86_400:
            await feed.refresh()
            states.append(feed.status(clock.now_s()).state)
            clock.time_s += 60.0
        await feed.aclose()
    return Day(requests=requests, states=states)


def no_forecast(request: Request) -> int | None:
    """A plan or an installation without one."""
    if "forecasts/" in request.path:
        return 501
    return 403 if request.path.endswith("/forecast") else None
