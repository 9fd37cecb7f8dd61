"""``docs/metrics.md`` says what the table says."""

from pathlib import Path

from reefmesh.observability import table
from reefmesh.observability.metrics_page import page

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_page_of_metrics_is_current() -> None:
    """After a change of the table: ``make docs``."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_page_has_a_line_for_every_row_with_its_unit_and_meaning() -> None:
    text = page()
    assert [] == [row.name for row in table.ROWS if f"| `{row.name}` | " not in text or row.help not in text]
