"""Text in a limited room: cut at a word, never inside a character that a person sees as one."""

import unicodedata
from collections.abc import Sequence
from typing import Final

ELLIPSIS: Final = "\u2026"
_JOINERS: Final = frozenset("\u200c\u200d")


def cut(text: str, room: int) -> str:
    """Return the text in at most ``room`` characters; a cut one ends in an ellipsis."""
    if len(text) <= room:
        return text
    if room <= 1:
        return ELLIPSIS[:room]
    end = room - 1
    space = text.rfind(" ", 0, end + 1)
    if space > end // 2:
        end = space
    while end > 0 and _continues(text, end):
        end -= 1
    return text[:end].rstrip(" ,;:-(") + ELLIPSIS


def first_that_fits(texts: Sequence[str], room: int) -> str | None:
    return next((text for text in texts if len(text) <= room), None)


def _continues(text: str, at: int) -> bool:
    """Tell whether the character at a place belongs to the one before it."""
    here = text[at]
    return unicodedata.combining(here) > 0 or here in _JOINERS or text[at - 1] in _JOINERS or "\ufe00" <= here <= "\ufe0f"
