"""An engine that is killed at any moment, again and again, keeps every count and shows nobody an ended schedule.

benchmarks/kills.py does the same with more kills.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.day import BUDGETS, FLAVOURS, counts, sums
from tests.engine.kills import Outcome, killed_day
from tests.engine.uninterrupted import differences, uninterrupted_day

KILLS = 10


@pytest.fixture(scope="module")
async def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return await killed_day(tmp_path_factory.mktemp("killed"), kills=KILLS)
