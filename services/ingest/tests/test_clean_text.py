"""No text of a device turns, breaks or hides what stands around it on a page, in a log or in a terminal."""

import pytest

from reefmesh_ingest.domain.decode.values import clean_text

KINDS = {
    "bidirectional embeddings and overrides": "\u202a\u202b\u202c\u202d\u202e",
    "bidirectional isolates": "\u2066\u2067\u2068\u2069",
    "separators of lines and paragraphs": "\u2028\u2029",
    "line feeds": "\n\r\x0b\x0c\x85",
    "tabs": "\t",
    "escape sequences": "\x1b\x9b\x9d",
    "other control characters": "\x00\x07\x08\x7f\x80\x9f",
    "lone surrogates": "\ud800\udfff",
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_character_of_the_kind_survives(kind: str) -> None:
    assert clean_text("".join(f"a{character}b" for character in KINDS[kind]), 100) == "a\ufffdb" * len(KINDS[kind])


@pytest.mark.parametrize("text", ["Nördliche Wand", "礁石", "شعاب", "שונית", "reef \N{WHALE}", "a b", "Ta\u0301"])
def test_words_of_any_script_stay(text: str) -> None:
    assert clean_text(text, 100) == text


def test_name_with_a_tab_is_not_the_name_with_a_space() -> None:
    assert clean_text("buoy\t1", 100) != clean_text("buoy 1", 100)
