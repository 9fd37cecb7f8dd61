"""CSV as ERDDAP writes it: names and units in two lines, in one, or in none; NaN for a missing number."""

import csv
from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from typing import Final, Literal

from reefmesh_dashboard.exports.variable import Cell, CellRow, Variable, instant_text

Header = Literal["two lines", "one line", "none"]
_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r")


class CsvForm:
    """A ``TextForm``."""

    def __init__(self, variables: Sequence[Variable], *, header: Header) -> None:
        self._variables = variables
        self._header = header
        self._writes = [_write_of(variable) for variable in variables]

    def head(self) -> str:
        match self._header:
            case "two lines":
                units = [variable.units or "" for variable in self._variables]
                return _lines([[variable.name for variable in self._variables], units])
            case "one line":
                return _lines([[_name_and_unit(variable) for variable in self._variables]])
            case "none":
                return ""

    def page(self, rows: Sequence[CellRow]) -> str:
        writes = self._writes
        return _lines([write(cell) for write, cell in zip(writes, row, strict=True)] for row in rows)

    def tail(self) -> str:
        return ""


def _lines(rows: Iterable[Sequence[str]]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _name_and_unit(variable: Variable) -> str:
    return variable.name if variable.units is None else f"{variable.name} ({variable.units})"


def _write_of(variable: Variable) -> Callable[[Cell], str]:
    if variable.is_text:
        return _text
    if variable.kind == "time":
        timespec = variable.timespec
        return lambda cell: instant_text(cell, timespec) if isinstance(cell, int) else ""
    return lambda cell: "NaN" if cell is None else repr(cell)


def _text(cell: Cell) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(_FORMULA_SIGNS) else text
