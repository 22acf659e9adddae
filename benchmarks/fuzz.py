"""Whatever the API's description allows, and what it does not, sent to a real engine.

python -m benchmarks fuzz

Every operation gets requests made from `/openapi.json`, valid and not, for a service there is and for others; bodies
that mean something, and the same with one thing gone wrong. Each answer is held against the description. The same
requests every time.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.rows import Row, show
from tests.api.fuzzing import fuzz
from tests.api.processes import engine_process

EXAMPLES = 100
NUMBER = 1


def rows() -> list[Row]:
    """Calls and their answers by class of status; then a row for each thing that was wrong."""
    with tempfile.TemporaryDirectory() as folder, engine_process(Path(folder)) as engine:
        began_s = time.monotonic()
        fuzzed = fuzz(engine.url, examples=EXAMPLES, number=NUMBER)
        seconds = time.monotonic() - began_s
    found = [Row("calls", fuzzed.calls, "", f"{len(fuzzed.operations)} operations, {seconds:.0f} s")]
    found += [Row(f"answered {status}", count, "") for status, count in fuzzed.by_class().items()]
    found.append(Row("answers that break the description", len(fuzzed.wrong), ""))
    return found + [Row(what, 1, "", " ".join(told.split())) for what, told in fuzzed.wrong.items()]


if __name__ == "__main__":
    show(rows())
