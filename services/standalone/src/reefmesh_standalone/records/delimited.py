"""Tables with a header that no known program wrote: every column is understood, or asked for."""

from reefmesh_standalone.records.columns import heading_of
from reefmesh_standalone.records.options import ReadingOptions
from reefmesh_standalone.records.record import FileRecord
from reefmesh_standalone.records.sheet import Sheet
from reefmesh_standalone.records.table import Layout, read_table
from reefmesh_standalone.records.text import Report, TextFile


def read(file: TextFile, sheet: Sheet, options: ReadingOptions, report: Report | None) -> FileRecord:
    """Read the whole table. Raises ConfigurationError, as ``read_table``."""
    layout = Layout(
        format="table with a header",
        headings=[heading_of(title) for title in sheet.titles],
        rows=sheet.rows(file, report=report),
        separator=sheet.separator_name,
        is_strict=True,
    )
    return read_table(file.path, layout, options, encoding=file.encoding_name, lines=file.lines)
