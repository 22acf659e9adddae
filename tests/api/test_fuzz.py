"""Thousands of requests made from the API's own description: every answer keeps to it, and none is a defect."""

from __future__ import annotations

import pytest

from tests.api.fuzzing import fuzz
from tests.api.processes import engine_process

# Nothing that is asked of these is answered 2xx unless it means something.
MEANT = {
    "PUT /api/v1/services/{namespace}/{service}",
    "PUT /api/v1/services/{namespace}/{service}/override",
    "PUT /api/v1/services/{namespace}/{service}/pause",
    "POST /api/v1/services/{namespace}/{service}/feedback",
    "PUT /config/{namespace}/{service}",
    "POST /schedule/{namespace}/{service}/manual",
    "POST /feedback/{namespace}/{service}",
}


@pytest.mark.timeout(300)
def test_whatever_is_sent_is_answered_as_described_and_never_a_5xx(tmp_path):
    with engine_process(tmp_path) as engine:
        fuzzed = fuzz(engine.url, examples=15)
        assert engine.stop() == 0
    assert fuzzed.wrong == {}
    assert fuzzed.by_class()["5xx"] == 0
    assert fuzzed.calls > 1_500
    assert {operation for operation in MEANT if not fuzzed.succeeded(operation)} == set()
    assert "Traceback" not in engine.log
