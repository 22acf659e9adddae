"""A number that grows: everybody who waits is woken, and who is slow sees the newest."""

from __future__ import annotations

import asyncio

from controlplane.pulse import Pulse
from tests.controlplane.fakes import settle


async def test_all_who_wait_are_woken_by_one_beat():
    pulse = Pulse()
    waiting = [asyncio.create_task(pulse.after(0)) for _ in range(3)]
    await settle()
    assert not any(task.done() for task in waiting)
    pulse.beat()
    assert await asyncio.gather(*waiting) == [1, 1, 1]


async def test_what_was_missed_is_told_at_once_and_as_one():
    pulse = Pulse()
    for _ in range(5):
        pulse.beat()
    assert await pulse.after(2) == 5


async def test_beats_in_one_breath_are_one_waking():
    pulse = Pulse()
    waiting = asyncio.create_task(pulse.after(0))
    await settle()
    pulse.beat()
    pulse.beat()
    assert await waiting == 2


async def test_who_gives_up_wakes_and_holds_up_nobody():
    pulse = Pulse()
    gone, here = asyncio.create_task(pulse.after(0)), asyncio.create_task(pulse.after(0))
    await settle()
    gone.cancel()
    await settle()
    pulse.beat()
    assert await here == 1
