"""Text of strangers on one line: each character that shows nothing, breaks the line, or turns the text around it is replaced.

Refused are the Unicode categories Cc (controls, line feeds and tabs included), Cf (formats: overrides of direction, zero-width
spaces, soft hyphens, tags), Zl and Zp (separators), Cs and Co (halves of pairs, private use). Two names that look alike are
then alike, or differ in a mark that a person sees.

The joiners U+200C and U+200D are of Cf, too, and stay where the word or picture would be another one without them: after a
virama (RFC 5892, appendices A.1 and A.2), U+200C between two Arabic letters, U+200D between the parts of an emoji.
"""

import unicodedata
from typing import Final

_REFUSED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_NON_JOINER: Final = "\u200c"
_JOINER: Final = "\u200d"
_VIRAMA: Final = 9
"""The canonical combining class of every virama."""
_EMOJI_MARKS: Final = frozenset("\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
"""What may stand between a picture and its joiner: the selector of the coloured form, and tones of skin."""


def visible(text: str, *, instead: str) -> str:
    """Return the text with ``instead`` in place of every character that may not stay."""
    if text.isprintable():  # costs nothing, and is so for nearly all: no character of a refused category is printable
        return text
    return "".join(each if _may_stay(text, place) else instead for place, each in enumerate(text))


def _may_stay(text: str, place: int) -> bool:
    return unicodedata.category(text[place]) not in _REFUSED or _joins(text, place)


def _joins(text: str, place: int) -> bool:
    if text[place] not in (_NON_JOINER, _JOINER) or place == 0:
        return False
    before, after = text[place - 1], text[place + 1 : place + 2]
    if unicodedata.combining(before) == _VIRAMA:
        return True
    if not after:
        return False
    if text[place] == _NON_JOINER:
        return unicodedata.bidirectional(before) == unicodedata.bidirectional(after) == "AL"
    return (unicodedata.category(before) == "So" or before in _EMOJI_MARKS) and unicodedata.category(after) == "So"
