"""Parquet: the columns with their units and names as metadata of fields, all else as metadata of the file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import parquet

from reefmesh_dashboard.exports.row_file import FileTooLarge
from reefmesh_dashboard.exports.variable import Attribute, CellRow, Kind, Variable

TYPES: Final[Mapping[Kind, pa.DataType]] = {
    "text": pa.string(),
    "number": pa.float64(),
    "integer": pa.int64(),
    "flag": pa.int8(),
    "time": pa.timestamp("ms", tz="UTC"),
}
GROUP_ROWS: Final = 20_000


class ParquetFile:
    """A file that rows are added to. Its calls block: they belong into a thread, one at a time."""

    def __init__(
        self, path: Path, variables: Sequence[Variable], attributes: Mapping[str, Attribute], *, bytes_limit: int
    ) -> None:
        self._path = path
        self._bytes_limit = bytes_limit
        self._schema = pa.schema([_field(variable) for variable in variables], metadata=_metadata(attributes))
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._waiting: list[CellRow] = []

    def add(self, rows: Sequence[CellRow]) -> None:
        """Raises FileTooLarge."""
        self._waiting += rows
        if len(self._waiting) >= GROUP_ROWS:
            self._write()

    def finish(self) -> None:
        """Write what waits, and the end of the file. Raises FileTooLarge."""
        self._write()
        self._writer.close()

    def close(self) -> None:
        """Leave the file as it is. Idempotent."""
        self._writer.close()

    def _write(self) -> None:
        if not self._waiting:
            return
        columns = zip(*self._waiting, strict=True)
        arrays = [pa.array(column, type=field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._waiting = []
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        if self._path.stat().st_size > self._bytes_limit:
            raise FileTooLarge(self._bytes_limit)


def _field(variable: Variable) -> pa.Field:
    about = {name: value for name, value in variable.about.items() if not name.startswith("_")}
    if variable.kind == "time":  # the column's type says it
        about = {name: value for name, value in about.items() if name not in ("units", "calendar", "time_origin")}
    return pa.field(variable.name, TYPES[variable.kind], metadata=_metadata(about))


def _metadata(attributes: Mapping[str, Attribute]) -> dict[str, str]:
    return {name: _text(value) for name, value in attributes.items()}


def _text(value: Attribute) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
