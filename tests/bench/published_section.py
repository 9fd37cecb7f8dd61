"""A part of a page that a program writes, between two markers."""

from pathlib import Path


class MarkerMissing(Exception):
    """The page has no such part, or not both of its markers."""


def begin_of(name: str) -> str:
    return f"<!-- {name}: written by a program, from here -->"


def end_of(name: str) -> str:
    return f"<!-- {name}: to here -->"


def replaced(page: str, name: str, text: str) -> str:
    """Return the page with this text between the markers of that name.

    Raises:
        MarkerMissing: a marker is not there just once, or the end stands before the beginning.
    """
    begin, end = begin_of(name), end_of(name)
    if (page.count(begin), page.count(end)) != (1, 1) or page.index(end) < page.index(begin):
        raise MarkerMissing(f"no part {name!r}: the page needs {begin!r} and behind it {end!r}, each once")
    before, _, rest = page.partition(begin)
    _, _, behind = rest.partition(end)
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{behind}"


def publish(page: Path, name: str, text: str) -> None:
    """Raises MarkerMissing."""
    try:
        made = replaced(page.read_text(encoding="utf-8"), name, text)
    except MarkerMissing as missing:
        raise MarkerMissing(f"{page.name}: {missing}") from None
    page.write_text(made, encoding="utf-8")
