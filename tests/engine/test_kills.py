"""An engine that is killed at any moment, again and again, keeps every count and shows nobody an ended schedule.

`python -m benchmarks kills` does the same with more kills.
"""

from __future__ import annotations

import pytest

from tests.engine.day import BUDGETS, IN_FILE, counts, sums
from tests.engine.kills import killed_day
from tests.engine.uninterrupted import differences, uninterrupted_day
from tests.support.dirs import short_directory

_KILLS = 10


async def test_a_day_with_an_engine_that_is_killed_ten_times_is_booked_as_if_it_had_not_been() -> None:
    with short_directory() as alone, short_directory() as killed:
        undisturbed = await uninterrupted_day(alone)
        outcome = await killed_day(killed, kills=_KILLS)

    assert outcome.killed.total() == _KILLS, outcome.killed
    assert outcome.told == sum(len(list(counts(service))) for service in BUDGETS)
    assert outcome.posts > outcome.told, "nobody was refused, so nothing was sent again"
    for service, state in undisturbed.items():
        assert list(differences(outcome.states[service], state)) == []

    # The day and the week in which midnight falls, counted without any engine.
    for service, length_s in ((IN_FILE, 86_400.0), ("default/week", 7 * 86_400.0)):
        books = outcome.states[service]["controller"]["ledger"]["books"]
        counted = sums(service, length_s=length_s)
        assert len(counted) == len(books) == 2
        for book in books:
            assert book["by_flavour"] == pytest.approx(counted[book["start_s"]])

    schedules = outcome.schedules
    assert schedules.polled > 20, "nobody was there to be asked"
    assert schedules.unanswered > 0
    assert schedules.wrong == []
    assert schedules.backwards == [], "the clock went back over a restart"
    assert set(schedules.statuses) == {200}
    assert outcome.configured == outcome.made
    assert outcome.unusable == []
    assert outcome.left == 0
    assert "Traceback" not in outcome.log
