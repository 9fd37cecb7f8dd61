"""No text of a device turns, breaks or hides what stands around it on a page, in a log or in a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    "zero-width and other invisible ones": "\u200b\u200e\u200f\u2060\ufeff\u00ad\u061c\u180e\U000e0041",
    "private use": "\ue000\U0010fffd",
    "joiners between letters that do not need them": "\u200c\u200d",
}

REFUSED = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
JOINED = (
    "\u0915\u094d\u200d\u0937",
    "\u0c95\u0ccd\u200c\u0cb7",
    "\u0645\u06cc\u200c\u062e",
    "\N{WOMAN}\u200d\N{MICROSCOPE}",
    "\N{WOMAN}\U0001f3fd\u200d\N{ROCKET}",
)
"""Devanagari, Kannada and Persian words, and two emoji, that are other ones without their joiner."""


@pytest.mark.parametrize("kind", KINDS)
def test_no_character_of_the_kind_survives(kind: str) -> None:
    assert clean_text("".join(f"a{character}b" for character in KINDS[kind]), 100) == "a\ufffdb" * len(KINDS[kind])


@pytest.mark.parametrize("text", ["Nördliche Wand", "礁石", "شعاب", "שונית", "reef \N{WHALE}", "a b", "Ta\u0301", *JOINED])
def test_words_of_any_script_stay(text: str) -> None:
    assert clean_text(text, 100) == text


def test_name_with_a_tab_is_not_the_name_with_a_space() -> None:
    assert clean_text("buoy\t1", 100) != clean_text("buoy 1", 100)


@pytest.mark.parametrize(
    "text",
    ["\u200dbuoy", "buoy\u200d", "1\u200d2", "\N{WHALE}\u200d", "\N{WHALE}\u200da", "\u0645\u200c1", "\u0645\u200d\u06cc"],
)
def test_joiner_that_joins_nothing_is_seen(text: str) -> None:
    assert clean_text(text, 100) == text.replace("\u200c", "\ufffd").replace("\u200d", "\ufffd")


@given(st.text())
def test_whatever_stays_can_be_seen(text: str) -> None:
    """For all texts: nothing of a refused category but a joiner survives, and cleaning twice changes nothing more."""
    cleaned = clean_text(text, 1000)
    assert not REFUSED & {unicodedata.category(each) for each in cleaned if each not in "\u200c\u200d"}
    assert clean_text(cleaned, 1000) == cleaned
