"""A whole HTTP answer as a value, and how faithfully it is delivered."""

from __future__ import annotations

from dataclasses import dataclass

JSON = ("content-type", "application/json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent, and what becomes of it on the way.

    Attributes:
        delay_s: real seconds before anything is sent.
        filler_bytes: so many bytes are sent between `body` and its last two, in chunks and without a length.
        cut_at: the connection closes after so many bytes of the body, though the header announced all of them.
        reset: the connection is reset, and nothing is sent.
    """

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (JSON,)
    delay_s: float = 0.0
    filler_bytes: int = 0
    cut_at: int | None = None
    reset: bool = False
