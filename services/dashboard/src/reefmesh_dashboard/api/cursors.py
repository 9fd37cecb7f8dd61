"""Cursors: a place in a list as an opaque word in an address."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

CURSOR_LENGTH: Final = 500
CURSOR_ALLOWED: Final = "the value of `next` in an answer to the same question, unchanged"

Place = TypeVar("Place")


class WrongCursor(ValueError):
    """It is none of ours."""


def to_cursor(place: object) -> str:
    return urlsafe_b64encode(to_json(place)).decode().rstrip("=")


def from_cursor(cursor: str, kind: TypeAdapter[Place]) -> Place:
    """Return the place. Raises WrongCursor."""
    try:
        return kind.validate_json(urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (ValueError, ValidationError):  # binascii.Error and UnicodeEncodeError are ValueErrors, too
        raise WrongCursor from None
