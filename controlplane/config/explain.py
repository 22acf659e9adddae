"""Mistakes in a configuration, in words for whoever made them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from pydantic import BaseModel, ValidationError

from controlplane.config.api import Api, Tls
from controlplane.config.carbon import SOURCES
from controlplane.config.fields import Section
from controlplane.config.gateway import Gateway
from controlplane.config.promise import Budget, Constraints, DailyBlackout, SpanBlackout
from controlplane.config.rehearsal import Rehearsal
from controlplane.config.service import AnyFlavour, AnyService, Demand, Processing

_MAX_SHOWN = 120


def explain(error: ValidationError, *, top: type[Section]) -> Iterator[str]:
    """One line a mistake: where it is, what stands there, and what would be right; `top` is what was validated."""
    for problem in error.errors(include_url=False):
        location = _location(problem["loc"])
        message = _MESSAGES.get(problem["type"]) or problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
        if problem["type"] == "extra_forbidden":
            yield f"{location}: unknown key{_suggestion(problem['loc'], top=top)}"
        elif problem["type"] == "missing":
            yield f"{location}: is missing"
        elif isinstance(problem["input"], dict | list | tuple | BaseModel):
            yield f"{location}: {message}"
        else:
            yield f"{location}: {_short(problem['input'])}: {message}"


_OTHERS = [name for name in SOURCES if name not in {"file", "gb"}]
_ONE_OF = f"file or gb, or {', '.join(_OTHERS[:-1])} or {_OTHERS[-1]}"

_MESSAGES = {
    "tuple_type": "must be a list",
    "model_type": "must be a mapping",
    "union_tag_not_found": f"must be a mapping with `source`: {_ONE_OF}",
    "union_tag_invalid": f"`source` must be {_ONE_OF}",
    "model_attributes_type": f"must be a mapping with `source`: {_ONE_OF}",
    "invalid_key": "must be text",
}


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print a number of more than 4,300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _location(parts: tuple[int | str, ...]) -> str:
    text = ""
    for place, (before, part) in enumerate(zip((None, *parts), parts, strict=False)):
        if isinstance(part, int) and text:
            text += f"[{part}]"
        # After a source's place pydantic names the branch of the union taken.
        elif before != "carbon" and not (parts[0] == "sources" and place == 2):
            text += f".{part}" if text else str(part)
    return text or "(top level)"


_SECTIONS: dict[str, type[Section]] = {
    "gateway": Gateway,
    "api": Api,
    "tls": Tls,
    "rehearsal": Rehearsal,
    "services": AnyService,
    "budget": Budget,
    "constraints": Constraints,
    "blackouts": DailyBlackout,
    "DailyBlackout": DailyBlackout,
    "SpanBlackout": SpanBlackout,
    "flavours": AnyFlavour,
    "demand": Demand,
    "processing": Processing,
    **SOURCES,
}


def _suggestion(location: tuple[int | str, ...], *, top: type[Section]) -> str:
    sections = [part for part in location[:-1] if isinstance(part, str)]
    known = (_SECTIONS.get(sections[-1], top) if sections else top).model_fields
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
