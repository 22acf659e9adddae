"""Time that runs faster, as configured, for demonstrations and tests."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from controlplane.config.fields import Number, Section
from controlplane.config.promise import Moment


class Rehearsal(Section):
    """The control plane's time stood at `start` when the wall clock stood at `began`, and runs `speed` times as fast.

    Without `began` it begins when the process does; with it, a process that is started again goes on.
    """

    start: Moment
    speed: Annotated[Number, Field(gt=0, le=3600)]
    began: Moment | None = None
