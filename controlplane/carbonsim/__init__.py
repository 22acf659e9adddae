"""A carbon provider to try things on: recorded days and scenarios, at any speed, in the shapes of real providers.

It speaks as the GB Carbon Intensity API and as Electricity Maps v3, and fails as they might when it is told to.
"""

from controlplane.carbonsim.clock import AnchoredClock
from controlplane.carbonsim.faults import Fault, Kind
from controlplane.carbonsim.patterns import PATTERNS, Pattern, pattern_named, pattern_names, read_pattern
from controlplane.carbonsim.server import SimOptions, serving_sim
from controlplane.carbonsim.tape import SLOT_S, Tape, recorded

__all__ = [
    "PATTERNS",
    "SLOT_S",
    "AnchoredClock",
    "Fault",
    "Kind",
    "Pattern",
    "SimOptions",
    "Tape",
    "pattern_named",
    "pattern_names",
    "read_pattern",
    "recorded",
    "serving_sim",
]
