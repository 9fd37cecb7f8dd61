"""Numbers as people and programs write them: with a decimal point or comma, and in many ways to say that there is none."""

import re
from pathlib import Path
from typing import Final

from reefmesh_ingest.domain.decode.values import MAGNITUDE_LIMIT
from reefmesh_standalone.records.mistake import mistake, shown

MISSING_WORDS: Final = frozenset({"", "nan", "na", "n/a", "#n/a", "null", "none", "missing", "-", "--"})
MISSING: Final = float("nan")

_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,40}(?:[.,]\d{0,40})?|[.,]\d{1,40})(?:[eE][+-]?\d{1,3})?")
_NINES_BELOW_ZERO: Final = re.compile(r"-99+(?:[.,][09]*)?")
_NINES: Final = re.compile(r"99+(?:[.,][09]*)?")


class Numbers:
    """Reads the numbers of one file. Whether it writes decimals with a point or a comma is what its first decimal has;
    another mark after that may separate thousands, and is refused."""

    def __init__(self, path: Path, *, missing_words: frozenset[str] = MISSING_WORDS, nines_are_missing: bool = False) -> None:
        """``nines_are_missing``: 99, 999.0, 9999 mean that there is no value, as in NDBC's files; -999 and -9999 always do."""
        self._path = path
        self._missing_words = missing_words
        self._nines_are_missing = nines_are_missing
        self._mark = ""
        self._mark_line = 0

    @property
    def decimal_mark(self) -> str:
        """The mark of the decimals seen so far, empty if none was."""
        return self._mark

    def read(self, text: str, *, column: str, line: int) -> float:
        """Return the number, NaN where the text says that there is none.

        Raises:
            ConfigurationError: it is neither; names the line.
        """
        try:
            number = float(text)  # nearly every cell
        except ValueError:
            number = MISSING
        if self._mark == "," or not -99.0 < number < 99.0 or "_" in text:  # also every NaN
            return self._read_slowly(text.strip(), column, line)
        if not self._mark and "." in text:
            self._mark, self._mark_line = ".", line
        return number

    def _read_slowly(self, text: str, column: str, line: int) -> float:
        if text.lower() in self._missing_words or _NINES_BELOW_ZERO.fullmatch(text):
            return MISSING
        if self._nines_are_missing and _NINES.fullmatch(text):
            return MISSING
        if not _NUMBER.fullmatch(text):
            raise mistake(self._path, f"{shown(column)} is {shown(text)}, which is no number", line=line)
        mark = "," if "," in text else "." if "." in text else ""
        if mark and self._mark and mark != self._mark:
            said = f"{shown(column)} is {shown(text)}, but line {self._mark_line} has decimals after '{self._mark}'"
            raise mistake(self._path, f"{said}; write numbers without marks for thousands", line=line)
        if mark and not self._mark:
            self._mark, self._mark_line = mark, line
        number = float(text.replace(",", "."))
        if not -MAGNITUDE_LIMIT <= number <= MAGNITUDE_LIMIT:
            raise mistake(self._path, f"{shown(column)} is {shown(text)}, which is no measurement", line=line)
        return number
