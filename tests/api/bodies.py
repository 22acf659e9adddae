"""Bodies that mean something, and the same with one thing in them gone wrong."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

from hypothesis import strategies as st

from controlplane.views import iso

FLAVOURS = ("high", "mid", "low", "a.b-c", "x", "precision-30")
POLICIES = ("optimal", "carbon-blind", "always-best", "p100", "always-cheapest", "round-robin", "random")
POLICIES += ("credit-greedy", "forecast-aware", "forecast-aware-global")

percents = st.one_of(st.integers(0, 100), st.floats(0, 100), st.sampled_from([0, 1e-9, 50, 99.999999, 100]))
joules = st.one_of(st.integers(0, 1000), st.floats(0, 3.6e6), st.sampled_from([0, 5e-324, 3.6e6]))
durations = st.sampled_from(["1ms", "0.5s", "1s", "30s", "15m", "6h", "1d", "366d"])
reasons = st.text(max_size=40)
moments = st.one_of(
    st.integers(-200_000, 200_000).map(lambda ahead_s: iso(time.time() + ahead_s)),
    st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1970-01-01", "2026-02-29T00:00Z"]),
)
counts = st.one_of(st.integers(0, 10**12), st.floats(0, 1e12), st.just(0), st.just(5e-324))
names = st.sampled_from(FLAVOURS[:3])
named_counts = st.dictionaries(names, counts, max_size=3)
replicas = st.fixed_dictionaries({"least": st.integers(0, 5), "greatest": st.integers(5, 100_000)})
budgets = st.fixed_dictionaries(
    {"max_error_pct": percents},
    optional={
        "window": st.sampled_from(["1h", "1d", "7d", "31d", "month"]),
        "rolling": st.booleans(),
        "carry_over_pct": percents,
        "guard_pct": percents,
    },
)
blackouts = st.one_of(
    st.fixed_dictionaries({"daily_from": st.just("08:30"), "daily_to": st.sampled_from(["07:00", "24:00"])}),
    st.fixed_dictionaries({"start": moments, "end": moments}),
)
constraints = st.fixed_dictionaries(
    {},
    optional={
        "least_share_pct": st.dictionaries(names, st.integers(0, 40), max_size=2),
        "greatest_share_pct": st.dictionaries(names, st.integers(40, 100), max_size=2),
        "max_change_pct": percents,
        "min_precision_pct": percents,
        "blackouts": st.lists(blackouts, max_size=2),
    },
)


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    """A service over the API."""
    how_many = draw(st.integers(1, len(FLAVOURS)))
    precisions = draw(st.lists(percents, min_size=how_many, max_size=how_many, unique_by=lambda each: f"{each:g}"))
    optional = {
        "policy": st.sampled_from(POLICIES),
        "valid_for": durations,
        "timeout": durations,
        "hosts": st.just(["shop.example"]),
        "constraints": constraints,
        "processing": st.fixed_dictionaries({"replicas": st.dictionaries(names, replicas, max_size=2)}),
    }
    return {
        "budget": draw(budgets),
        "flavours": [
            {"name": name, "precision_pct": precision, "energy_j": draw(joules)}
            for name, precision in zip(FLAVOURS, precisions, strict=False)
        ],
        **draw(st.fixed_dictionaries({}, optional=optional)),
    }


@st.composite
def overrides(draw: st.DrawFn) -> dict[str, Any]:
    """Weights of 10,000 together."""
    first = draw(st.integers(0, 10_000))
    second = draw(st.integers(0, 10_000 - first))
    weights = {"high": first, "mid": second, "low": 10_000 - first - second}
    return {"weights": weights, "duration": draw(durations), "reason": draw(reasons)}


pauses = st.fixed_dictionaries({}, optional={"duration": durations | st.none(), "reason": reasons})
feedbacks = st.fixed_dictionaries(
    {"sender": st.sampled_from(["gateway", "a:b/c"]), "sequence": st.integers(0, 2**53), "served": named_counts},
    optional={
        "since": moments,
        "until": moments,
        "failed": named_counts,
        "metered": st.dictionaries(names, st.fixed_dictionaries({"requests": counts, "joules": counts}), max_size=2),
    },
)
texts_or_numbers = st.one_of(st.floats(0, 1), st.floats(0, 1).map(str))
settings_of_reference = st.fixed_dictionaries(
    {},
    optional={
        "targetError": texts_or_numbers,
        "policy": st.sampled_from(POLICIES),
        "validFor": st.integers(1, 31_622_400),
        "throttleMin": texts_or_numbers,
        "creditMin": st.just("-1"),
        "carbonTarget": st.just("national"),
    },
)
precisions = st.one_of(st.floats(0, 1), st.integers(0, 100), st.floats(1, 100), st.sampled_from([1, 0.3, 30]))
configurations = st.fixed_dictionaries(
    {},
    optional={
        "scheduler": settings_of_reference,
        "components": st.dictionaries(
            st.sampled_from(["router", "consumer", "target", "other"]),
            st.fixed_dictionaries({"minReplicas": st.integers(0, 3), "maxReplicas": st.integers(1, 9)}),
        ),
        "flavours": st.lists(
            st.fixed_dictionaries({"precision": precisions}, optional={"carbonIntensity": st.floats(0, 1e6)}),
            max_size=5,
        ),
    },
)
manuals = st.fixed_dictionaries(
    {"flavourWeights": st.dictionaries(names, st.integers(0, 100) | st.floats(0, 1e9), min_size=1)},
    optional={"validFor": st.integers(1, 3600), "validUntil": moments, "carbonForecastNow": st.integers(0, 500)},
)
counts_of_reference = st.fixed_dictionaries(
    {"flavour_counts": named_counts}, optional={"window_seconds": st.floats(0.001, 86_400)}
)

_WRONG = [None, True, "", [], {}, -1, 0, 2**63, 10**400, 1e308, -0.0, float("nan"), float("inf"), "1e999", "\ud800"]
_WRONG += ["x" * 10_000, "\x00", "NaN", "1" * 400, {"\ud800": 1}, [[[[[]]]]], "9" * 4000]


@st.composite
def gone_wrong(draw: st.DrawFn, bodies: st.SearchStrategy[Any]) -> Any:
    """A body in which one value, at any depth, has become another, or a key too many."""
    body = copy.deepcopy(draw(bodies))
    places = list(_places(body))
    if not places:
        return draw(st.sampled_from(_WRONG))
    holder, at = draw(st.sampled_from(places))
    wrong = draw(st.sampled_from(_WRONG))
    if isinstance(holder, dict) and draw(st.booleans()):
        holder[draw(st.sampled_from(["extra", "\ud800", "", "x" * 5000]))] = wrong
    else:
        holder[at] = wrong
    return body


def sent(body: Any) -> bytes:
    """As JSON, with what JSON does not have as Python would write it: NaN, Infinity; and no escape left out."""
    return json.dumps(body).encode("ascii")


def _places(value: Any) -> Any:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
