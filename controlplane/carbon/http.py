"""GET a JSON document from a provider that may answer with anything, of any size."""

import json
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

from controlplane.carbon.errors import CarbonSourceError, PermanentSourceError, TemporarySourceError

MAX_BODY_BYTES = 2_000_000
MAX_REDIRECTS = 3
MAX_RETRY_AFTER_S = 3600.0
DEFAULT_RETRY_AFTER_S = 60.0
_CHUNK_BYTES = 65_536
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TEMPORARY_4XX = frozenset({408, 425, 429})

# Compressed answers are not asked for, so that a small body cannot become a large one.
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "carbonrouter"}


class JsonClient:
    """GETs below one base URL, with a bounded body and a total time-out in real seconds.

    Raises:
        ValueError: `base_url` is no http(s) URL.
    """

    def __init__(self, *, source: str, base_url: str, timeout_s: float = 10.0) -> None:
        url = URL(base_url)
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError(f"{base_url!r} is no http(s) URL")
        self._base_url = base_url.rstrip("/")
        self._source = source
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str) -> object:
        """Return the decoded JSON under `path`, which starts with a slash.

        Raises:
            TemporarySourceError: network, time-out, 408, 425, 429, 5xx, an unfinished or non-JSON answer.
            PermanentSourceError: any other 4xx, a redirect to another host, a body that is too large.
        """
        url = URL(self._base_url + path)
        try:
            for _ in range(MAX_REDIRECTS + 1):
                async with self._opened().get(url, allow_redirects=False) as response:
                    if response.status not in _REDIRECTS:
                        return await self._document(response)
                    url = self._redirected(url, response.headers.get("Location", ""))
        except CarbonSourceError:
            raise
        except TimeoutError as error:
            raise self._temporary(f"no answer from {url.host} within {self._timeout.total:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._temporary(f"{url.host}: {type(error).__name__}: {printable(str(error))}") from error
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

    async def _document(self, response: aiohttp.ClientResponse) -> object:
        body = await self._body(response)
        if response.status != 200:
            raise self._refused(response, body)
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            raise self._temporary(f"answered with Content-Encoding {printable(encoding)}, not asked for")
        try:
            document: object = json.loads(body)
        except (ValueError, RecursionError) as error:
            kind = printable(response.headers.get("Content-Type", "no content type"))
            raise self._temporary(f"the answer ({kind}, {len(body)} bytes) is not JSON") from error
        return document

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise self._permanent(f"the answer is larger than {MAX_BODY_BYTES} bytes")
        return bytes(body)

    def _refused(self, response: aiohttp.ClientResponse, body: bytes) -> CarbonSourceError:
        message = f"HTTP {response.status}"
        reason = error_message(body)
        if reason:
            message = f"{message}: {reason}"
        if 400 <= response.status < 500 and response.status not in _TEMPORARY_4XX:
            return self._permanent(message)
        wait_s = retry_after_s(response.headers)
        if wait_s is None and response.status == 429:
            wait_s = DEFAULT_RETRY_AFTER_S
        return self._temporary(message, retry_after_s=wait_s)

    def _redirected(self, url: URL, location: str) -> URL:
        try:
            target = url.join(URL(location))
            followed = location != "" and target.origin() == url.origin()
        except ValueError:
            followed = False
        if not followed:
            raise self._permanent(f"redirected to {printable(location) or 'nowhere'}, which is not followed")
        return target

    def _temporary(self, message: str, *, retry_after_s: float | None = None) -> TemporarySourceError:
        return TemporarySourceError(message, source=self._source, retry_after_s=retry_after_s)

    def _permanent(self, message: str) -> PermanentSourceError:
        return PermanentSourceError(message, source=self._source)


def printable(text: str, *, limit: int = 200) -> str:
    """Return foreign text fit for one log line: bounded, control characters escaped."""
    return text[:limit].encode("unicode_escape").decode("ascii")


def error_message(body: bytes) -> str:
    """Return the words of an {"error": {"code", "message"}} envelope, or an empty string."""
    try:
        return envelope_message(json.loads(body))
    except (ValueError, RecursionError):
        return ""


def envelope_message(document: object) -> str:
    """Return "code: message" of an error envelope, or an empty string if it is none."""
    error = document.get("error") if isinstance(document, dict) else None
    if error is None:
        return ""
    if not isinstance(error, dict):
        return printable(str(error))
    return printable(f"{error.get('code', '')}: {error.get('message', '')}")


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
