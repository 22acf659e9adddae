"""`make bench`: every benchmark, one after the other, or those named: `make bench ARGS="planner"`."""

from __future__ import annotations

import sys

from benchmarks import bench_planner, bench_services, bench_xds, engine, fuzz, kills, metrics, sources
from benchmarks.rows import show

ALL = {
    "engine": engine.rows,
    "fuzz": fuzz.rows,
    "kills": kills.rows,
    "metrics": metrics.rows,
    "planner": bench_planner.rows,
    "services": bench_services.rows,
    "sources": sources.rows,
    "xds": bench_xds.rows,
}


def main(names: list[str]) -> int:
    """Run the benchmarks of these names, or all; the exit code."""
    if unknown := [name for name in names if name not in ALL]:
        print(f"no benchmark named {', '.join(unknown)}; there are: {', '.join(ALL)}", file=sys.stderr)
        return 2
    for name in names or ALL:
        print(f"{name} (medians)")
        show(ALL[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
