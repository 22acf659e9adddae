"""The `carbonrouter` command."""

import sys


def main() -> None:
    """Run the command; Ctrl-C ends it in a line's time, also while it is still being loaded."""
    try:
        from controlplane.cli.app import run  # noqa: PLC0415 - it takes a second, in which people press Ctrl-C

        run()
    except KeyboardInterrupt:
        sys.exit(130)


__all__ = ["main"]
