"""Small tables that are about the datasets: lists of them, their metadata."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from reefmesh_dashboard.erddap.failure import listed, not_found
from reefmesh_dashboard.exports.csv_form import CsvForm
from reefmesh_dashboard.exports.json_form import JsonForm
from reefmesh_dashboard.exports.variable import CellRow, Variable

SUFFIXES: Final = (".csv", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainTable:
    """All of its columns are texts."""

    columns: Sequence[str]
    rows: Sequence[CellRow]


def table_answer(table: PlainTable, suffix: str) -> Response:
    """Return the table as CSV or JSON. Raises ErddapFailure: it is asked for as anything else."""
    variables = [Variable(name=name, kind="text", read=lambda _: None) for name in table.columns]
    if suffix == ".csv":
        form = CsvForm(variables, header="one line")
        return Response(form.head() + form.page(table.rows), media_type="text/csv")
    if suffix == ".json":
        json = JsonForm(variables)
        return Response(json.head() + json.page(table.rows) + json.tail(), media_type="application/json")
    raise not_found(f"fileType={suffix} is not made of this table. Allowed: {listed(SUFFIXES)}.")
