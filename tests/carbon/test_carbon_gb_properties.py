"""Whatever JSON comes, the parser raises CarbonSourceError or yields finite values from 0 on, on the grid."""

from datetime import UTC, datetime, timedelta
from itertools import chain

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from controlplane.carbon import CarbonSourceError
from controlplane.carbon.gb_answer import SLOT_S, parse_answer
from controlplane.carbon.grid import MAX_G_PER_KWH, Remarks, arrays, merge, within

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
values = json_values | st.integers(-10, 6000) | st.sampled_from(["NaN", "1", 10**400, -0.0])
moments = st.integers(-200, 200).map(
    lambda n: (datetime(2023, 1, 10, tzinfo=UTC) + timedelta(minutes=15 * n)).strftime("%Y-%m-%dT%H:%MZ")
)
times = moments | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat) | json_values
good_rows = st.integers(-96, 96).flatmap(
    lambda n: st.fixed_dictionaries(
        {
            "from": st.just((datetime(2023, 1, 10, tzinfo=UTC) + n * timedelta(minutes=30)).isoformat()),
            "to": st.just((datetime(2023, 1, 10, tzinfo=UTC) + (n + 1) * timedelta(minutes=30)).isoformat()),
            "intensity": st.fixed_dictionaries({"forecast": values, "actual": values}),
        }
    )
)
any_rows = good_rows | json_values | st.fixed_dictionaries({"from": times, "to": times, "intensity": json_values})
listed = st.lists(any_rows, max_size=12)
documents = st.one_of(
    json_values,
    listed.map(lambda rows: {"data": rows}),
    listed.map(lambda rows: {"data": {"data": rows}}),
    listed.map(lambda rows: {"data": [{"shortname": "x", "data": rows}]}),
    json_values.map(lambda error: {"error": error}),
)


@given(documents)
def test_arbitrary_answers(document):
    remarks = Remarks()
    try:
        rows = parse_answer(document, remarks=remarks)
    except CarbonSourceError:
        return
    assert all(start_s % SLOT_S == 0 for start_s in rows)
    centre_s = datetime(2023, 1, 10, tzinfo=UTC).timestamp()
    near = within(merge({}, rows), start_s=centre_s - 86_400, end_s=centre_s + 3 * 86_400)
    if not near:
        return
    start_s, forecast, actual = arrays(near, slot_s=SLOT_S, remarks=remarks)
    assert start_s == min(near)
    assert forecast.shape == actual.shape
    for value in chain(forecast, actual):
        assert np.isnan(value) or 0.0 <= value <= MAX_G_PER_KWH
    assert np.isfinite(forecast[0]) or np.isfinite(actual[0])


@given(st.lists(good_rows, max_size=12), st.randoms(use_true_random=False))
def test_rows_of_different_slots_may_come_in_any_order(rows, random):
    unique = list({row["from"]: row for row in rows}.values())
    shuffled = random.sample(unique, len(unique))
    first = parse_answer({"data": unique}, remarks=Remarks())
    second = parse_answer({"data": shuffled}, remarks=Remarks())
    assert {k: repr(v) for k, v in first.items()} == {k: repr(v) for k, v in second.items()}
