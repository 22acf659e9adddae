"""Credentials are read when needed, checked, and never shown."""

import base64
import json
import os
from urllib.parse import quote, quote_plus

import pytest

from controlplane.carbon import PermanentSourceError, SecretFile, SecretVariable
from controlplane.carbon.credentials import MAX_BYTES, Credential, sendable
from controlplane.carbon.http import JsonClient, error_message
from controlplane.urls import base_url
from tests.carbon.carbon_fakes import answer

NAME = "CARBONROUTER_TEST_SECRET"


@pytest.mark.parametrize("content", [b"s3cret", b"  s3cret\n", b"\xef\xbb\xbfs3cret\r\n", b"\ts3cret\n\n"])
async def test_white_space_around_a_secret_is_none_of_it(tmp_path, content):
    (tmp_path / "token").write_bytes(content)
    assert await SecretFile(tmp_path / "token").read(source="x") == "s3cret"


async def test_a_secret_is_read_again_each_time(tmp_path, monkeypatch):
    secret = SecretFile(tmp_path / "token")
    for text in ("first", "second"):
        (tmp_path / "token").write_text(text)
        assert await secret.read(source="x") == text
        monkeypatch.setenv(NAME, text)
        assert await SecretVariable(NAME).read(source="x") == text


async def test_a_link_to_a_secret_is_followed_as_clusters_mount_them(tmp_path):
    (tmp_path / "data").write_text("s3cret")
    (tmp_path / "token").symlink_to(tmp_path / "data")
    assert await SecretFile(tmp_path / "token").read(source="x") == "s3cret"


UNUSABLE = [
    (b"", "missing or empty"),
    (b" \n\t", "missing or empty"),
    (b"hush\nhush", "not one line"),
    (b"hush\x00", "not one line"),
    (b"hush\xff", "not one line"),
    (b"hush" * MAX_BYTES, "larger than 4096 bytes"),
]


@pytest.mark.parametrize(("content", "words"), UNUSABLE)
async def test_an_unusable_file_is_named_and_its_text_is_not(tmp_path, content, words):
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(PermanentSourceError, match=words) as caught:
        await SecretFile(path).read(source="x")
    assert str(path) in str(caught.value)
    assert "hush" not in repr(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)


@pytest.mark.parametrize("content", ["", "  ", "hush\nhush", "h" * (MAX_BYTES + 1)])
async def test_an_unusable_variable_is_named_and_its_text_is_not(monkeypatch, content):
    monkeypatch.setenv(NAME, content)
    with pytest.raises(PermanentSourceError, match=NAME) as caught:
        await SecretVariable(NAME).read(source="x")
    assert "hush" not in repr(caught.value)


async def test_what_is_not_there_is_an_error(tmp_path):
    with pytest.raises(PermanentSourceError, match="missing or empty"):
        await SecretVariable(NAME).read(source="x")
    with pytest.raises(PermanentSourceError, match="No such file"):
        await SecretFile(tmp_path / "none").read(source="x")


async def test_a_pipe_or_a_folder_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(PermanentSourceError, match="credential file"):
            await SecretFile(path).read(source="x")


def test_a_credential_shows_nothing_of_itself():
    for credential in (
        Credential.token("s3cret", header="auth-token"),
        Credential.bearer("s3cret"),
        Credential.basic("ada", "s3cret"),
    ):
        assert "s3cret" not in repr(credential)
        assert "YWRh" not in repr(credential)
        assert credential.hide(f"a s3cret {credential.value}").count("s3cret") == 0


TOKEN = 'abc/d"e+f=='
PASSWORD = "pä ss/w\\d&"


def in_base64(text):
    return base64.b64encode(text.encode()).decode()


def in_escapes(text):
    return "".join(f"\\u{ord(letter):04x}" for letter in text)


WRITTEN = {
    "as it is": lambda secret: secret,
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "percent-encoded in part": quote,
    "percent-encoded, small letters": lambda secret: "".join(f"%{octet:02x}" for octet in secret.encode()),
    "of a form": quote_plus,
    "in base64": in_base64,
    "in base64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    "in base64, percent-encoded": lambda secret: quote(in_base64(secret)),
    "as JSON in JSON": json.dumps,
    "as HTML": lambda secret: "".join(f"&#{ord(letter)};" for letter in secret),
}
BODIES = {
    "plainly": lambda words: json.dumps({"message": words}, ensure_ascii=False),
    "with escaped slashes": lambda words: json.dumps({"detail": words}).replace("/", "\\/"),
    "with every letter escaped": lambda words: f'{{"title": "{in_escapes(words)}"}}',
    "in an envelope": lambda words: json.dumps({"error": {"code": 400, "message": [words]}}),
    "as an error of its own": lambda words: json.dumps({"error": words}),
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("written", WRITTEN)
def test_a_secret_is_hidden_however_a_refusal_writes_it(written, body):
    for credential, secrets in (
        (Credential.token(TOKEN, header="auth-token"), [TOKEN]),
        (Credential.basic("ada", PASSWORD), [PASSWORD, f"ada:{PASSWORD}", in_base64(f"ada:{PASSWORD}")]),
    ):
        for secret in secrets:
            told = WRITTEN[written](secret)
            shown = error_message(BODIES[body](f"bad token {told} given").encode(), credential=credential)
            assert "***" in shown
            assert told not in shown
            assert secret.encode("unicode_escape").decode() not in shown


def test_a_refusal_that_is_cut_shows_no_half_of_a_secret():
    secret = "s3cret" * 20
    for before in range(60, 200, 7):
        body = json.dumps({"message": "x" * before + secret}).encode()
        assert "s3" not in error_message(body, credential=Credential.token(secret, header="auth-token"))


def test_a_text_too_long_to_look_through_is_not_shown():
    credential = Credential.token("s3cret", header="auth-token")
    assert credential.hide("a" * 100_000) == "***"


def test_a_refusal_without_a_secret_is_told_as_it_is():
    credential = Credential.token(TOKEN, header="auth-token")
    for words in ("100% of a\\b & c", "zone=DE%2FX not found", "plan &lt;free&gt;"):
        shown = error_message(json.dumps({"message": words}).encode(), credential=credential)
        assert shown == words.encode("unicode_escape").decode()


@pytest.mark.parametrize("text", ["", "a\n", "a\r\nX: y", "\x00", "é", "a" * 5000])
def test_what_would_break_a_header_is_not_sent(text):
    assert not sendable(text)


async def test_what_a_server_does_with_a_credential_does_not_show_it(provider):
    """Also not in what the library underneath raised, which holds all headers of a request."""
    client = JsonClient(source="x", base_url=provider.url)
    credential = Credential.token("s3cret", header="auth-token")
    for reply in (
        answer(b'{"error": {"code": "s3cret", "message": "s3cret"}}', status=400),
        answer(b'{"detail": "not s3cret"}', status=400),
        answer(status=302, headers=[("Location", "http://example.org/s3cret")]),
        b"s3cret\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: s3cret\r\n\r\n",
        answer(b'{"message": "not s3\\u0063ret"}', status=400),
        answer(status=302, headers=[("Location", "http://example.org/%733cret")]),
        answer(b"{}", headers=[("Content-Encoding", "s3cret")]),
        answer(b"{").replace(b"application/json", b"s3cret/s3cret"),
    ):
        provider.respond_to = lambda request, reply=reply: reply
        with pytest.raises(Exception, match="x: ") as caught:
            await client.get("/", credential=credential)
        assert "3cret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
    await client.aclose()


async def test_a_good_answer_that_repeats_the_credential_is_not_used(provider):
    """Its zone, its method, its warnings go into notes, errors and the API."""
    client = JsonClient(source="x", base_url=provider.url)
    credential = Credential.token("s3cret-token", header="auth-token")
    provider.respond_to = lambda request: answer(b'{"zone": "s3cret\\u002dtoken"}')
    with pytest.raises(PermanentSourceError, match="repeats the credential") as caught:
        await client.get("/", credential=credential)
    assert "s3cret" not in str(caught.value)
    provider.respond_to = lambda request: answer(b'{"zone": "DE"}')
    assert await client.get("/", credential=credential) == {"zone": "DE"}
    await client.aclose()


@pytest.mark.parametrize(
    ("text", "secret", "kept"),
    [
        ("https://example.org/", True, "https://example.org"),
        ("https://example.org/a/b/", False, "https://example.org/a/b"),
        ("http://example.org", False, "http://example.org"),
        ("http://127.0.0.1:8080", True, "http://127.0.0.1:8080"),
        ("http://127.8.8.8", True, "http://127.8.8.8"),
        ("http://[::1]:8080", True, "http://[::1]:8080"),
        ("http://localhost", True, "http://localhost"),
    ],
)
def test_addresses(text, secret, kept):
    assert base_url(text, secret=secret) == kept


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://example.org", "https"),
        ("http://localhost.example.org", "https"),
        ("http://127.0.0.1.example.org", "https"),
        ("http://10.0.0.1", "https"),
        ("http://[::2]", "https"),
        ("https://ada:hush@example.org", "user or password"),
        ("https://hush@example.org", "user or password"),
        ("https://example.org?key=hush", "query"),
        ("https://example.org#hush", "fragment"),
        ("ftp://hush", "URL"),
        ("hush", "URL"),
        ("https://", "URL"),
        ("https://[hush", "URL"),
        ("https://example.org:99999", "URL"),
    ],
)
def test_addresses_that_are_refused_are_not_repeated(text, words):
    with pytest.raises(ValueError, match=words) as caught:
        base_url(text, secret=True)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None
