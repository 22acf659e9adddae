"""The HTTP client: status, redirects, Retry-After, sizes, cut and silent answers."""

import asyncio
import gzip
import socket

import pytest

from controlplane.carbon import PermanentSourceError, TemporarySourceError
from controlplane.carbon.http import MAX_BODY_BYTES, JsonClient, retry_after_s
from tests.carbon.carbon_fakes import answer

DATE = "Tue, 10 Jan 2023 12:00:00 GMT"
LATER = "Tue, 10 Jan 2023 12:02:00 GMT"
GZIP = [("Content-Encoding", "gzip")]


async def get(provider, respond, *, timeout_s=10.0):
    provider.respond = respond
    client = JsonClient(source="gb", base_url=provider.url + "/", timeout_s=timeout_s)
    try:
        return await client.get("/x")
    finally:
        await client.aclose()


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (answer(b"", status=400), PermanentSourceError, "HTTP 400"),
        (answer({"error": {"code": "400", "message": "bad date"}}, status=400), PermanentSourceError, "bad date"),
        (answer(b"", status=404), PermanentSourceError, "HTTP 404"),
        (answer(b"", status=408), TemporarySourceError, "HTTP 408"),
        (answer(b"<html>", status=500), TemporarySourceError, "HTTP 500"),
        (answer(b"", status=503), TemporarySourceError, "HTTP 503"),
        (answer(b"", status=204), TemporarySourceError, "HTTP 204"),
        (answer(b"<!doctype html><p>Sign in"), TemporarySourceError, "not JSON"),
        (answer(b""), TemporarySourceError, "not JSON"),
        (answer(b'{"data": ['), TemporarySourceError, "not JSON"),
        (answer(b"\xff\xfe\xff"), TemporarySourceError, "not JSON"),
        (answer(b"[" * 100_000), TemporarySourceError, "not JSON"),
        (answer(b'{"data": []', length=100), TemporarySourceError, "ClientPayloadError"),
        (answer(gzip.compress(b"{}"), headers=GZIP), TemporarySourceError, "Content-Encoding"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", TemporarySourceError, "127.0.0.1"),
        (b"", TemporarySourceError, "127.0.0.1"),
        (answer(b" " * (MAX_BODY_BYTES + 1)), PermanentSourceError, "larger than"),
        (answer(b" " * (MAX_BODY_BYTES + 1), status=500), PermanentSourceError, "larger than"),
    ],
)
async def test_what_is_no_document(provider, reply, error, words):
    with pytest.raises(error, match=words):
        await get(provider, lambda _: reply)


async def test_a_body_at_the_limit_is_read(provider):
    assert await get(provider, lambda _: answer(b"{}".ljust(MAX_BODY_BYTES))) == {}


async def test_an_endless_body_is_cut_off(provider):
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b" " * 65_536 + b"\r\n"
    reply = endless + (b"10000\r\n" + b" " * 65_536 + b"\r\n") * 40
    with pytest.raises(PermanentSourceError, match="larger than"):
        await get(provider, lambda _: reply)


async def test_silence_ends_at_the_total_timeout(provider):
    with pytest.raises(TemporarySourceError, match=r"no answer from 127\.0\.0\.1 within 0\.05 s"):
        await get(provider, lambda _: None, timeout_s=0.05)


async def test_nobody_listens():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        client = JsonClient(source="gb", base_url=f"http://127.0.0.1:{held.getsockname()[1]}")
        with pytest.raises(TemporarySourceError, match="ClientConnectorError"):
            await client.get("/x")
        await client.aclose()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_on_the_same_host_is_followed(provider, status):
    def respond(path: str) -> bytes:
        return answer({"a": 1}) if path == "/y" else answer(status=status, headers=[("Location", "/y")])

    assert await get(provider, respond) == {"a": 1}
    assert provider.paths == ["/x", "/y"]


@pytest.mark.parametrize(
    "location",
    [
        "http://example.org/x",
        "//example.org/x",
        "https://127.0.0.1/x",
        "http://localhost/x",
        "http://127.0.0.1:1/x",
        "file:///etc/passwd",
        "mailto:a@b",
        "http://[",
        "",
    ],
)
async def test_a_redirect_elsewhere_is_not_followed(provider, location):
    with pytest.raises(PermanentSourceError, match="not followed"):
        await get(provider, lambda _: answer(status=302, headers=[("Location", location)]))
    assert provider.paths == ["/x"]


async def test_a_circle_of_redirects_ends(provider):
    with pytest.raises(PermanentSourceError, match="more than 3 redirects"):
        await get(provider, lambda _: answer(status=302, headers=[("Location", "/x")]))
    assert len(provider.paths) == 4


@pytest.mark.parametrize(
    ("status", "headers", "asked_s"),
    [
        (429, {}, 60.0),
        (429, {"Retry-After": "120"}, 120.0),
        (503, {"Retry-After": "7"}, 7.0),
        (503, {}, None),
        (429, {"Retry-After": "soon"}, 60.0),
        (429, {"Retry-After": "999999999"}, 3600.0),
        (429, {"Retry-After": LATER, "Date": DATE}, 120.0),
    ],
)
async def test_retry_after_travels_with_the_error(provider, status, headers, asked_s):
    with pytest.raises(TemporarySourceError) as caught:
        await get(provider, lambda _: answer(status=status, headers=headers.items()))
    assert caught.value.retry_after_s == asked_s


@pytest.mark.parametrize(
    ("headers", "asked_s"),
    [
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "²"}, None),
        ({"Retry-After": "9" * 400}, 3600.0),
        ({"Retry-After": LATER}, None),
        ({"Retry-After": DATE, "Date": LATER}, 0.0),
        ({"Retry-After": LATER, "Date": "Tue, 99 Foo"}, None),
    ],
)
def test_retry_after_of_every_kind(headers, asked_s):
    assert retry_after_s(headers) == asked_s


async def test_cancellation_passes(provider):
    asked = asyncio.Event()

    def respond(_: str) -> None:
        asked.set()

    task = asyncio.create_task(get(provider, respond))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
