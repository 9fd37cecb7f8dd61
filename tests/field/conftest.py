"""What the tests of field records share: a home, and the page that their measurements write."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reefmesh_field.home import FieldHome
from reefmesh_field.page import NOT_YET_RIGHT, PAGE, WRITTEN_BY, line_of, lines_of, page_of

Said = Callable[[str], None]

MEASURED = pytest.StashKey[dict[int, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-page", action="store_true", help=f"write {PAGE.name} from what these tests measure")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--write-page", default=False) and config.getoption("numprocesses", default=None):
        raise pytest.UsageError("the page is written by one process: leave out -n")
    config.stash[MEASURED] = {}
    config.addinivalue_line("markers", "row(number): the record of docs/field-records.md that a test measures")


def pytest_sessionfinish(session: pytest.Session) -> None:
    measured = session.config.stash[MEASURED]
    if measured and session.config.getoption("--write-page", default=False):
        known = lines_of(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
        PAGE.write_text(page_of(known | measured), encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FieldHome:
    """An empty home; nothing of the caller's ``REEFMESH_`` environment reaches it."""
    for name in [name for name in os.environ if name.startswith("REEFMESH_")]:
        monkeypatch.delenv(name)
    return FieldHome(path=tmp_path / "home")


@pytest.fixture
def said(request: pytest.FixtureRequest) -> Iterator[Said]:
    """State in one sentence what the mesh says of the record of this test's ``row``; the page must say the same.

    A test that is expected to fail writes its line with a remark and is not compared: what it measures is not right yet.
    """
    number = request.node.get_closest_marker("row").args[0]
    awaited = request.node.get_closest_marker("xfail") is not None
    told: list[str] = []

    def say(sentence: str) -> None:
        assert not told, "one sentence a record"
        line = line_of(number, sentence + NOT_YET_RIGHT if awaited else sentence)
        told.append(line)
        request.config.stash[MEASURED][number] = line
        if not awaited and not request.config.getoption("--write-page", default=False):
            assert lines_of(PAGE.read_text(encoding="utf-8")).get(number) == line, f"write the page anew: {WRITTEN_BY}"

    yield say
    assert told, f"the test of row {number} states nothing"
