"""Time that runs faster, as configured, for demonstrations and tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field
from yarl import URL

from controlplane.config.carbon import Carbon
from controlplane.config.fields import Number, Section
from controlplane.config.promise import Moment
from controlplane.urls import base_url


class Rehearsal(Section):
    """The control plane's time stood at `start` when the wall clock stood at `began`, and runs `speed` times as fast.

    Without `began` it begins when the process does; with it, a process that is started again goes on. Time that runs
    faster asks sources as much more often, so those it asks must be files, or providers on this machine.
    """

    start: Moment
    speed: Annotated[Number, Field(gt=0, le=3600)]
    began: Moment | None = None

    def hurried(self, sources: Mapping[str, Carbon]) -> Iterator[str]:
        """What is wrong with each source, by its place in the configuration, that may not be asked so often."""
        for place, section in sources.items():
            if self.speed > 1 and not _bears_it(section):
                yield (
                    f"rehearsal.speed: {self.speed:g} would ask the provider of {place} ({section.source}) that many "
                    "times as often as is polite: use a source `file`, a base_url on this machine (`carbonrouter "
                    "carbon-sim` serves one), or a speed of at most 1"
                )


def _bears_it(section: Carbon) -> bool:
    address: str | None = getattr(section, "base_url", None)
    if address is None:
        return True
    try:
        # Plain http is let through with a secret on this machine alone.
        base_url(str(URL(address).with_scheme("http")), secret=True)
    except ValueError:
        return False
    return True
