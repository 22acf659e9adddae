"""Recorded traces through the live controller, and what that would have emitted beside what was possible."""

from scheduler.replay.defer import PROCESSING, Deferral
from scheduler.replay.result import ReplayResult
from scheduler.replay.run import replay
from scheduler.replay.windows import WINDOWS, settings_for

__all__ = ["PROCESSING", "WINDOWS", "Deferral", "ReplayResult", "replay", "settings_for"]
