"""GET a JSON document from a provider that may answer with anything, of any size."""

import json
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

from controlplane.carbon.credentials import Credential
from controlplane.carbon.errors import CarbonSourceError, PermanentSourceError, TemporarySourceError
from controlplane.urls import base_url as checked_base_url

MAX_BODY_BYTES = 2_000_000
MAX_REDIRECTS = 3
MAX_RETRY_AFTER_S = 3600.0
DEFAULT_RETRY_AFTER_S = 60.0
_CHUNK_BYTES = 65_536
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TEMPORARY_4XX = frozenset({408, 425, 429})
_PERMANENT_5XX = frozenset({501, 505})  # what a server cannot do it will not do in a minute either

# Compressed answers are not asked for, so that a small body cannot become a large one.
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "carbonrouter"}


class JsonClient:
    """GETs below one base URL, with a bounded body and a total time-out in real seconds.

    With `secret`, credentials go there, which plain http may carry on this machine only.

    Raises:
        ValueError: `base_url` is no http(s) URL to use; see `controlplane.urls`.
    """

    def __init__(self, *, source: str, base_url: str, timeout_s: float = 10.0, secret: bool = False) -> None:
        self._base_url = checked_base_url(base_url, secret=secret)
        self._source = source
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def get(
        self, path: str, *, query: Mapping[str, str] | None = None, credential: Credential | None = None
    ) -> object:
        """Return the decoded JSON under `path`, which starts with a slash.

        No error, nor what it was raised from, holds the credential.

        Raises:
            TemporarySourceError: network, time-out, 408, 425, 429, 5xx but 501, an unfinished or non-JSON answer.
            PermanentSourceError: any other 4xx, 501, a redirect to another host, a body that is too large.
        """
        url = URL(self._base_url + path).with_query(query)
        if credential is None:
            return await self._followed(url, None)
        try:
            return await self._followed(url, credential)
        except CarbonSourceError as error:
            problem = error
        # Outside of the handler, or what aiohttp raised would hang on to it with all headers of the request.
        problem.__cause__ = problem.__context__ = problem.__traceback__ = None
        raise problem

    async def _followed(self, url: URL, credential: Credential | None) -> object:
        headers = {} if credential is None else {credential.header: credential.value}
        try:
            for _ in range(MAX_REDIRECTS + 1):
                async with self._opened().get(url, allow_redirects=False, headers=headers) as response:
                    if response.status not in _REDIRECTS:
                        return await self._document(response, credential)
                    url = self._redirected(url, response.headers.get("Location", ""), credential)
        except CarbonSourceError:
            raise
        except TimeoutError as error:
            raise self._temporary(f"no answer from {url.host} within {self._timeout.total:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            reason = printable(_hidden(str(error), credential))
            raise self._temporary(f"{url.host}: {type(error).__name__}: {reason}") from error
        raise self._permanent(f"more than {MAX_REDIRECTS} redirects")

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        # Made on first use: a session belongs to the running loop.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=_HEADERS,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    async def _document(self, response: aiohttp.ClientResponse, credential: Credential | None) -> object:
        body = await self._body(response)
        if response.status != 200:
            raise self._refused(response, error_message(body, credential=credential))
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            encoding = printable(_hidden(encoding, credential))
            raise self._temporary(f"answered with Content-Encoding {encoding}, not asked for")
        try:
            document: object = json.loads(body)
        except (ValueError, RecursionError) as error:
            kind = printable(_hidden(response.headers.get("Content-Type", "no content type"), credential))
            raise self._temporary(f"the answer ({kind}, {len(body)} bytes) is not JSON") from error
        if credential is not None and credential.told_in(json.dumps(document, ensure_ascii=False)):
            # Zones, methods and warnings of an answer go into notes, errors and the API.
            raise self._permanent("the answer repeats the credential it was asked with; it is not used")
        return document

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        if (response.content_length or 0) > MAX_BODY_BYTES:
            raise self._permanent(f"the answer is larger than {MAX_BODY_BYTES} bytes")
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise self._permanent(f"the answer is larger than {MAX_BODY_BYTES} bytes")
        return bytes(body)

    def _refused(self, response: aiohttp.ClientResponse, reason: str) -> CarbonSourceError:
        message = f"HTTP {response.status}"
        if reason:
            message = f"{message}: {reason}"
        refused = 400 <= response.status < 500 and response.status not in _TEMPORARY_4XX
        if refused or response.status in _PERMANENT_5XX:
            return PermanentSourceError(message, source=self._source, status=response.status)
        wait_s = retry_after_s(response.headers)
        if wait_s is None and response.status == 429:
            wait_s = DEFAULT_RETRY_AFTER_S
        return self._temporary(message, retry_after_s=wait_s)

    def _redirected(self, url: URL, location: str, credential: Credential | None) -> URL:
        try:
            target = url.join(URL(location))
            followed = location != "" and target.origin() == url.origin()
        except ValueError:
            followed = False
        if not followed:
            shown = printable(_hidden(location, credential)) or "nowhere"
            raise self._permanent(f"redirected to {shown}, which is not followed")
        return target

    def _temporary(self, message: str, *, retry_after_s: float | None = None) -> TemporarySourceError:
        return TemporarySourceError(message, source=self._source, retry_after_s=retry_after_s)

    def _permanent(self, message: str) -> PermanentSourceError:
        return PermanentSourceError(message, source=self._source)


def printable(text: str, *, limit: int = 200) -> str:
    """Return foreign text fit for one log line: bounded, control characters escaped."""
    return text[:limit].encode("unicode_escape").decode("ascii")


def error_message(body: bytes, *, credential: Credential | None = None) -> str:
    """Return what a refusal says of itself, without the credential it may repeat, or an empty string."""
    try:
        document = json.loads(body.decode())
        words = _enveloped(document) or _said(document)
    except (ValueError, RecursionError):
        return ""
    # Decoded, and not yet cut: in the body a secret may be written in many ways, and half of one is not recognised.
    return printable(_hidden(words, credential))


def _said(document: object) -> str:
    """The words in a problem's usual places: `detail` and `title` (RFC 9457), `message`."""
    said = document if isinstance(document, dict) else {}
    for name in ("detail", "message", "title"):
        if isinstance(text := said.get(name), str) and text:
            return text
    return ""


def _hidden(text: str, credential: Credential | None) -> str:
    return text if credential is None else credential.hide(text)


def envelope_message(document: object) -> str:
    """Return "code: message" of an error envelope, or an empty string if it is none; fit for a log line."""
    return printable(_enveloped(document))


def _enveloped(document: object) -> str:
    error = document.get("error") if isinstance(document, dict) else None
    if error is None:
        return ""
    if not isinstance(error, dict):
        return str(error)
    return f"{error.get('code', '')}: {error.get('message', '')}"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a Retry-After header asks for, within 0..3600, or None without a readable one.

    A date is taken relative to the answer's own Date header, so that no clock of ours matters.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), MAX_RETRY_AFTER_S)
    until, sent = _http_date(text), _http_date(headers.get("Date", ""))
    if until is None or sent is None:
        return None
    return min(max(0.0, (until - sent).total_seconds()), MAX_RETRY_AFTER_S)


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo is not None else None
