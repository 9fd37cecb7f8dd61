"""``docs/incidents.md``: a line for each incident, of which the tests measure the last cell."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from reefmesh_incidents.rows import ROWS

PAGE: Final = Path(__file__).parents[4] / "docs" / "incidents.md"
WRITTEN_BY: Final = "make incidents ARGS=--write-incidents"

_HEAD: Final = f"""# Incidents of platforms

Bad days of an operator, each brought about for real by a test in `tests/incidents`: a pair of databases with a promotion,
PgBouncer, a purged queue, a changed password, a pipe that nobody reads.
The last column is what these tests measured: how long until work went on, and what health, live and doctor said.
`{WRITTEN_BY}` runs them all and writes the page.

What health means is in [architecture](architecture.md#health); what to do is in the [runbooks](runbooks/README.md).

| # | incident | right | before | now |
|---|---|---|---|---|
"""


def line_of(number: int, now: str) -> str:
    """Return one line of the table."""
    row = ROWS[number]
    cells = (str(number), row.incident, row.right, row.before, now)
    return f"| {' | '.join(' '.join(cell.split()).replace('|', '/') for cell in cells)} |"


def lines_of(page: str) -> dict[int, str]:
    """Return number -> line, of those that the page has."""
    return {int(found[1]): found[0] for found in re.finditer(r"^\| (\d+) \|.*\|$", page, re.MULTILINE)}


def page_of(lines: Mapping[int, str]) -> str:
    """Return the page with these lines."""
    return _HEAD + "\n".join(lines[number] for number in sorted(ROWS) if number in lines) + "\n"
