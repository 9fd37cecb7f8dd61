"""The front door of every decoder: bytes of any kind in; a JSON document, or a refusal, out. Bounded before it parses."""

import re
from typing import Any, Final

from pydantic_core import from_json

from reefmesh_ingest.domain.decode.refusals import Reason, Refusal

PAYLOAD_BYTES_LIMIT: Final = 256 * 1024
DEPTH_LIMIT: Final = 32

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


def open_text(payload: bytes, *, utf16: bool = False) -> bytes | Refusal:
    """Return the payload as UTF-8 JSON text that is safe to parse: bounded in size and depth. A byte-order mark is taken
    off; ``utf16`` allows UTF-16 with its mark."""
    if len(payload) > PAYLOAD_BYTES_LIMIT:
        return Refusal(reason=Reason.TOO_LARGE, detail=f"{len(payload)} bytes, the limit is {PAYLOAD_BYTES_LIMIT}")
    text = payload
    if text.startswith(_UTF16_MARKS):
        if not utf16:
            return Refusal(reason=Reason.NOT_TEXT, detail="UTF-16 is not allowed in this format, send UTF-8")
        try:
            text = text.decode("utf-16").encode("utf-8")
        except UnicodeError as error:
            return Refusal(reason=Reason.NOT_TEXT, detail=f"not valid UTF-16: {error}")
    elif text.startswith(_UTF8_MARK):
        text = text[len(_UTF8_MARK) :]
    if not text.strip():
        return Refusal(reason=Reason.EMPTY)
    if _is_deeper_than(text, DEPTH_LIMIT):
        return Refusal(reason=Reason.TOO_DEEP, detail=f"the limit is {DEPTH_LIMIT} levels")
    return text


def open_object(payload: bytes, *, utf16: bool = False) -> dict[str, Any] | Refusal:
    """Return the payload's JSON object. Numbers may still be NaN or infinite: whoever takes one out decides."""
    text = open_text(payload, utf16=utf16)
    if isinstance(text, Refusal):
        return text
    return parse_object(text)


def parse_object(text: bytes) -> dict[str, Any] | Refusal:
    """Parse bounded text; of a key that is repeated in one object the last value counts."""
    try:
        document = from_json(text, cache_strings="keys")
    except ValueError as error:
        try:
            text.decode("utf-8")
        except UnicodeDecodeError as broken:
            return Refusal(reason=Reason.NOT_TEXT, detail=f"not valid UTF-8 at byte {broken.start}")
        return Refusal(reason=Reason.NOT_JSON, detail=str(error))
    if not isinstance(document, dict):
        return Refusal(reason=Reason.WRONG_STRUCTURE, detail=f"a JSON object is expected, not {_kind(document)}")
    return document


def _is_deeper_than(text: bytes, limit: int) -> bool:
    """Tell whether brackets nest deeper than ``limit``, without parsing.

    Peeling ``{}`` and ``[]`` off the bare brackets takes one round a level and runs at C speed; only where brackets
    stand inside strings, or do not match, are they walked one by one.
    """
    brackets = text.translate(None, _NOT_BRACKETS)
    for _ in range(limit):
        if not brackets:
            return False
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
    if not brackets:
        return False
    depth = 0
    for bracket in _STRINGS.sub(b"", text).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > limit:
            return True
    return False


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"
