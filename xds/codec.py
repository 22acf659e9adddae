"""Serialising envoy-data-plane messages, at the price they should have.

`betterproto2.Message._validate` compiles a pydantic validator from the class's schema at every serialisation, and
serialising a message serialises, hence compiles for, every message inside it: 1.6 ms for a small route. The validator
depends on the class alone. This module keeps one per class (0.3 ms), by replacing that method where every generated
class inherits it: there is no narrower place, since nested messages are serialised by the library itself. Values are
validated exactly as before. `tests/xds/test_codec.py` fails once the library no longer needs this.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import betterproto2
from envoy_data_plane.google import protobuf
from pydantic_core import SchemaValidator


@cache
def _validator(message_class: type[betterproto2.Message]) -> SchemaValidator:
    return SchemaValidator(message_class.__pydantic_core_schema__)  # type: ignore[attr-defined]


def _validate(self: betterproto2.Message) -> None:
    fields: dict[str, Any] = self.__dict__.copy()
    del fields["_unknown_fields"]
    _validator(type(self)).validate_python(fields)


betterproto2.Message._validate = _validate  # type: ignore[method-assign]


def encode(message: betterproto2.Message) -> bytes:
    """The wire form of `message`.

    Raises:
        pydantic.ValidationError: a field holds a value its type does not allow.
    """
    return bytes(message)


def pack(message: betterproto2.Message) -> protobuf.Any:
    """`message` as an Any, the form in which Envoy takes extension configuration."""
    return protobuf.Any.pack(message)
