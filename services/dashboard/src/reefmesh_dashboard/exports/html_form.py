"""A table in HTML, for a look: it ends after so many rows, and says so."""

from collections.abc import Sequence
from html import escape
from typing import Final

from reefmesh_dashboard.exports.json_form import shown_row
from reefmesh_dashboard.exports.variable import CellRow, Variable

ROWS_SHOWN: Final = 1000


class HtmlForm:
    """A ``TextForm``. Whoever writes it may stop when ``is_full``."""

    def __init__(self, variables: Sequence[Variable], *, title: str, notes: Sequence[str]) -> None:
        self._variables = variables
        self._title = title
        self._notes = notes
        self._left = ROWS_SHOWN
        self.is_full = False

    def head(self) -> str:
        names = "".join(f"<th>{escape(variable.name)}</th>" for variable in self._variables)
        units = "".join(f"<th>{escape(variable.units or '')}</th>" for variable in self._variables)
        title = escape(self._title)
        notes = "".join(f"<p>{escape(note)}</p>\n" for note in self._notes)
        return (
            f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title></head>\n<body>\n'
            f"<h1>{title}</h1>\n{notes}<table>\n<thead>\n<tr>{names}</tr>\n<tr>{units}</tr>\n</thead>\n<tbody>\n"
        )

    def page(self, rows: Sequence[CellRow]) -> str:
        shown = rows[: self._left]
        self._left -= len(shown)
        self.is_full = len(shown) < len(rows)
        lines = ("".join(f"<td>{_cell(cell)}</td>" for cell in shown_row(self._variables, row)) for row in shown)
        return "".join(f"<tr>{line}</tr>\n" for line in lines)

    def tail(self) -> str:
        cut = f"<p>The table ends here, after {ROWS_SHOWN} rows. Files have all.</p>\n" if self.is_full else ""
        return f"</tbody>\n</table>\n{cut}</body>\n</html>\n"


def _cell(cell: object) -> str:
    return "" if cell is None else escape(str(cell))
