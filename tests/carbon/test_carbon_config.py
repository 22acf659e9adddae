"""The sections of the sources: what may stand there, what is told of mistakes, and the source that comes of it."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from controlplane.carbon import (
    CarbonAwareSdkSource,
    ElectricityMapsSource,
    EnergyChartsSource,
    GbSource,
    WattTimeSource,
)
from controlplane.clock import SystemClock
from controlplane.config import Carbon
from controlplane.config.carbon import SOURCES
from controlplane.config.explain import explain
from controlplane.config.fields import Section
from controlplane.feeds import Feeds, _source

EM = {"source": "electricity-maps", "zone": "DE", "token_file": "em"}
WATTTIME = {"source": "watttime", "region": "CAISO_NORTH", "username_env": "USERNAME", "password_file": "/run/pw"}
SDK = {
    "source": "carbon-aware-sdk",
    "base_url": "http://sdk.example.org:8080",
    "location": "northeurope",
    "kind": "marginal",
    "basis": "direct",
}
CHARTS = {"source": "energy-charts", "country": "de"}
GB = {"source": "gb", "region_id": 13}

EVERY = [
    (EM, ElectricityMapsSource, "DE"),
    (WATTTIME, WattTimeSource, "CAISO_NORTH"),
    (SDK, CarbonAwareSdkSource, "northeurope"),
    (CHARTS, EnergyChartsSource, "de"),
    (GB, GbSource, "GB-region-13"),
]


class Top(Section):
    carbon: Carbon


def section(content):
    return TypeAdapter(Carbon).validate_python(content)


def mistakes(content):
    with pytest.raises(ValidationError) as caught:
        Top.model_validate({"carbon": content})
    return list(explain(caught.value, top=Top))


@pytest.mark.parametrize(("content", "kind", "zone"), EVERY)
async def test_every_section_makes_its_source(content, kind, zone):
    source = _source(section(content))
    assert isinstance(source, kind)
    assert (source.name, source.zone) == (content["source"], zone)
    await source.aclose()


def test_every_source_is_named():
    assert {content["source"] for content, _, _ in EVERY} | {"file"} == set(SOURCES)
    [line] = mistakes({"source": "fr"})
    assert all(name in line for name in SOURCES)


async def test_equal_sections_share_a_feed_and_different_ones_do_not():
    feeds = Feeds(SystemClock())
    assert feeds.get(section(EM)) is feeds.get(section(EM))
    assert feeds.get(section(EM)) is not feeds.get(section({**EM, "basis": "direct"}))
    assert feeds.get(section(EM)) is not feeds.get(section({**EM, "token_file": "other"}))
    await feeds.aclose()


def test_credential_files_are_found_beside_the_configuration():
    assert section(EM).resolved(Path("/conf")).token_file == Path("/conf/em")
    resolved = section(WATTTIME).resolved(Path("/conf"))
    assert (resolved.password_file, resolved.username_file) == (Path("/run/pw"), None)
    assert hash(resolved) == hash(section(WATTTIME).resolved(Path("/conf")))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({**EM, "token_env": "X"}, "carbon: needs one of token_file and token_env"),
        ({**EM, "token_file": None}, "carbon: needs one of token_file and token_env"),
        ({**WATTTIME, "password_env": "X"}, "carbon: needs one of password_file and password_env"),
        ({**WATTTIME, "username_env": None}, "carbon: needs one of username_file and username_env"),
        ({**EM, "zone": "DE&x=1"}, "carbon.zone: 'DE&x=1': "),
        ({**EM, "zone": ""}, "carbon.zone: '': "),
        ({**EM, "basis": "generation"}, "carbon.basis: 'generation': "),
        ({**EM, "base_url": "http://example.org"}, "carbon: base_url: must begin with https://"),
        ({**EM, "base_url": "ftp://example.org"}, "carbon.base_url: 'ftp://example.org': must be an http(s) URL"),
        ({**SDK, "kind": None}, "carbon.kind: None: "),
        ({key: value for key, value in SDK.items() if key != "basis"}, "carbon.basis: is missing"),
        ({key: value for key, value in SDK.items() if key != "base_url"}, "carbon.base_url: is missing"),
        ({**WATTTIME, "slot": "7m"}, "carbon.slot: '7m': must be 5m, 10m, 15m, 30m or 1h"),
        ({**CHARTS, "country": "DE"}, "carbon.country: 'DE': "),
        ({**EM, "tokenfile": "x"}, "carbon.tokenfile: unknown key; did you mean token_file?"),
    ],
)
def test_a_mistake_is_one_line(content, line):
    [found] = mistakes(content)
    assert found.startswith(line)


@pytest.mark.parametrize(
    "content",
    [
        {**EM, "token": "hush-hush"},
        {**EM, "token_file": None, "token_env": "hush-hush"},
        {**EM, "base_url": "https://ada:hush-hush@example.org"},
        {**EM, "base_url": "ada:hush-hush@example.org"},
        {**EM, "base_url": "https://example.org/?key=hush-hush"},
        {**WATTTIME, "password": "hush-hush"},
        {**WATTTIME, "password_file": None, "password_env": "hush-hush!"},
    ],
)
def test_what_stands_in_the_wrong_place_is_not_repeated(content):
    assert "hush" not in "".join(mistakes(content))


def test_slots_are_half_hours_where_nothing_is_said():
    assert section(WATTTIME).slot == section(SDK).slot == 1800.0
    assert section({**WATTTIME, "slot": "5m"}).slot == 300.0
