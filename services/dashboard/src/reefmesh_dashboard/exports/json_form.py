"""JSON as ERDDAP writes it: one table, or a line for each row."""

from collections.abc import Sequence
from typing import Final, Literal

from pydantic_core import to_json

from reefmesh_dashboard.exports.variable import Cell, CellRow, Kind, Variable, shown_cell

TYPES: Final[dict[Kind, str]] = {"text": "String", "number": "double", "integer": "int", "flag": "byte", "time": "String"}


class JsonForm:
    """A ``TextForm``: ``{"table": {"columnNames": .., "columnTypes": .., "columnUnits": .., "rows": [..]}}``."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        self._variables = variables
        self._is_first = True

    def head(self) -> str:
        names = to_json([variable.name for variable in self._variables]).decode()
        types = to_json([TYPES[variable.kind] for variable in self._variables]).decode()
        units = to_json([variable.units for variable in self._variables]).decode()
        return f'{{"table":{{"columnNames":{names},\n"columnTypes":{types},\n"columnUnits":{units},\n"rows":[\n'

    def page(self, rows: Sequence[CellRow]) -> str:
        before = "" if self._is_first else ",\n"
        self._is_first = False
        return before + ",\n".join(to_json(shown_row(self._variables, row)).decode() for row in rows)

    def tail(self) -> str:
        return "\n]}}\n"


class JsonLinesForm:
    """A ``TextForm``: each row a line of its own, an array or an object."""

    def __init__(self, variables: Sequence[Variable], *, line: Literal["array", "object"]) -> None:
        self._variables = variables
        self._line = line

    def head(self) -> str:
        return ""

    def page(self, rows: Sequence[CellRow]) -> str:
        shown = [shown_row(self._variables, row) for row in rows]
        if self._line == "array":
            return "".join(f"{to_json(row).decode()}\n" for row in shown)
        names = [variable.name for variable in self._variables]
        return "".join(f"{to_json(dict(zip(names, row, strict=True))).decode()}\n" for row in shown)

    def tail(self) -> str:
        return ""


def shown_row(variables: Sequence[Variable], row: CellRow) -> list[Cell]:
    return [shown_cell(variable, cell) for variable, cell in zip(variables, row, strict=True)]
