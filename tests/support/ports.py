"""Ports that nobody else takes between choosing and using them."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

HOST = "127.0.0.1"


@contextmanager
def reserved_port(host: str = HOST) -> Iterator[int]:
    """A port for a server that binds with SO_REUSEPORT, as Envoy's listeners do.

    It stays bound, without listening, while the context lasts, so the kernel gives it to no other process; only a
    server of the same user that asks for SO_REUSEPORT can share it, and all connections are that server's.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((host, 0))
        yield holder.getsockname()[1]


def free_port(host: str = HOST) -> int:
    """A port that was free a moment ago: for servers that cannot share one. Prefer binding port 0."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
