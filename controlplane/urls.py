"""Addresses of providers, as configured."""

from __future__ import annotations

from ipaddress import ip_address

from yarl import URL


def base_url(text: str, *, secret: bool = False) -> str:
    """Return an http(s) address that paths can be put behind, without a slash at its end.

    With `secret`, something goes there that nobody on the way may read: plain http is then for this machine only.
    No message repeats the address, which may hold a password.

    Raises:
        ValueError: it is no such address, or names a user, a query or a fragment.
    """
    try:
        url = URL(text)
        host, port = url.host, url.explicit_port
    except ValueError:
        raise ValueError("must be an http(s) URL") from None
    if url.scheme not in {"http", "https"} or not host or port == 0:
        raise ValueError("must be an http(s) URL")
    if url.user is not None or url.password is not None:
        raise ValueError("must not hold a user or password")
    if url.query_string or url.fragment:
        raise ValueError("must not hold a query or fragment")
    if secret and url.scheme == "http" and not _is_here(host):
        raise ValueError("must begin with https://, for credentials are sent there")
    return text.rstrip("/")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
