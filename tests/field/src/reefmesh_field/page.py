"""``docs/field-records.md``: a line for each record, of which the tests measure the last cell."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from reefmesh_field.rows import ROWS, row

PAGE: Final = Path(__file__).parents[4] / "docs" / "field-records.md"
WRITTEN_BY: Final = "python -m pytest tests/field --write-page"
NOT_YET_RIGHT: Final = " (not yet right)"

_HEAD: Final = f"""# Records of the field

Records of the kind that buoys, loggers and stations at reefs really send, each made anew by a test in `tests/field`.
Every test brings its record into a mesh of its own as a user would, with `reefmesh import` or as messages of a device.
It compares what status, export, alerts, receipts and quarantine say of it with what is right.
The last column is measured by these tests; each fails when its line is not what it measured.
`{WRITTEN_BY}` writes the page.

Unless a line says otherwise the reef is at 8.33 S, 115.64 E, with an MMM of 29.0 °C.
The words are those of [scoring](scoring.md), [quality control](quality-control.md) and [alerts](alerts.md).

| # | record | right | before | now |
|---|---|---|---|---|
"""


def line_of(number: int, now: str) -> str:
    """Return one line of the table."""
    stated = row(number)
    cells = (str(number), stated.record, stated.right, stated.before, now)
    return f"| {' | '.join(' '.join(cell.split()).replace('|', '/') for cell in cells)} |"


def lines_of(page: str) -> dict[int, str]:
    """Return number -> line, of those that the page has."""
    return {int(found[1]): found[0] for found in re.finditer(r"^\| (\d+) \|.*\|$", page, re.MULTILINE)}


def page_of(lines: Mapping[int, str]) -> str:
    """Return the page with these lines."""
    return _HEAD + "\n".join(lines[number] for number in range(1, len(ROWS) + 1) if number in lines) + "\n"
