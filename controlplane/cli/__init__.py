"""The `carbonrouter` command."""

from controlplane.cli.app import main

__all__ = ["main"]
