"""The languages of the pages: English in the code, the others as gettext catalogues beside this module."""

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

import polib

ENGLISH: Final = "en"
FOLDER: Final = "pages/languages"
_OLD_CODES: Final = {"in": "id"}
"""What some phones still call Indonesian."""


class Language:
    """One language. ``reviewed``: somebody who speaks it has read the catalogue. Until then words of safety stand in English
    beside it. A sentence that a catalogue lacks is English."""

    def __init__(self, code: str, name: str, *, sentences: Mapping[str, str], reviewed: bool) -> None:
        self.code = code
        self.name = name
        self.reviewed = reviewed
        self._sentences = sentences

    def say(self, text: str, /, **facts: Any) -> str:
        """Return a sentence, with ``facts`` in the places of its ``{names}``."""
        said = self._sentences.get(text, text)
        return said.format(**facts) if facts else said

    def safety(self, text: str, /, **facts: Any) -> str:
        """Return a sentence on which somebody's safety may hang."""
        said = self.say(text, **facts)
        if self.reviewed or text not in self._sentences:
            return said
        return f"{said} ({text.format(**facts) if facts else text})"


Languages = Mapping[str, Language]
"""By code, English first."""


def read_languages() -> Languages:
    """Return English, and a language for each catalogue of the package.

    A catalogue whose header is marked fuzzy, which is gettext's word for unchecked, was not reviewed by a speaker.
    """
    found = {ENGLISH: Language(ENGLISH, "English", sentences={}, reviewed=True)}
    folder = resources.files("reefmesh_dashboard").joinpath(FOLDER)
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if file.name.endswith(".po"):
            language = read_catalogue(file.name.removesuffix(".po"), file.read_text(encoding="utf-8"))
            found[language.code] = language
    return found


def read_catalogue(code: str, text: str) -> Language:
    """Return the language of a gettext catalogue. Raises OSError: it is none."""
    catalogue = polib.pofile(text)
    sentences = {entry.msgid: entry.msgstr for entry in catalogue if entry.msgstr and not entry.obsolete and not entry.fuzzy}
    name = catalogue.metadata["Language-Name"]
    return Language(code, name, sentences=sentences, reviewed=not catalogue.metadata_is_fuzzy)


def preferred(accepted: str, known: Sequence[str]) -> str:
    """Return which of the ``known`` languages a header ``Accept-Language`` likes best; English, if it names none of them."""
    best, most = ENGLISH, 0.0
    for each in accepted.split(","):
        tag, _, quality = each.partition(";")
        code = tag.strip().lower().partition("-")[0]
        code = _OLD_CODES.get(code, code)
        liked = _quality(quality)
        if code in known and liked > most:
            best, most = code, liked
    return best


def _quality(text: str) -> float:
    """Return what ``q=0.8`` says; without it 1, and 0 for what cannot be read."""
    name, _, value = text.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0
