"""Waiting for something that other tasks or processes bring about."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_S = 0.01


async def eventually(predicate: Callable[[], T | Awaitable[T]], *, timeout: float = 10.0) -> T:
    """Poll `predicate` until it returns something true, and return that.

    An exception from the predicate passes through, so that a broken predicate is not mistaken for a slow one.

    Raises:
        AssertionError: it did not become true within `timeout` seconds; the last value is in the message.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        value = predicate()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if loop.time() >= deadline:
            raise AssertionError(f"not true within {timeout:g} s, last value: {value!r}")
        await asyncio.sleep(_POLL_S)
