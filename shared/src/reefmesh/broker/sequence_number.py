"""A number that orders messages, as a header states it."""

from typing import Final

DIGITS_LIMIT: Final = 19
"""Of a 64-bit number; Python raises an error for thousands of digits."""


def sequence_number(text: str | None) -> int | None:
    """Return the number; None where a sender wrote what is none."""
    return int(text) if text is not None and len(text) <= DIGITS_LIMIT and text.isascii() and text.isdigit() else None
