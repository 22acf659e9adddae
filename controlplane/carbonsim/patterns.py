"""Scenarios: patterns that are played from a moment on, one value a half-hour.

The nine of `PATTERNS` are those of the mock carbon API of belgio99/k8s-carbonrouter (Apache-2.0), made up by its
authors and measured on no grid. The mock plays them in slots of 15 s, whose times it prints to the minute, so that four
slots look like one; here a slot stays half an hour, as the provider has it, and time runs faster instead. The patterns
of `scheduler.scenarios` are played in the same way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from controlplane.carbonsim.tape import Tape
from scheduler.scenarios import scenario, scenario_names

CUSTOM = "custom"
MAX_VALUES = 10_000
MAX_G_PER_KWH = 5000.0
_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Values in g CO2e/kWh, one a half-hour; once over they begin again, or the last one is held.

    Raises:
        ValueError: there is no value, more than `MAX_VALUES`, or one is not within 0 to 5000 g/kWh.
    """

    name: str
    values: tuple[float, ...]
    repeat: bool = True
    title: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.values) <= MAX_VALUES:
            raise ValueError(f"a pattern has 1 to {MAX_VALUES} values, not {len(self.values)}")
        for value in self.values:
            if not (math.isfinite(value) and 0 <= value <= MAX_G_PER_KWH):
                raise ValueError(f"value {value:g} is not within 0..{MAX_G_PER_KWH:g} g/kWh")

    def tape(self, *, first_slot: int) -> Tape:
        """The pattern from `first_slot` on; a scenario is its own perfect forecast."""
        values = np.array(self.values, dtype=np.float64)
        return Tape(
            name=self.name,
            first_slot=first_slot,
            forecast=values,
            actual=values,
            repeat=self.repeat,
            pattern=True,
            title=self.title,
            description=self.description,
        )


def pattern_names() -> tuple[str, ...]:
    """Every scenario that has a name: the mock's, then `scheduler.scenarios`'."""
    return (*PATTERNS, *(name for name in scenario_names() if name not in PATTERNS))


def pattern_named(name: str) -> Pattern:
    """The scenario of that name; underscores stand for hyphens. Raises ValueError on an unknown one."""
    key = name.replace("_", "-")
    if key in PATTERNS:
        return PATTERNS[key]
    if key not in scenario_names():
        raise ValueError(f"no scenario is named {name[:64]!r}; there are {', '.join(pattern_names())}, {CUSTOM}")
    trace = scenario(key)
    return Pattern(name=key, values=tuple(trace.carbon_actual.tolist()), description=trace.origin)


def custom_pattern(values: Sequence[object], *, repeat: bool = True) -> Pattern:
    """A pattern of anybody's values. Raises ValueError if one is no number, and as `Pattern`."""
    if len(values) > MAX_VALUES:
        raise ValueError(f"a pattern has 1 to {MAX_VALUES} values, not {len(values)}")
    numbers = []
    for value in values:
        # Compared before it is converted: an integer may be too large for a float.
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_G_PER_KWH:
            raise ValueError(f"{str(value)[:60]} is no number within 0..{MAX_G_PER_KWH:g} g/kWh")
        numbers.append(float(value))
    return Pattern(name=CUSTOM, values=tuple(numbers), repeat=repeat)


def read_pattern(path: Path) -> Pattern:
    """A custom pattern from a JSON file: a list of numbers, or {"pattern": [...], "repeat": true}.

    Raises:
        ValueError: the file cannot be read, is larger than 1 MB, or holds something else.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(text) > _MAX_BYTES:
        raise ValueError(f"{path}: larger than {_MAX_BYTES} bytes")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    found = document if isinstance(document, dict) else {"pattern": document}
    values, repeat = found.get("pattern"), found.get("repeat", True)
    try:
        if isinstance(values, list) and isinstance(repeat, bool):
            return custom_pattern(values, repeat=repeat)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    raise ValueError(f'{path}: must be a list of numbers, or {{"pattern": [...], "repeat": true or false}}')


def _made(name: str, title: str, description: str, values: Sequence[float], *, repeat: bool = True) -> Pattern:
    return Pattern(name=name, values=tuple(map(float, values)), repeat=repeat, title=title, description=description)


_ALL = (
    _made("rising", "Morning", "Rises through the morning.", [120, 150, 180, 220, 280, 320, 350]),
    _made("peak", "Midday peak", "Stays high.", [300, 320, 330, 325, 320, 310, 305]),
    _made("falling", "Evening", "Falls through the evening.", [280, 250, 200, 150, 100, 80, 60]),
    _made("low", "Night", "Very clean.", [50, 45, 40, 38, 35, 33, 30]),
    _made("volatile", "Volatile", "Jumps with every slot.", [100, 300, 80, 350, 120, 280, 90, 320, 110]),
    _made("stable", "Stable", "Hardly moves.", [180, 185, 175, 190, 182, 188, 178]),
    _made(
        "extreme-peak",
        "Extreme peak",
        "One very high peak.",
        [150, 200, 350, 450, 500, 480, 420, 350, 280, 200],
        repeat=False,
    ),
    _made(
        "extreme-clean",
        "Extremely clean",
        "One very clean period.",
        [100, 80, 50, 30, 20, 15, 25, 40, 60],
        repeat=False,
    ),
    _made(
        "fast-test",
        "Fast test",
        "Clean, worse, better, and a sudden peak at the end.",
        [50, 55, 60, 80, 120, 160, 200, 250, 300, 350, 300, 270, 240, 200, 180, 150, 120, 90, 400, 450],
        repeat=False,
    ),
)
PATTERNS = {pattern.name: pattern for pattern in _ALL}
