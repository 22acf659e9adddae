"""Who may ask, how much and how often; and what is answered to whatever else comes."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from controlplane.api import guard, token
from controlplane.api.guard import MOST_BODY_BYTES
from controlplane.api.token import BearerToken
from controlplane.config import ConfigError, EngineConfig, load_config
from controlplane.host import EngineHost, NoDataPlane
from controlplane.session import ServiceSession
from controlplane.statedir import StartError
from tests.api.hosts import SHOP, TERMS, Served, engine_config, served
from tests.controlplane.fakes import ManualClock
from tests.support.ports import free_port
from tests.support.wait import eventually

TOKEN = "correct-horse-battery-staple"
PROBLEM = "application/problem+json"


def token_file(directory: Path, text: str = TOKEN) -> Path:
    path = directory / "token"
    path.write_text(text)
    return path


def guarded(directory: Path, *, bring: str | None = TOKEN, text: str = TOKEN) -> Any:
    path = token_file(directory, text)
    listen = f"127.0.0.1:{free_port()}"
    return served(directory, token=bring, api={"listen": listen, "token_file": str(path)})


async def problem(world: Served, method: str, path: str, **sent: Any) -> dict[str, Any]:
    """The problem that one request is answered with; its headers under `headers`."""
    async with world.client.request(method, path, **sent) as answer:
        assert answer.headers["Content-Type"] == PROBLEM, await answer.text()
        told = await answer.json(content_type=None)
        assert set(told) - {"errors"} == {"type", "title", "status", "detail"}
        assert told["status"] == answer.status
        return {**told, "headers": dict(answer.headers)}


def books_and_steering(session: ServiceSession) -> Any:
    state = session.state()
    return state["controller"]["ledger"], state["steering"], state["senders"], session.spec


async def raw(world: Served, text: bytes) -> bytes:
    """What a server says to bytes that no client library would send."""
    address, port = world.host.config.api.listen.split(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    writer.write(text)
    answer = await asyncio.wait_for(reader.read(4096), 10)
    writer.close()
    return answer


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong-horse-battery-staple",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN} {TOKEN}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \xff\xfe",
    ],
    ids=repr,
)
async def test_without_the_token_nothing_is_told_or_done(tmp_path, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}
    async with guarded(tmp_path, bring=None) as world:
        for method, path in (("GET", "/api/v1/services"), ("PUT", SHOP), ("GET", "/metrics"), ("GET", "/openapi.json")):
            told = await problem(world, method, path, headers=headers, data=json.dumps(TERMS))
            assert (told["status"], told["headers"]["WWW-Authenticate"]) == (401, "Bearer")
        assert await problem(world, "GET", "/no-such-path", headers=headers)
        assert world.host.engine.sessions == {}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_with_the_token_everything_is(tmp_path, scheme):
    async with guarded(tmp_path, bring=None, text=f"  {TOKEN}\n") as world:
        headers = {"Authorization": f"{scheme} {TOKEN}", "Host": "engine.example", "Origin": "https://page.example"}
        assert (await world.call("PUT", SHOP, json=TERMS, headers=headers))[0] == 201


async def test_what_tells_nothing_needs_no_token(tmp_path):
    async with guarded(tmp_path, bring=None) as world:
        for path in ("/healthz", "/readyz", "/"):
            assert (await world.call("GET", path))[0] == 200
        assert (await world.call("GET", "/page/app.js"))[0] == 200
        assert (await problem(world, "GET", "/page/../metrics"))["status"] == 401
        assert (await problem(world, "GET", "/page/no-such-part"))["status"] == 404


async def test_a_token_beyond_ascii_opens_too(tmp_path):
    odd = "schlüssel-für-alle-fälle"
    async with guarded(tmp_path, bring=None, text=odd) as world:
        told = await raw(
            world, f"GET /api/v1/services HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {odd}\r\n\r\n".encode()
        )
        assert told.startswith(b"HTTP/1.1 200 ")


async def test_a_new_token_holds_at_once_and_the_old_one_no_more(tmp_path):
    new = "another-horse-another-staple"
    async with guarded(tmp_path) as world:
        assert (await world.call("GET", "/api/v1/services"))[0] == 200
        (tmp_path / "new").write_text(new)
        (tmp_path / "new").rename(tmp_path / "token")
        assert (await world.call("GET", "/api/v1/services"))[0] == 401
        opened = {"Authorization": f"Bearer {new}"}
        assert (await world.call("GET", "/api/v1/services", headers=opened))[0] == 200


@pytest.mark.parametrize(
    "spoil", [Path.unlink, lambda path: path.write_text(""), lambda path: path.write_text("short")]
)
async def test_while_the_file_cannot_be_used_the_last_token_holds(tmp_path, caplog, spoil):
    async with guarded(tmp_path) as world:
        spoil(tmp_path / "token")
        assert (await world.call("GET", "/api/v1/services"))[0] == 200
        headers = {"Authorization": "Bearer "}
        assert (await world.call("GET", "/api/v1/services", headers=headers))[0] == 401
    assert "the last token holds" in caplog.text


@pytest.mark.parametrize(
    "text", ["", "short", "x" * 5000, "two words of a pass phrase", "two\nlines-of-something", "a\x00" * 9]
)
def test_a_token_that_keeps_nobody_out_or_cannot_be_brought_is_refused_at_the_start(tmp_path, text):
    with pytest.raises(StartError) as refused:
        BearerToken(token_file(tmp_path, text))
    assert len(text) < 6 or text not in str(refused.value)


def test_a_token_file_that_is_not_there_is_refused_at_the_start(tmp_path):
    with pytest.raises(StartError, match="No such file"):
        BearerToken(tmp_path / "token")


async def test_the_token_is_compared_in_constant_time(tmp_path, monkeypatch):
    compared: list[tuple[bytes, bytes]] = []

    def noting(told: bytes, right: bytes) -> bool:
        compared.append((told, right))
        return hmac.compare_digest(told, right)

    monkeypatch.setattr(token, "hmac", type("hmac", (), {"compare_digest": staticmethod(noting)}))
    opener = BearerToken(token_file(tmp_path))
    for wrong in ("", "Bearer", "Basic x", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}"):
        assert not opener.opens(wrong)
    assert opener.opens(f"Bearer {TOKEN}")
    assert [right for _, right in compared] == [TOKEN.encode()] * 6


async def test_the_token_stands_in_no_log_answer_or_repr(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = "wrong-but-somebodys-password"
    async with guarded(tmp_path) as world:
        answers = [
            await (await world.client.request(method, path, headers=headers, data=b"{")).text()
            for method in ("GET", "PUT", "TRACE")
            for path in ("/api/v1/services", SHOP, "/status", "/metrics", f"/{TOKEN}", f"/x?y={TOKEN}")
            for headers in ({}, {"Authorization": f"Bearer {wrong}"})
        ]
        (tmp_path / "token").unlink()
        answers.append((await world.call("GET", "/status"))[1])
        shown = [repr(BearerToken(token_file(tmp_path))), repr(world.host.config), str(world.host.config.model_dump())]
    told = "".join([caplog.text, *map(str, answers), *shown])
    assert TOKEN not in told
    assert wrong not in told


@pytest.mark.parametrize("listen", ["0.0.0.0:9900", "[::]:9900", "192.0.2.1:9900", "[2001:db8::1]:9900"])
def test_beyond_this_machine_no_token_is_a_mistake(tmp_path, listen):
    (tmp_path / "carbonrouter.yaml").write_text(json.dumps({"api": {"listen": listen}}))
    with pytest.raises(ConfigError, match="set token_file too"):
        load_config(tmp_path / "carbonrouter.yaml", EngineConfig)
    (tmp_path / "carbonrouter.yaml").write_text(json.dumps({"api": {"listen": listen, "token_file": "token"}}))
    assert load_config(tmp_path / "carbonrouter.yaml", EngineConfig).api.token_file == tmp_path / "token"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::2]", "[", "", "a b"])
async def test_a_name_that_is_not_ours_is_no_way_in(tmp_path, host):
    """A page whose name was made to lead to this machine (DNS rebinding) sends its own name."""
    async with served(tmp_path) as world:
        answer = await raw(
            world, f"GET /api/v1/services HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        assert answer.split(b" ", 2)[1] in {b"403", b"400"}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:9900"])
async def test_this_machines_own_names_are(tmp_path, host):
    async with served(tmp_path) as world:
        assert (await world.call("GET", "/api/v1/services", headers={"Host": host}))[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    ],
    ids=str,
)
async def test_a_page_of_another_site_steers_nothing(tmp_path, headers):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        for method, path in (
            ("PUT", SHOP + "/pause"),
            ("DELETE", SHOP),
            ("POST", "/setschedule"),
            ("GET", "/schedule"),
        ):
            told = await problem(world, method, path, headers=headers)
            assert told["status"] == 403
        assert set(world.host.engine.sessions) == {"default/shop"}
        assert world.host.engine.sessions["default/shop"].steering.pause is None


async def test_our_own_page_does(tmp_path):
    async with served(tmp_path) as world:
        origin = f"http://{world.host.config.api.listen}"
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
        assert (await world.call("PUT", SHOP, json=TERMS, headers=headers))[0] == 201


@pytest.mark.parametrize("method_and_path", [("PUT", SHOP), ("PUT", SHOP + "/pause"), ("PUT", "/config/default/shop")])
async def test_a_body_is_bounded_whether_or_not_its_length_is_told_before(tmp_path, method_and_path):
    huge = b" " * (MOST_BODY_BYTES + 1)

    async def in_chunks() -> Any:
        for start in range(0, len(huge), 60_000):
            yield huge[start : start + 60_000]

    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        headers = {"Content-Type": "application/json"}
        for data in (huge, in_chunks()):
            assert (await problem(world, *method_and_path, data=data, headers=headers))["status"] == 413


async def test_a_length_that_is_no_number_is_refused(tmp_path):
    async with served(tmp_path) as world:
        start = f"PUT {SHOP} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()
        for length in (b"-1", b"1e3", b"99999999999999999999"):
            answer = await raw(world, start + b"Content-Length: " + length + b"\r\n\r\n")
            assert answer.split(b" ", 2)[1] in {b"400", b"413"}


BODIES = {
    "malformed": b"{",
    "empty": b"",
    "no object": b"[]",
    "null": b"null",
    "bytes": b"\xff\xfe\xfa",
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"budget":' * 20_000,
    "nan": b'{"budget": {"max_error_pct": NaN}}',
    "infinity": b'{"budget": {"max_error_pct": Infinity}}',
    "beyond floats": b'{"budget": {"max_error_pct": 1e999}}',
    "digits": b'{"budget": {"max_error_pct": ' + b"9" * 4301 + b"}}",
    "fewer digits": b'{"budget": {"max_error_pct": ' + b"9" * 4000 + b"}}",
    "surrogate": b'{"policy": "\\ud800"}',
    "surrogate key": b'{"\\udfff": {"\\ud800": 1}}',
    "surrogate flavour": b'{"flavours": [{"name": "\\ud800"}], "weights": {"\\ud800": 1}, "served": {"\\ud800": 1}}',
}
PATHS = (
    ("PUT", SHOP),
    ("PUT", SHOP + "/override"),
    ("PUT", SHOP + "/pause"),
    ("POST", SHOP + "/feedback"),
    ("POST", "/schedule/default/shop/manual"),
    ("POST", "/feedback/default/shop"),
)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_that_means_nothing_is_a_problem_and_changes_nothing(tmp_path, caplog, body):
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        session = world.host.engine.sessions["default/shop"]
        before = books_and_steering(session)
        for method, path in PATHS:
            told = await problem(world, method, path, data=body, headers={"Content-Type": "application/json"})
            assert told["status"] in {400, 422}
        assert world.host.engine.sessions == {"default/shop": session}
        assert books_and_steering(session) == before
    assert "Traceback" not in caplog.text


async def test_a_problem_never_repeats_a_value_that_was_sent(tmp_path):
    secret = "hunter2-hunter2"
    sent: list[tuple[str, str, Any]] = [
        ("PUT", SHOP, {**TERMS, "budget": secret}),
        ("PUT", SHOP, {**TERMS, "budget": {"max_error_pct": secret}}),
        ("PUT", SHOP, {**TERMS, "budget": {"max_error_pct": 4, "window": secret}}),
        ("PUT", SHOP, {**TERMS, "unknown": secret}),
        ("PUT", SHOP, {**TERMS, "hosts": [f"{secret} and more"]}),
        ("PUT", SHOP, {**TERMS, "timeout": secret, "valid_for": secret, "flavours": [secret]}),
        ("PUT", SHOP + "/override", {"weights": secret, "duration": secret, "reason": [secret]}),
        ("PUT", SHOP + "/override", {"weights": {"high": secret}, "duration": "1h"}),
        ("PUT", SHOP + "/pause", {"duration": secret, "token": secret}),
        ("POST", SHOP + "/feedback", {"sender": f"{secret} ", "sequence": secret, "served": {"high": secret}}),
        ("POST", SHOP + "/feedback", {"sender": "a", "sequence": 1, "since": secret, "until": secret, "served": {}}),
        ("POST", "/schedule/default/shop/manual", {"flavourWeights": {"high": secret}, "validUntil": secret}),
        ("PUT", "/config/default/other", {"targetError": secret, "policy": [secret], "validFor": secret}),
        ("PUT", "/config/default/other", {"flavours": [{"precision": secret}], "components": {"router": secret}}),
    ]
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        for method, path, body in sent:
            told = await problem(world, method, path, json=body)
            assert told["status"] == 422
            assert secret not in json.dumps(told), body
        for query in ("limit", "offset"):
            assert secret not in json.dumps(await problem(world, "GET", f"/api/v1/services?{query}={secret}"))
        assert secret not in json.dumps(await problem(world, "GET", f"{SHOP}/history?since={secret}"))


async def test_a_problem_stays_short_whatever_was_sent(tmp_path):
    long = [{"name": "n" * 200, "precision_pct": place / 10, "energy_j": 1} for place in range(100)]
    async with served(tmp_path) as world:
        await world.call("PUT", SHOP, json=TERMS)
        sent = ({**TERMS, "flavours": long}, {"k" * 1000 + str(place): 1 for place in range(150)})
        for body in sent:
            assert len(json.dumps(await problem(world, "PUT", SHOP, json=body))) < 20_000


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no-such-path", 404),
        ("GET", "/api/v1/services/", 404),
        ("GET", "/api/v1/services/a/b/c/d", 404),
        ("GET", "/api/v1/services/UPPER/case", 422),
        ("POST", "/api/v1/services", 405),
        ("HEAD", "/api/v1/services", 405),
        ("PATCH", SHOP, 405),
        ("BREW", SHOP, 405),
        ("OPTIONS", SHOP, 405),
        ("GET", "/docs", 404),
        ("GET", "/%ED%A0%80", 404),
        ("DELETE", SHOP, 404),
    ],
)
async def test_what_is_not_there_is_a_problem(tmp_path, method, path, status):
    async with served(tmp_path) as world, world.client.request(method, path) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (status, PROBLEM)
        if status == 405:
            assert answer.headers["Allow"]


async def test_who_asks_too_often_is_told_to_wait_and_may_ask_again(tmp_path):
    listen = f"127.0.0.1:{free_port()}"
    async with served(tmp_path, api={"listen": listen, "requests_per_second": 5}) as world:
        strangers = [world.client.get("/api/v1/sources", headers={"Host": "evil.example"}) for _ in range(200)]
        assert {answer.status for answer in await asyncio.gather(*strangers)} == {403}
        assert (await world.call("GET", "/api/v1/sources"))[0] == 200, "who is refused anyway uses up nothing"
        answers = await asyncio.gather(*(world.client.get("/api/v1/sources") for _ in range(200)))
        statuses = {answer.status for answer in answers}
        refused = [answer for answer in answers if answer.status == 429]
        assert statuses == {200, 429}
        assert {answer.headers["Content-Type"] for answer in refused} == {PROBLEM}
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)

        assert (await world.call("GET", "/healthz"))[0] == 200, "a probe is always answered"

        async def served_again() -> bool:
            return (await world.call("GET", "/api/v1/sources"))[0] == 200

        await eventually(served_again)


async def test_a_defect_of_ours_is_a_problem_that_tells_nothing(tmp_path, monkeypatch, caplog):
    async with served(tmp_path) as world:
        monkeypatch.setattr(guard.Guard, "_objection", lambda *_: 1 / 0)
        told = await problem(world, "GET", "/healthz")
        assert (told["status"], told["title"]) == (500, "Internal Server Error")
        assert "division" not in told["detail"]
    assert "division by zero" in caplog.text


async def test_over_tls_a_client_that_knows_the_authority_is_served_and_plain_text_is_not(tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    tls = {"cert": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
    async with served(tmp_path, api={"listen": f"127.0.0.1:{free_port()}", "tls": tls}) as world:
        secure = f"https://{world.host.config.api.listen}"
        async with aiohttp.ClientSession(secure) as client:
            async with client.get("/api/v1/services", ssl=context) as answer:
                assert answer.status == 200
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await client.get("/api/v1/services", ssl=ssl.create_default_context())
        with pytest.raises(aiohttp.ClientError):
            await world.call("GET", "/healthz")


@pytest.mark.parametrize("spoilt", ["cert", "key", "both are text", "others"])
async def test_a_certificate_that_cannot_be_used_is_told_at_the_start(tmp_path, spoilt):
    authority = trustme.CA()
    pair, other = authority.issue_cert("127.0.0.1"), authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    if spoilt != "cert":
        pair.cert_chain_pems[0].write_to_path(cert)
    if spoilt != "key":
        (other if spoilt == "others" else pair).private_key_pem.write_to_path(key)
    if spoilt == "both are text":
        cert.write_text("text")
        key.write_text("text")
    api = {"listen": f"127.0.0.1:{free_port()}", "tls": {"cert": str(cert), "key": str(key)}}
    with pytest.raises(StartError, match=r"api\."):
        async with served(tmp_path, api=api):
            pass


async def test_a_token_that_cannot_be_used_or_an_address_that_is_taken_is_told_at_the_start(tmp_path):
    with pytest.raises(StartError, match=r"api\.token_file"):
        async with guarded(tmp_path, text="short"):
            pass
    async with served(tmp_path) as world:
        taken = {"listen": world.host.config.api.listen}
        (tmp_path / "other").mkdir()
        with pytest.raises(StartError, match=r"set api\.listen"):
            async with served(tmp_path / "other", api=taken):
                pass


async def test_making_a_host_starts_nothing(tmp_path):
    host = EngineHost(engine_config(tmp_path), NoDataPlane(), clock=ManualClock())
    assert host.engine.generation == 0


async def test_a_page_of_another_site_cannot_take_up_the_streams_of_others(tmp_path):
    async with served(tmp_path) as world:
        headers = {"Sec-Fetch-Site": "cross-site"}
        assert (await problem(world, "GET", "/api/v1/events", headers=headers))["status"] == 403


async def test_who_connects_and_never_says_a_whole_request_is_hung_up_on(tmp_path, monkeypatch):
    monkeypatch.setattr("controlplane.web._HEAD_S", 0.2)
    monkeypatch.setattr("controlplane.api.guard._BODY_S", 0.2)
    async with served(tmp_path) as world:
        address, port = world.host.config.api.listen.split(":")
        for said in (b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"):
            reader, writer = await asyncio.open_connection(address, int(port))
            writer.write(said)
            async with asyncio.timeout(10):
                assert await reader.read() == b""
            writer.close()
        lines = (f"POST {SHOP}/feedback HTTP/1.1", f"Host: {address}", "Content-Type: application/json")
        head = "\r\n".join((*lines, "Content-Length: 9", "", ""))
        await world.call("PUT", SHOP, json=TERMS)
        reader, writer = await asyncio.open_connection(address, int(port))
        writer.write(head.encode())
        async with asyncio.timeout(10):
            assert b" 408 " in await reader.readline()
        writer.close()
