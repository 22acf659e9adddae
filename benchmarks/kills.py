"""What a day of counts costs when the engine is killed 50 times while it goes on.

python -m benchmarks kills

A real `carbonrouter engine` gets a recorded day's counts over its API and is killed with SIGKILL at random moments:
at any time, while it saves, while it starts, during a PUT and during a reload of its file. Beside it stands an engine
that got the same counts and was left alone.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.rows import Row, show
from tests.engine.day import counts
from tests.engine.kills import Outcome, killed_day
from tests.engine.uninterrupted import differences, error_requests, uninterrupted_day

KILLS = 50


def rows() -> list[Row]:
    """What was counted beside what was sent, what schedules said meanwhile, and how fast a process was back."""
    with tempfile.TemporaryDirectory(prefix="cr-") as alone, tempfile.TemporaryDirectory(prefix="cr-") as killed:
        return asyncio.run(_rows(Path(alone), Path(killed)))


async def _rows(alone: Path, killed: Path) -> list[Row]:
    undisturbed = await uninterrupted_day(alone)
    return _table(await killed_day(killed, kills=KILLS), undisturbed)


def _table(outcome: Outcome, undisturbed: dict[str, dict[str, Any]]) -> list[Row]:
    states, schedules = outcome.states, outcome.schedules
    sent = sum(sum(each.served.values()) for service in states for each in counts(service))
    booked = sum(_requests(state) for state in states.values())
    apart = [line for service in states for line in differences(states[service], undisturbed[service])]
    erred = sum(abs(error_requests(states[each]) - error_requests(undisturbed[each])) for each in states)
    lost = sum(outcome.configured.get(service) != wanted for service, wanted in outcome.made.items())
    return [
        Row("kills", outcome.killed.total(), "", ", ".join(f"{n} {kind}" for kind, n in outcome.killed.items())),
        Row("counts told", outcome.told, "", f"{outcome.posts} sent; {outcome.known} were in the books already"),
        Row("requests told", sent, ""),
        Row("requests counted, apart from those told", abs(round(booked - sent, 6)), ""),
        Row("error-requests, apart from those of an engine left alone", round(erred, 6), ""),
        Row("sums in which the two differ", len(apart), "", "; ".join(apart[:3])),
        Row("schedules seen", schedules.polled, "", f"{schedules.unanswered} times nobody answered"),
        Row("schedules without weights", schedules.without, "", "ended, and said so"),
        Row("schedules past their end, or no split", len(schedules.wrong), ""),
        Row("services made over the API", len(outcome.made), "", f"{lost} lost or other than acknowledged"),
        Row("unusable state files", len(outcome.unusable), ""),
        Row("half-written files", outcome.unfinished, "", f"at most, after a kill; {outcome.left} in the end"),
        Row("start of a process to its first answer, median", statistics.median(outcome.started), "s"),
        Row("start of a process to its first answer, longest", max(outcome.started), "s"),
        Row("seconds altogether", outcome.seconds, "s"),
    ]


def _requests(state: dict[str, Any]) -> float:
    ledger = state["controller"]["ledger"]
    return float(sum(book["requests"] for book in ledger["books"]) + ledger["forgotten_requests"])


if __name__ == "__main__":
    show(rows())
