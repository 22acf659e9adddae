"""The same day for an engine that is left alone, and how far two sets of books are apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from controlplane.api import serve_api
from controlplane.config import load_config
from controlplane.config.file import EngineConfig
from controlplane.host import EngineHost, NoDataPlane
from tests.controlplane.fakes import ManualClock
from tests.engine.clients import Sender
from tests.engine.day import BUDGETS, IN_FILE, START_S, counts, terms
from tests.engine.kills import read_state
from tests.engine.process import EngineProcess

_SAME = 1e-6
"""Requests; sums of shares of whole numbers differ by the rounding of floats."""


async def uninterrupted_day(folder: Path) -> dict[str, dict[str, Any]]:
    """The states in the end, by service; on a clock that stands until the next count is due."""
    engine, clock = EngineProcess(folder, speed=1.0), ManualClock(START_S)
    engine.config.pop("rehearsal")
    engine.write()
    host = EngineHost(load_config(engine.file, EngineConfig), NoDataPlane(), clock=clock)
    async with host.running(), serve_api(host), aiohttp.ClientSession() as session:
        for service, budget in BUDGETS.items():
            if service != IN_FILE:
                host.put_service(service, terms(budget))
        sender = Sender(session, engine.url, clock)
        for at_once in zip(*(counts(service) for service in BUDGETS), strict=True):
            clock.time_s = at_once[0].until_s
            host.engine.tick()
            await sender.run(at_once)
    return {service: read_state(engine.state_dir, service) for service in BUDGETS}


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    """What the books of one service do not agree on, in words; nothing if they are the same to the count."""
    numbers = [{name: number for name, (number, _) in each["senders"].items()} for each in (ours, theirs)]
    if numbers[0] != numbers[1]:
        yield f"senders: {numbers[0]} and {numbers[1]}"
    for title, read in (("ledger", _booked), ("slots", _by_slot), ("account", _accounted)):
        one, other = read(ours), read(theirs)
        # Slots are forgotten by the clock, which stands still in one of the two.
        places = one.keys() & other.keys() if title == "slots" else one.keys() | other.keys()
        for place in sorted(places, key=str):
            if abs(one.get(place, 0.0) - other.get(place, 0.0)) > _SAME:
                yield f"{title} {place}: {one.get(place)} and {other.get(place)}"


def error_requests(state: dict[str, Any]) -> float:
    """Error-requests in all books that are kept."""
    return float(sum(book["error_requests"] for book in state["controller"]["ledger"]["books"]))


def _booked(state: dict[str, Any]) -> dict[Any, float]:
    """Every sum of every window."""
    ledger = state["controller"]["ledger"]
    found = {"forgotten": ledger["forgotten_requests"]}
    for book in ledger["books"]:
        window = (book["start_s"], book["end_s"])
        found |= {(*window, name): book[name] for name in ("requests", "error_requests", "granted", "carried")}
        found |= {(*window, name): count for name, count in book["by_flavour"].items()}
    return found


def _by_slot(state: dict[str, Any]) -> dict[Any, float]:
    slots = state["account"].get("slots", {})
    return {(slot, name): count for slot, each in slots.items() for name, count in each.get("served", {}).items()}


def _accounted(state: dict[str, Any]) -> dict[Any, float]:
    """Everything that entered the account, by flavour, settled or not yet."""
    account = state["account"]
    found: Counter[Any] = Counter()
    settled = account.get("settled", {})
    found["requests_without_carbon"] += settled.get("requests_without_carbon", 0.0)
    pending = (each.get("requests", {}) for each in account.get("pending", {}).values())
    for amounts in (*settled.get("requests", {}).values(), *pending):
        found.update(amounts)
    return dict(found)
