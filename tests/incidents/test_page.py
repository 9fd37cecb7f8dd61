"""The page of incidents has a line for every row, and nothing else."""

import pytest

from reefmesh_incidents.page import PAGE, lines_of, page_of
from reefmesh_incidents.rows import ROWS


def test_page_has_every_incident_and_nothing_that_no_test_wrote(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--write-incidents", default=False):
        pytest.skip("the page is written after the last test")
    page = PAGE.read_text(encoding="utf-8")
    lines = lines_of(page)
    assert sorted(ROWS) == sorted(lines)
    assert page_of(lines) == page
