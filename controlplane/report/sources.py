"""Where the carbon figures of a report come from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceNote:
    """What a reader must know of one series, in words; empty where it is not known.

    `kind` is the kind of carbon data (average or marginal, direct or life-cycle, region), `origin` and `licence`
    say whose it is, `lead` how far ahead its forecast was made, `notes` the rest: bridged cells, synthetic requests.
    """

    name: str
    kind: str = ""
    origin: str = ""
    licence: str = ""
    lead: str = ""
    notes: tuple[str, ...] = ()
