"""What becomes of everything a carbon provider may answer, and how often a healthy one is asked.

python -m benchmarks sources

Each case is one refresh of a feed over real sockets: the outcome, the requests sent, and when the next fetch is due.
An hour's requests are those of a simulated day of refreshes every minute.
"""

from __future__ import annotations

import asyncio
import logging

from benchmarks.rows import Row, show
from tests.carbon.cases import CASES, SUBJECTS, Case, Subject, credentials, no_forecast, run, simulated_day

UNNAMED = {"another unit or factor named", "another zone"}


def rows() -> list[Row]:
    """One row a case, with every source beside it; then the requests an hour of each source."""
    logging.disable(logging.CRITICAL)  # every refusal would be a warning among the figures
    try:
        with credentials():
            return asyncio.run(_rows())
    finally:
        logging.disable(logging.NOTSET)


async def _rows() -> list[Row]:
    found = [await _case(case) for case in CASES]
    found += [await _day(about) for about in SUBJECTS]
    found += [await _day(about, forecast=False) for about in SUBJECTS if about.names_zone and about.name != "watttime"]
    return found


async def _case(case: Case) -> Row:
    results = [(about, await run(about, case)) for about in SUBJECTS]
    cells = []
    for about, result in results:
        outcome = result.outcome if result.outcome == case.expected(about.name) else f"{result.outcome} (!)"
        if case.name in UNNAMED and outcome == "kept":
            outcome = "names none"
        cells.append(f"{about.name} {outcome} {result.asked}, {result.again_s:.0f} s")
    return Row(case.name, sum(result.asked for _, result in results), "req", "; ".join(cells))


async def _day(about: Subject, *, forecast: bool = True) -> Row:
    day = await simulated_day(about) if forecast else await simulated_day(about, refused=no_forecast)
    covered = sum(state == "fresh" for state in day.states) / len(day.states)
    note = f"busiest hour {day.in_the_busiest_hour}; a value for now in {covered:.1%} of the day"
    return Row(f"an hour of {about.name}{'' if forecast else ', no forecast'}", day.an_hour, "req", note)


if __name__ == "__main__":
    show(rows())
