"""`python -m benchmarks.studies [NAME ...]`."""

from __future__ import annotations

import argparse

from rich.console import Console

from benchmarks.studies import deferral, estimators, policies, stress, weeks

STUDIES = {"policies": policies, "estimators": estimators, "weeks": weeks, "stress": stress, "deferral": deferral}


def main() -> None:
    """Run the studies named, all by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(STUDIES)}; default: all")
    names = parser.parse_args().names or list(STUDIES)
    for name in names:
        if name not in STUDIES:
            parser.error(f"there is no study {name!r}; there are {', '.join(STUDIES)}")
        STUDIES[name].main(Console(width=140))


if __name__ == "__main__":
    main()
