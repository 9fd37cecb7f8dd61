"""Tables of text with a header and a separator: where the header is, what separates the columns, and the lines below it."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from reefmesh_standalone.records.columns import DATE, TIME, heading_of, is_date, is_time, key_of
from reefmesh_standalone.records.mistake import mistake
from reefmesh_standalone.records.options import ReadingOptions
from reefmesh_standalone.records.table import Row
from reefmesh_standalone.records.text import Report, TextFile

SEPARATORS: Final = (",", ";", "\t", "|")
HEADER_LINES_LIMIT: Final = 60
"""Beyond so many lines at the beginning there is no header."""

SAMPLE_LINES: Final = 20

_NAMES: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """``titles`` are the cells of line ``header_line``; ``above`` are the lines before it; ``sample`` the first rows below."""

    separator: str
    header_line: int
    titles: Sequence[str]
    above: Sequence[str]
    sample: Sequence[Sequence[str]]

    @property
    def separator_name(self) -> str:
        return _NAMES[self.separator]

    def rows(self, file: TextFile, *, report: Report | None = None, skip: int = 0) -> Iterator[Row]:
        """Yield the lines below the header, without the first ``skip``."""
        above = self.header_line + skip
        reader = csv.reader(islice(file.read(report), above, None), delimiter=self.separator, strict=True)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise mistake(file.path, str(error), line=above + reader.line_num) from None
            yield above + reader.line_num, cells


def find_sheet(beginning: Sequence[str], options: ReadingOptions) -> Sheet | None:
    """Return the table whose header is the first line that names a time, by itself or by ``--column``; None without one.

    The separator is the one that gives the lines below as many cells as the header has.
    """
    times = {key_of(name) for name, use in options.columns.items() if use in (TIME, DATE)}
    for number, line in enumerate(beginning[:HEADER_LINES_LIMIT], start=1):
        below = [text for text in beginning[number : number + SAMPLE_LINES] if text.strip()]
        found: list[tuple[tuple[int, int], Sheet]] = []
        for separator in SEPARATORS:
            titles = [title.strip() for title in _cells(line, separator)]
            if len(titles) < 2 or not any(_names_a_time(title, times) for title in titles):
                continue
            sample = [_cells(text, separator) for text in below]
            fits = sum(len(cells) == len(titles) for cells in sample)
            sheet = Sheet(separator=separator, header_line=number, titles=titles, above=beginning[: number - 1], sample=sample)
            found.append(((fits, len(titles)), sheet))
        if found:
            return max(found, key=lambda each: each[0])[1]
    return None


def _names_a_time(title: str, named: set[str]) -> bool:
    heading = heading_of(title)
    return is_time(heading) or is_date(heading) or key_of(title) in named or heading.key in named


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []
