"""Whatever stands anywhere in an answer, there is a series of plausible values or an error of ours, never another."""

import asyncio
import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.carbon import CarbonSourceError
from controlplane.carbon.grid import MAX_G_PER_KWH
from controlplane.carbon.timeline import FUTURE_S, PAST_S
from tests.carbon.carbon_fakes import START_S, Request
from tests.carbon.cases import BEARER, SUBJECTS, credentials

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        [10**400, 1e-320, "lifecycle", "2023-01-10T12:00Z", "9999-12-31T23:59:59Z", 300, "00:05:00", {}, []]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(document, at=()):
    """Every path in a document, of lists only the first, a middle and the last element."""
    yield at
    if isinstance(document, dict):
        for key, value in document.items():
            yield from places(value, (*at, key))
    elif isinstance(document, list) and document:
        for index in {0, len(document) // 2, len(document) - 1}:
            yield from places(document[index], (*at, index))


def replaced(document, at, value):
    if not at:
        return value
    document = copy.deepcopy(document)
    inner = document
    for step in at[:-1]:
        inner = inner[step]
    inner[at[-1]] = value
    return document


class Answers:
    """In a client's place: the documents go through no socket, so that there can be many."""

    def __init__(self, about, change):
        self.about, self.change = about, change

    async def get(self, path, *, query=None, credential=None):
        if path == "/login":
            return {"token": BEARER}
        return self.change(path, self.about.document(Request(path, {}), self.about.told(START_S)))

    async def aclose(self):
        """Nothing to close."""


@pytest.mark.parametrize("about", SUBJECTS, ids=lambda each: each.name)
@settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(data=st.data())
def test_any_value_anywhere(about, data):
    source = about.make("http://127.0.0.1:1", 1.0)
    changed = data.draw(st.sampled_from(["all", "forecast", "hist", "bylocation", "latest", "24h", "48h", "co2eq"]))

    def change(path, document):
        if changed != "all" and changed not in path:
            return document
        at = data.draw(st.sampled_from(sorted(places(document), key=repr)))
        return replaced(document, at, data.draw(json_values))

    source._client = Answers(about, change)
    with credentials():
        try:
            series = asyncio.run(source.fetch(now_s=START_S))
        except CarbonSourceError:
            return
    values = np.concatenate((series.forecast_g_per_kwh, series.actual_g_per_kwh))
    known = values[np.isfinite(values)]
    assert known.size
    assert ((known >= 0) & (known <= MAX_G_PER_KWH)).all()
    assert series.end_s - series.start_s <= PAST_S + FUTURE_S + 2 * series.slot_s
    assert series.issued_at_s <= START_S
    assert all(isinstance(note, str) and len(note) < 500 for note in series.notes)
    assert 60 <= source.poll_s <= 3660
