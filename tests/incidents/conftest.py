"""What the tests of incidents share: the page that their measurements write."""

from collections.abc import Callable, Iterator

import pytest

from reefmesh_incidents.page import PAGE, line_of, lines_of, page_of

Measured = Callable[[str], None]

MEASURED = pytest.StashKey[dict[int, list[str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-incidents", action="store_true", help=f"write {PAGE.name} from what these tests measure")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--write-incidents", default=False) and config.getoption("numprocesses", default=None):
        raise pytest.UsageError("the page is written by one process: leave out -n")
    config.stash[MEASURED] = {}
    config.addinivalue_line("markers", "row(number): the line of docs/incidents.md that a test measures")


def pytest_sessionfinish(session: pytest.Session) -> None:
    measured = session.config.stash[MEASURED]
    if measured and session.config.getoption("--write-incidents", default=False):
        known = lines_of(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
        lines = {number: line_of(number, "; ".join(sentences)) for number, sentences in measured.items()}
        PAGE.write_text(page_of(known | lines), encoding="utf-8")


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Iterator[Measured]:
    """Add what was measured to the line of this test's ``row``: how long, and what health, live and doctor said.

    Several tests may belong to one row; their sentences follow one another in the order of the tests.
    """
    number = request.node.get_closest_marker("row").args[0]
    told: list[str] = []

    def say(sentence: str) -> None:
        told.append(sentence)

    yield say
    assert told, f"the test of row {number} states nothing"
    request.config.stash[MEASURED].setdefault(number, []).extend(told)
