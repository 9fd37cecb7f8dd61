"""The page of field records is what its tests wrote."""

import pytest

from reefmesh_field.page import PAGE, lines_of, page_of
from reefmesh_field.rows import ROWS


def test_page_has_every_record_and_nothing_that_no_test_wrote(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--write-page", default=False):
        pytest.skip("the page is written after the last test")
    page = PAGE.read_text(encoding="utf-8")
    lines = lines_of(page)
    assert list(range(1, len(ROWS) + 1)) == sorted(lines)
    assert page_of(lines) == page
