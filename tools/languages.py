"""Writes the sentences of the pages into the catalogues of their languages, and says what is wrong with these.

What is missing is added with an empty translation, what no page says any more is taken out. ``--check`` writes nothing.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import Formatter
from typing import Final

import polib
from babel.messages.extract import extract_from_dir

DASHBOARD: Final = Path(__file__).parents[1] / "services" / "dashboard" / "src" / "reefmesh_dashboard"
CATALOGUES: Final = DASHBOARD / "pages" / "languages"
METHODS: Final = [("**.py", "python"), ("**.html", "jinja2.ext.babel_extract")]
KEYWORDS: Final[dict[str, None]] = dict.fromkeys(("_", "N_", "say", "safety"))


def sentences() -> dict[str, list[str]]:
    """Return every sentence of the pages, with the files that have it, in the order of these."""
    found: dict[str, list[str]] = {}
    for name, _, message, *_ in extract_from_dir(DASHBOARD / "pages", METHODS, keywords=KEYWORDS):
        found.setdefault(str(message), []).append(name)
    return {message: sorted(set(names)) for message, names in found.items()}


def mistakes(path: Path, wanted: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with a catalogue."""
    said = {entry.msgid: entry.msgstr for entry in polib.pofile(str(path)) if not entry.obsolete and not entry.fuzzy}
    for message in wanted:
        if not said.get(message):
            yield f"it has no translation of {message!r}"
        elif names_in(said[message]) != names_in(message):
            yield f"other {{names}} than in {message!r}"
    for message in said.keys() - set(wanted):
        yield f"no page says {message!r}"


def names_in(sentence: str) -> set[str]:
    """Return the names that stand in braces. Raises ValueError: a brace stands alone."""
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def renew(path: Path, wanted: dict[str, list[str]]) -> None:
    """Bring a catalogue's entries to those that are wanted; translations stay."""
    catalogue = polib.pofile(str(path), wrapwidth=120)
    said = {entry.msgid: entry.msgstr for entry in catalogue}
    catalogue.clear()
    for message, names in wanted.items():
        catalogue.append(polib.POEntry(msgid=message, msgstr=said.get(message, ""), occurrences=[(each, "") for each in names]))
    catalogue.save()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--catalogues", type=Path, default=CATALOGUES, help="the folder of the catalogues")
    given = parser.parse_args()
    wanted = sentences()
    found = []
    for path in sorted(given.catalogues.glob("*.po")):
        if not given.check:
            renew(path, wanted)
        found += [f"{path.name}: {mistake}\n" for mistake in mistakes(path, wanted)]
    sys.stderr.writelines(found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
