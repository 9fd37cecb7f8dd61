"""``reefmesh repair``: shows a reef's cursors, writes nothing unless told to, and mends a publisher that was restored."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from reefmesh.contracts.services import INGEST, SCORING
from reefmesh.store.cursor import Cursor
from reefmesh.store.port import Unit
from reefmesh_standalone.__main__ import app
from reefmesh_standalone.commands.repair import Mend, mended
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import open_stores

INBOX = "scoring@reef.readings"
READINGS = "reef.readings"


def repair(home: Home, *arguments: str) -> Result:
    options = ["--home", str(home.path), *(["--store", home.store_url] if home.store_url else [])]
    return CliRunner().invoke(app, ["repair", *arguments, *options])


def shown(home: Home) -> dict[str, Any]:
    result = repair(home, "a", "--json")
    assert 0 == result.exit_code, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """Return a home in which ingest was restored: its last number is 5, scoring has applied 8, with a hole."""
    url = request.getfixturevalue("postgresql_database_url") if request.param == "postgresql" else None
    place = Home(path=tmp_path, store_url=url)
    cursors = {
        INGEST: Cursor(published={READINGS: 5}),
        SCORING: Cursor(applied={INBOX: 8}, missing={INBOX: (3, 7)}, parked={INBOX: 2}, hashes={INBOX: "abcd"}),
    }

    async def main() -> None:
        async with open_stores(place) as stores:
            for entry, cursor in cursors.items():
                unit = Unit(reef_id="a", inbox="x", event_id="e", expected_version=0, cursor=cursor, state=b"state")
                await stores[entry].commit(unit)

    if place.store_url is None:
        (tmp_path / "ingest.db").touch()
    asyncio.run(main())
    return place


def test_reef_is_shown_with_the_publisher_that_is_behind(home: Home) -> None:
    document = shown(home)
    scoring = next(each for each in document["services"] if each["service"] == "scoring")
    assert (8, [3, 7], 2) == (scoring["applied"], scoring["missing"], scoring["parked"])
    (behind,) = document["behind"]
    assert "ingest will give 3 numbers again" in behind
    assert f"--service ingest --published {READINGS}=8" in behind


def test_nothing_is_written_without_apply(home: Home) -> None:
    before = shown(home)
    result = repair(home, "a", "--service", "ingest", "--published", f"{READINGS}=8")
    assert 0 == result.exit_code
    assert before == shown(home)


def test_restored_publisher_goes_on_behind_the_last_applied_number(home: Home) -> None:
    assert 0 == repair(home, "a", "--service", "ingest", "--published", f"{READINGS}=8", "--apply").exit_code
    assert [] == shown(home)["behind"]


def test_cursor_is_set_back_and_forgets_what_is_told(home: Home) -> None:
    options = ("--service", "scoring", "--applied", "5", "--forget-parked", "--apply")
    assert 0 == repair(home, "a", *options).exit_code
    scoring = next(each for each in shown(home)["services"] if each["service"] == "scoring")
    assert (5, [3], 0) == (scoring["applied"], scoring["missing"], scoring["parked"])


def test_set_back_numbers_are_taken_again_with_any_event() -> None:
    cursor = Cursor(applied={INBOX: 8}, missing={INBOX: (3, 7)}, hashes={INBOX: "abcd"})
    after = mended(cursor, INBOX, Mend(applied=5))
    assert Cursor(applied={INBOX: 5}, missing={INBOX: (3,)}) == after
    assert {} == mended(cursor, INBOX, Mend(forgets_missing=True)).missing


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "no service knows the reef nowhere"),
        (["a", "--apply"], "nothing to write"),
        (["a", "--applied", "3"], "--service"),
        (["a", "--applied", "3", "--service", "nobody"], "ingest, scoring, alerts"),
        (["a", "--applied", "3", "--service", "ingest"], "takes no numbered messages"),
        (["a", "--forget-missing", "--service", "alerts"], "alerts does not know the reef a"),
        (["a", "--published", "reef.readings", "--service", "ingest"], "CHANNEL=NUMBER"),
        (["a", "--published", "reef.scores=3", "--service", "ingest"], "not of reef.scores"),
    ],
)
def test_mistake_is_refused_in_one_clear_line(
    home: Home, arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    result = repair(home, *arguments)
    assert 78 == result.exit_code
    lines = (result.output + capfd.readouterr().err).strip().splitlines()
    assert said in " ".join(lines)
    assert "Traceback" not in result.output
