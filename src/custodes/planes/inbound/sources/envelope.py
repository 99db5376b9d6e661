"""The few fields of a signed JSON body that a source needs, read without building the rest."""

from __future__ import annotations

from typing import TypeVar

import msgspec

_T = TypeVar("_T")


def read_fields(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T | None:
    """Read the fields that the decoder's type names; ``None`` when the body is not JSON or they are of other types.

    The rest of the body is skipped over, so this is fast and takes no memory; its depth is bounded by the stack.
    """
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
