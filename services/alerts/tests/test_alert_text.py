"""No name turns, breaks or hides what stands around it in a mail's header, a log line or a terminal."""

import pytest

from reefmesh_alerts.domain.alert_text import plain

KINDS = {
    "bidirectional embeddings and overrides": "\u202a\u202b\u202c\u202d\u202e",
    "bidirectional isolates": "\u2066\u2067\u2068\u2069",
    "separators of lines and paragraphs": "\u2028\u2029",
    "line feeds": "\n\r\x0b\x0c\x85",
    "tabs": "\t",
    "escape sequences": "\x1b\x9b\x9d",
    "other control characters": "\x00\x07\x08\x7f\x80\x9f",
    "lone surrogates": "\ud800\udfff",
    "zero-width and other invisible ones": "\u200b\u200e\u200f\u2060\ufeff\u00ad\u061c\u180e\U000e0041",
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_character_of_the_kind_survives(kind: str) -> None:
    characters = KINDS[kind]
    assert plain("".join(f"a{each}" for each in characters) + "a") == " ".join("a" * (len(characters) + 1))
