"""Recorded traces through the live controller, and what that would have emitted beside what was possible."""

from scheduler.replay.defer import PROCESSING, Deferral
from scheduler.replay.known import lead_of
from scheduler.replay.result import ReplayResult
from scheduler.replay.run import replay
from scheduler.replay.windows import WHOLE, fitted, settings_for

__all__ = ["PROCESSING", "WHOLE", "Deferral", "ReplayResult", "fitted", "lead_of", "replay", "settings_for"]
