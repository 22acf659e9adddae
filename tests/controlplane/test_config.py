"""The configuration file: every mistake is one line that says where it is and what would be right."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controlplane.clock import Clock, ScaledClock, SystemClock
from controlplane.config import Config, ConfigError, load_config
from controlplane.feeds import Feeds
from controlplane.planned import endpoint, planned_services
from controlplane.spec import Planned
from scheduler import BudgetWindow
from scheduler.constraints import Constraints, DailyBlackout, SpanBlackout
from tests.controlplane.fakes import steady

VALID: dict[str, Any] = {
    "services": [
        {
            "name": "shop",
            "budget": {"max_error_pct": 4},
            "carbon": {"source": "gb"},
            "flavours": [
                {"name": "best", "precision_pct": 100, "energy_j": 10, "endpoints": ["127.0.0.1:9001"]},
                {"name": "fast", "precision_pct": 90, "energy_j": 1.5, "endpoints": ["[::1]:9002"]},
            ],
        }
    ]
}

ADDRESS = "must be ADDRESS:PORT with a literal IP address, such as 127.0.0.1:8080 or [::1]:8080"
DURATION = "must be a duration such as 500ms, 30s, 15m, 6h or 1d"
NO_NUMBER = "should be a valid number"


def load(directory: Path, content: str | bytes) -> Config:
    path = directory / "router.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_config(path, Config)


def planned(config: Config, feeds: Feeds | None = None, *, clock: Clock | None = None) -> list[Planned]:
    clock = clock or SystemClock()
    return planned_services(config.services, config.gateway, feeds or Feeds(clock), clock=clock)


def mistakes(directory: Path, content: str | bytes) -> list[str]:
    """The lines of the error, without the file's name, which must stand first in each."""
    with pytest.raises(ConfigError) as failure:
        load(directory, content)
    lines = str(failure.value).splitlines()
    prefix = f"{directory / 'router.yaml'}: "
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix) for line in lines]


def changed(*path: str | int, to: Any) -> str:
    """The valid file with one value replaced or added; `...` removes it."""
    content = copy.deepcopy(VALID)
    place: Any = content
    for step in path[:-1]:
        place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
    if to is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return yaml.safe_dump(content)


SHOP = ("services", 0)
FAST = (*SHOP, "flavours", 1)


def test_the_valid_file_is_valid_and_has_the_documented_defaults(tmp_path):
    config = load(tmp_path, yaml.safe_dump(VALID))
    assert (config.gateway.listen, config.api.listen) == ("127.0.0.1:10000", "127.0.0.1:9900")
    assert config.gateway.ttl >= 2 * config.gateway.refresh
    assert config.services[0].hosts == ("*",)
    assert config.services[0].budget.window == 86_400


@pytest.mark.parametrize(
    ("content", "line"),
    [
        # Unknown keys, with the key that was meant if there is one close by in the same section.
        (changed("servces", to=1), "servces: unknown key; did you mean services?"),
        (changed("gateway", "lisen", to="127.0.0.1:1"), "gateway.lisen: unknown key; did you mean listen?"),
        (changed("api", "ttl", to="1s"), "api.ttl: unknown key; did you mean tls?"),
        (changed(*SHOP, "buget", to=1), "services[0].buget: unknown key; did you mean budget?"),
        (
            changed(*FAST, "precision", to=1),
            "services[0].flavours[1].precision: unknown key; did you mean precision_pct?",
        ),
        (
            changed(*SHOP, "carbon", "regionid", to=1),
            "services[0].carbon.regionid: unknown key; did you mean region_id?",
        ),
        (
            changed(*SHOP, "carbon", "file", to=1),
            "services[0].carbon.file: unknown key; known are source, region_id, postcode, base_url",
        ),
        (changed("path", to="x"), "path: unknown key; known are gateway, api, state_dir, rehearsal, sources, services"),
        (changed("file", to="x"), "file: unknown key; known are gateway, api, state_dir, rehearsal, sources, services"),
        # What is missing.
        (changed("services", to=...), "services: is missing"),
        (changed(*SHOP, "budget", to=...), "services[0].budget: is missing"),
        (changed(*FAST, "energy_j", to=...), "services[0].flavours[1].energy_j: is missing"),
        (changed("services", to=[]), "services: must not be empty"),
        (changed(*SHOP, "flavours", to=[]), "services[0].flavours: must not be empty"),
        (changed(*SHOP, "hosts", to=[]), "services[0].hosts: must not be empty"),
        (changed(*FAST, "endpoints", to=[]), "services[0].flavours[1].endpoints: must not be empty"),
        # Wrong types, the ones that YAML makes of an innocent word included.
        (changed("services", to={"shop": {}}), "services: must be a list"),
        (changed("services", to=["shop"]), "services[0]: 'shop': must be a mapping"),
        (changed("gateway", to=3), "gateway: 3: must be a mapping"),
        (changed(*SHOP, "hosts", to="*"), "services[0].hosts: '*': must be a list"),
        (changed(*SHOP, "name", to=7), "services[0].name: 7: should be a valid string"),
        (changed(*SHOP, "budget", "max_error_pct", to=True), f"services[0].budget.max_error_pct: True: {NO_NUMBER}"),
        (changed(*SHOP, "budget", "max_error_pct", to="4"), f"services[0].budget.max_error_pct: '4': {NO_NUMBER}"),
        (changed(*FAST, "energy_j", to="1 J"), f"services[0].flavours[1].energy_j: '1 J': {NO_NUMBER}"),
        (changed("gateway", "concurrency", to=1.5), "gateway.concurrency: 1.5: should be a valid integer"),
        (changed("gateway", "concurrency", to=True), "gateway.concurrency: True: should be a valid integer"),
        (
            changed(*SHOP, "carbon", to={"source": "file", "path": "x", "repeat": "maybe"}),
            "services[0].carbon.repeat: 'maybe': should be a valid boolean",
        ),
        (changed(*SHOP, "carbon", to=None), "services[0].carbon: None: must be a mapping with `source`: file or gb"),
        (changed(*SHOP, "carbon", to={}), "services[0].carbon: must be a mapping with `source`: file or gb"),
        (changed(*SHOP, "carbon", "source", to="fr"), "services[0].carbon: `source` must be file or gb"),
        # Out of range.
        (changed(*FAST, "precision_pct", to=101), "services[0].flavours[1].precision_pct: 101: should be less than"),
        (changed(*FAST, "precision_pct", to=-1), "services[0].flavours[1].precision_pct: -1: should be greater than"),
        (changed(*FAST, "precision_pct", to=float("nan")), "services[0].flavours[1].precision_pct: nan: should be"),
        (changed(*FAST, "energy_j", to=float("inf")), "services[0].flavours[1].energy_j: inf: should be a finite"),
        (changed(*FAST, "energy_j", to=-1), "services[0].flavours[1].energy_j: -1: should be greater than"),
        (
            changed(*SHOP, "demand", to={"path": "x", "scale": float("inf")}),
            "services[0].demand.scale: inf: should be a finite",
        ),
        (changed(*SHOP, "demand", to={"path": "x", "scale": 0}), "services[0].demand.scale: 0: should be greater than"),
        (changed("gateway", "concurrency", to=0), "gateway.concurrency: 0: should be greater than or equal to 1"),
        (changed(*SHOP, "carbon", "region_id", to=18), "services[0].carbon.region_id: 18: should be less than"),
        (changed(*SHOP, "carbon", "base_url", to="ftp://x"), "services[0].carbon.base_url: 'ftp://x': "),
        # What does not go together.
        (changed("gateway", "ttl", to="11s"), "gateway: ttl must be at least twice refresh"),
        (
            changed(*SHOP, "carbon", to={"source": "gb", "region_id": 3, "postcode": "OX1"}),
            "services[0].carbon: region_id and postcode exclude each other",
        ),
        (changed(*FAST, "name", to="best"), "services[0]: two flavours have the same name: best"),
        (changed(*FAST, "precision_pct", to=100.0), "services[0]: two flavours have the same precision_pct: 100"),
        (changed(*FAST, "precision_pct", to=99.99999999), "services[0]: two flavours have the same precision_pct: 100"),
        (changed(*SHOP, "hosts", to=["a.example", "A.example"]), "services[0]: hosts names twice: a.example"),
        (changed(*SHOP, "hosts", to=["*", "*"]), "services[0]: hosts names twice: *"),
        # Names.
        (changed(*SHOP, "name", to="Shop_1"), "services[0].name: 'Shop_1': must be lower-case letters"),
        (changed(*SHOP, "name", to=""), "services[0].name: '': must be lower-case letters"),
        (changed(*SHOP, "namespace", to="../etc"), "services[0].namespace: '../etc': must be lower-case letters"),
        (changed(*SHOP, "hosts", to=["http://x"]), "services[0].hosts[0]: 'http://x': "),
        # Keys that are not text.
        (f"{yaml.safe_dump(VALID)}\n1: x\n", "1: 1: must be text"),
    ],
)
def test_a_mistake_is_one_line_with_its_place_its_value_and_what_is_right(tmp_path, content, line):
    found = mistakes(tmp_path, content)
    # An unknown key may stand for one that is then missing.
    found = [each for each in found if not (each.endswith("is missing") and "unknown key" in line)]
    assert [each[: len(line)] for each in found] == [line]


def test_several_mistakes_are_told_at_once(tmp_path):
    content = copy.deepcopy(VALID)
    content["gateway"] = {"listen": "nowhere"}
    content["services"][0]["flavours"][0]["precision_pct"] = 900
    content["services"][0]["budget"] = {}
    assert [line.partition(": ")[0] for line in mistakes(tmp_path, yaml.safe_dump(content))] == [
        "gateway.listen",
        "services[0].budget.max_error_pct",
        "services[0].flavours[0].precision_pct",
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("1.5m", 90), ("6h", 21_600), ("1d", 86_400), (" 2 s ", 2), ("366d", 31_622_400)],
)
def test_durations_are_read(tmp_path, text, seconds):
    assert load(tmp_path, changed(*SHOP, "timeout", to=text)).services[0].timeout == seconds


@pytest.mark.parametrize(
    "value", [30, 1.5, "30", "-1s", "1 week", "s", "", "1s2s", "1e3s", "infs", "٣s", None, True, []]
)
def test_what_is_no_duration_is_told_the_formats(tmp_path, value):
    [line] = mistakes(tmp_path, changed(*SHOP, "timeout", to=value))
    assert line.startswith("services[0].timeout: ")
    assert line.endswith(DURATION)


@pytest.mark.parametrize("value", ["0s", "367d", "9" * 400 + "d"])
def test_a_duration_that_no_timer_can_keep_is_refused(tmp_path, value):
    [line] = mistakes(tmp_path, changed(*SHOP, "timeout", to=value))
    assert line.startswith("services[0].timeout: ")
    assert line.endswith("must be above 0 and at most 366d")
    assert len(line) < 250


@pytest.mark.parametrize("value", ["59m", "32d", "0s", "year", 7, "9" * 400 + "d"])
def test_a_budget_window_is_a_month_or_from_an_hour_to_31_days(tmp_path, value):
    [line] = mistakes(tmp_path, changed(*SHOP, "budget", "window", to=value))
    assert line.startswith("services[0].budget.window: ")
    assert line.endswith("must be month, or from 1h to 31d, such as 7d")


@pytest.mark.parametrize(
    ("budget", "window"),
    [
        ({"window": "month"}, BudgetWindow(kind="month")),
        ({"window": "7d", "rolling": True}, BudgetWindow(length_s=7 * 86_400.0, kind="rolling")),
        ({"window": "1h", "carry_over_pct": 50}, BudgetWindow(length_s=3600.0, carry_over=0.5)),
    ],
)
def test_a_window_may_be_a_month_or_roll_or_carry_over(tmp_path, budget, window):
    content = changed(*SHOP, "budget", to={"max_error_pct": 4, **budget})
    [only] = planned(load(tmp_path, content))
    assert only.spec.settings.window == window


@pytest.mark.parametrize("budget", [{"window": "month", "rolling": True}, {"rolling": True, "carry_over_pct": 5}])
def test_windows_that_contradict_themselves_are_refused(tmp_path, budget):
    [line] = mistakes(tmp_path, changed(*SHOP, "budget", to={"max_error_pct": 4, **budget}))
    assert line.startswith("services[0].budget: ")
    assert "rolling" in line


def test_constraints_reach_the_controller(tmp_path):
    constraints = {
        "least_share_pct": {"best": 20},
        "greatest_share_pct": {"fast": 50},
        "max_change_pct": 10,
        "min_precision_pct": 92,
        "blackouts": [
            {"daily_from": "22:00", "daily_to": "24:00", "weekdays": ["sat"]},
            {"start": "2026-12-24T18:00Z", "end": "2026-12-25"},
        ],
    }
    [only] = planned(load(tmp_path, changed(*SHOP, "constraints", to=constraints)))
    assert only.spec.settings.constraints == Constraints(
        least_share={"best": 0.2},
        greatest_share={"fast": 0.5},
        max_change=0.1,
        min_precision=0.92,
        blackouts=(
            DailyBlackout(start_s=79_200.0, end_s=86_400.0, weekdays=(5,)),
            SpanBlackout(start_s=1_798_135_200.0, end_s=1_798_156_800.0),
        ),
    )


@pytest.mark.parametrize(
    ("constraints", "told"),
    [
        ({"least_share_pct": {"slow": 5}}, "none of the flavours best, fast"),
        ({"least_share_pct": {"best": 60, "fast": 60}}, "more than 1"),
        ({"max_change_pct": 0}, "greater than 0"),
        ({"blackouts": [{"daily_from": "8:00", "daily_to": "09:00"}]}, "time of day"),
        ({"blackout": []}, "did you mean blackouts?"),
    ],
)
def test_constraints_that_cannot_be_are_refused(tmp_path, constraints, told):
    lines = mistakes(tmp_path, changed(*SHOP, "constraints", to=constraints))
    assert any(told in line for line in lines), lines


def test_constraints_are_refused_with_a_policy_that_heeds_none(tmp_path):
    content = copy.deepcopy(VALID)
    content["services"][0] |= {"policy": "always-best", "constraints": {"min_precision_pct": 95}}
    with pytest.raises(ConfigError, match=r"always-best.*constraints"):
        planned(load(tmp_path, yaml.safe_dump(content)))


def test_a_policy_that_is_not_installed_is_named_beside_those_that_are(tmp_path):
    [line] = mistakes(tmp_path, changed(*SHOP, "policy", to="greedy"))
    assert "credit-greedy" in line
    content = changed(*SHOP, "policy", to="credit-greedy")
    [only] = planned(load(tmp_path, content))
    assert only.spec.settings.policy == "credit-greedy"


@pytest.mark.parametrize(
    "value",
    [
        "localhost:80",
        ":80",
        "127.0.0.1",
        "::1:80",
        "[::1]",
        "[127.0.0.1]:80",
        "[fe80::1%eth0]:80",
        "[::1:80",
        "1.2.3:4",
        "http://127.0.0.1:80",
    ],
)
def test_what_is_no_address_is_told_the_form(tmp_path, value):
    assert mistakes(tmp_path, changed(*FAST, "endpoints", to=["127.0.0.1:1", value])) == [
        f"services[0].flavours[1].endpoints[1]: {value!r}: {ADDRESS}"
    ]


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "", "8 0", "٣", "9" * 5000])
def test_what_is_no_port_is_told_the_range(tmp_path, port):
    [line] = mistakes(tmp_path, changed("gateway", "listen", to=f"127.0.0.1:{port}"))
    assert line.startswith("gateway.listen: ")
    assert len(line) < 250


@steady
@given(host=st.ip_addresses(), port=st.integers(1, 65_535))
def test_every_literal_address_is_taken_and_comes_apart_again(host, port):
    text = f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"
    content = copy.deepcopy(VALID)
    content["gateway"] = {"listen": text}
    parsed = endpoint(Config.model_validate(content).gateway.listen)
    assert (parsed.address, parsed.port) == (str(host), port)
    assert str(parsed) == text


def two_services(**second: Any) -> str:
    content = copy.deepcopy(VALID)
    content["services"][0]["hosts"] = ["shop.example"]
    content["services"].append(copy.deepcopy(content["services"][0]) | second)
    return yaml.safe_dump(content)


@pytest.mark.parametrize(
    ("second", "line"),
    [
        ({"hosts": ["other.example"]}, "(top level): two services have the same name: default/shop"),
        ({"name": "other"}, "(top level): two services have the same host: shop.example"),
        ({"name": "other", "hosts": ["SHOP.example"]}, "(top level): two services have the same host: shop.example"),
    ],
    ids=["name", "host", "host in other letters"],
)
def test_two_services_must_tell_apart(tmp_path, second, line):
    assert mistakes(tmp_path, two_services(**second)) == [line]


def test_two_namespaces_may_have_a_service_of_one_name(tmp_path):
    assert len(load(tmp_path, two_services(namespace="blue", hosts=["blue.example"])).services) == 2


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("services: []\nservices: []\n", "key 'services' stands twice"),
        ("gateway: {ttl: 1s, ttl: 2s}\n", "key 'ttl' stands twice"),
        ("? [a]\n: b\n", "a list or mapping cannot be a key"),
        ("? {a: b}\n: b\n", "a list or mapping cannot be a key"),
        ("a: &a {k: 1}\nb:\n  <<: *a\n", "merge keys (<<) are not supported"),
        ("services: !!python/object/apply:os.system ['true']\n", "python/object/apply"),
        ("a: 1\n---\nb: 1\n", "single document"),
        ("a: 2024-13-45\n", "month must be in 1..12"),
        (f"a: {'1' * 5000}\n", "Exceeds the limit"),
        ("a: &a [*b]\n", "undefined alias"),
        ("a: [\n", "while parsing"),
        ("\ta: 1\n", "cannot start any token"),
        ("[" * 5000, "recursion"),
        (bytes(range(256)), "unacceptable character"),
        (b"\x00" * 100, "unacceptable character"),
        ("name: é".encode("latin-1"), "unacceptable character"),
    ],
    ids=lambda value: None if isinstance(value, str) and len(value) > 40 else value,
)
def test_what_is_no_yaml_is_one_line(tmp_path, content, text):
    [line] = mistakes(tmp_path, content)
    assert line.startswith("is not YAML: ")
    assert text in line


@pytest.mark.parametrize("content", ["", "# nothing\n", "just text", "- a\n- b\n", "7", "null"])
def test_a_file_without_a_mapping_is_told_what_it_must_hold(tmp_path, content):
    assert mistakes(tmp_path, content) == ["must hold a mapping"]


@pytest.mark.parametrize(
    "content",
    [
        "services: &a [*a]\n",
        "&a {services: *a}\n",
        "services: [&a {name: *a}]\n",
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        )
        + "services: [*i]\n",
    ],
    ids=["list of itself", "mapping of itself", "service of itself", "billion laughs"],
)
def test_anchors_that_would_grow_without_end_are_mistakes_like_any_other(tmp_path, content):
    assert all(len(line) < 250 for line in mistakes(tmp_path, content))


def test_a_file_that_no_person_wrote_is_not_parsed(tmp_path):
    assert mistakes(tmp_path, b"# " + b"x" * 5_000_000) == ["is larger than 4 MiB"]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    ],
    ids=["missing", "directory", "loop"],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, make: Callable[[Path], None], reason):
    path = tmp_path / "router.yaml"
    make(path)
    with pytest.raises(ConfigError) as failure:
        load_config(path, Config)
    assert str(failure.value) == f"{path}: cannot be read: {reason}"


def test_relative_paths_are_those_of_the_files_own_folder(tmp_path, monkeypatch):
    folder = tmp_path / "conf"
    folder.mkdir()
    content = copy.deepcopy(VALID)
    content["state_dir"] = "state"
    content["services"][0]["carbon"] = {"source": "file", "path": "../day.csv"}
    content["services"][0]["demand"] = {"path": "demand.csv"}
    (folder / "router.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.chdir(tmp_path)
    config = load_config(Path("conf/router.yaml"), Config)
    service = config.services[0]
    assert config.state_dir == folder / "state"
    assert service.carbon.path == folder / "../day.csv"
    assert service.demand.path == folder / "demand.csv"


def test_absolute_paths_are_left_alone(tmp_path):
    assert load(tmp_path, changed("state_dir", to="/var/lib/x")).state_dir == Path("/var/lib/x")


def test_the_file_becomes_what_the_engine_works_with(tmp_path):
    content = copy.deepcopy(VALID)
    content["gateway"] = {"ttl": "40s"}
    content["services"][0]["budget"] |= {"window": "6h", "guard_pct": 20}
    [only] = planned(load(tmp_path, yaml.safe_dump(content)), clock=ScaledClock(start_s=0.0, speed=10.0))
    spec = only.spec
    assert spec.key == "default/shop"
    assert (spec.settings.max_error, spec.settings.window.length_s, spec.settings.guard) == (0.04, 21_600, 0.2)
    assert [(each.name, each.energy_j) for each in spec.flavours] == [("best", 10), ("fast", 1.5)]
    assert [each.error for each in spec.flavours] == pytest.approx([0.0, 0.1])
    assert spec.valid_for_s == 400.0
    assert str(spec.topology.flavours[1].endpoints[0]) == "[::1]:9002"


async def test_services_with_the_same_carbon_section_share_a_feed_over_reloads(tmp_path):
    feeds = Feeds(SystemClock())
    config = load(tmp_path, two_services(name="other", hosts=["other.example"]))
    first, second = planned(config, feeds)
    assert first.feed is second.feed
    assert planned(config, feeds)[0].feed is first.feed
    await feeds.aclose()
    assert planned(config, feeds)[0].feed is not first.feed
    await feeds.aclose()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"nonsense", "demand.csv"),
        (b"time,carbon_actual_g_per_kwh\n2023-01-01T00:00Z,1\n2023-01-01T00:30Z,1\n", "neither a requests_forecast"),
    ],
    ids=["missing", "no text", "no trace", "no requests"],
)
def test_a_demand_file_that_cannot_be_used_is_a_configuration_error(tmp_path, content, text):
    if content is not None:
        (tmp_path / "demand.csv").write_bytes(content)
    config = load(tmp_path, changed(*SHOP, "demand", to={"path": "demand.csv"}))
    with pytest.raises(ConfigError, match=text):
        planned(config)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
keys = st.sampled_from(["services", "gateway", "name", "flavours", "carbon", "budget", "source", "file", "gb", "hosts"])
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | scalars, inner, max_size=4),
    max_leaves=12,
)


@steady
@given(content=st.dictionaries(keys, documents, max_size=4))
def test_no_content_whatever_ends_in_a_traceback(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ConfigError) as failure:
        load_config(path, Config)
    assert all(line.startswith(f"{path}: ") for line in str(failure.value).split("\n"))


@pytest.mark.parametrize(
    ("api", "told"),
    [
        ({"listen": "0.0.0.0:9900"}, "set token_file too"),
        ({"listen": "localhost:9900"}, "literal IP address"),
        ({"requests_per_second": 0}, "greater than 0"),
        ({"requests_per_second": "many"}, "valid number"),
        ({"token": "hunter2"}, "unknown key; did you mean token_file?"),
        ({"tls": {"cert": "cert.pem"}}, "api.tls.key: is missing"),
    ],
    ids=str,
)
def test_mistakes_about_who_may_ask_are_told(tmp_path, api, told):
    content = yaml.safe_dump({**VALID, "api": api})
    assert [line for line in mistakes(tmp_path, content) if told in line]


@pytest.mark.parametrize("moment", ["yesterday", "2026-13-01T00:00Z", "2026-02-29", 7, None, ["2026-01-01"]], ids=str)
def test_what_is_no_moment_is_told_the_form(tmp_path, moment):
    rehearsal = {"start": moment, "speed": 2}
    content = yaml.safe_dump({**VALID, "rehearsal": rehearsal})
    assert [line for line in mistakes(tmp_path, content) if "must be a moment such as" in line]
