"""The work: what a flavour reads, what it is wrong by, and what counts as a list of numbers."""

import json
import random

import pytest

from carbonstat import work
from carbonstat.work import Flavour


@pytest.fixture(scope="module")
def numbers() -> list[float]:
    return work.seeded_numbers(
        count=work.DEFAULT_COUNT,
        seed=work.DEFAULT_SEED,
        alpha=work.DEFAULT_ALPHA,
    )


@pytest.mark.parametrize(
    ("flavour", "precision", "elements"),
    [(Flavour.HIGH, 1.0, 1_000_000), (Flavour.MID, 0.955, 500_000), (Flavour.LOW, 0.873, 250_000)],
)
def test_a_cheaper_flavour_reads_less_and_is_really_wrong(
    numbers: list[float], flavour: Flavour, precision: float, elements: int
) -> None:
    assert work.measured_precision(numbers, stride=flavour.stride) == pytest.approx(precision, abs=0.001)
    assert work.sample(numbers, stride=flavour.stride).elements == elements


def test_the_seed_fixes_the_numbers() -> None:
    first = work.seeded_numbers(count=10, seed=7, alpha=1.5)
    assert first == work.seeded_numbers(count=10, seed=7, alpha=1.5)
    assert first != work.seeded_numbers(count=10, seed=8, alpha=1.5)
    assert len(first) == 10
    assert min(first) >= 1.0


def test_the_layout_in_memory_does_not_change_the_numbers() -> None:
    source = random.Random(7)
    assert work.seeded_numbers(count=11, seed=7, alpha=1.5) == [source.paretovariate(1.5) for _ in range(11)]


@pytest.mark.parametrize(("stride", "mean", "elements"), [(1, 3.0, 5), (2, 3.0, 3), (4, 3.0, 2), (8, 1.0, 1)])
def test_stride(stride: int, mean: float, elements: int) -> None:
    sample = work.sample([1.0, 2.0, 3.0, 4.0, 5.0], stride=stride)
    assert (sample.mean, sample.elements) == (mean, elements)
    assert sample.cpu_s >= 0.0


def test_precision_never_falls_below_zero() -> None:
    assert work.measured_precision([1000.0, 1.0, 1.0, 1.0], stride=4) == 0.0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"numbers":[' + b"9" * 5000 + b"]}", "not JSON"),
        (b"[1, 2]", "list"),
        (b"{}", "list"),
        (b'{"numbers": 3}', "list"),
        (b'{"numbers": null}', "list"),
        (b'{"numbers": []}', "empty"),
        (b'{"numbers": [1, "2"]}', "numbers only"),
        (b'{"numbers": [true]}', "numbers only"),
        (b'{"numbers": [null]}', "numbers only"),
        (b'{"numbers": [NaN]}', "finite"),
        (b'{"numbers": [1e999]}', "finite"),
        (b'{"numbers": [' + b"9" * 400 + b"]}", "too large"),
        (b'{"numbers": [1e308, 1e308]}', "finite mean"),
    ],
)
def test_what_is_no_list_of_numbers(body: bytes, words: str) -> None:
    with pytest.raises(work.InvalidNumbersError, match=words):
        work.sample_body(body, stride=1)


def test_a_body_of_numbers() -> None:
    body = json.dumps({"numbers": [1, 2.5, -3]}).encode()
    assert work.parse_numbers(body) == [1.0, 2.5, -3.0]
    assert work.sample_body(body, stride=2).mean == -1.0
