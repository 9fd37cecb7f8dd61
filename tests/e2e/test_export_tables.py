"""``reefmesh export`` of open data as its users run it: from a home, from an address, interrupted, and asked wrongly."""

import json
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr
from pyarrow import parquet

from reefmesh_components.reefmesh_command import ReefmeshCommand

INTERRUPTED = 130
CONFIGURATION = 78
UNAVAILABLE = 75
NO_ROWS = 1
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
READINGS = 1500


@pytest.fixture
def filled(reefmesh: ReefmeshCommand, tmp_path: Path) -> ReefmeshCommand:
    """A home with a record of hours."""
    reefmesh.register({"amed": ["wall-1"], "tulamben": ["wreck-1"]})
    lines = [f"{(BEGIN + timedelta(hours=hour)).isoformat()},{28 + hour % 7 / 10:.1f}" for hour in range(READINGS)]
    (tmp_path / "record.csv").write_text("time,sea_water_temperature\n" + "\n".join(lines) + "\n")
    ended = reefmesh("import", tmp_path / "record.csv", "--buoy", "wall-1")
    assert 0 == ended.code, ended.err
    return reefmesh


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server of our own, for answers that no dashboard gives."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            """It has nobody to tell."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_each_format_has_the_readings_of_the_home(filled: ReefmeshCommand, tmp_path: Path) -> None:
    asked = ("export", "readings", "--reef", "amed", "--from", "2024-01-01", "--to", "2024-01-31")
    ended = filled(*asked, "--format", "netcdf", "--out", tmp_path / "amed.nc")
    assert (0, "") == (ended.code, ended.out), ended.err
    assert "744 readings to" in ended.err
    done = filled.json(*asked, "--format", "json", "--out", tmp_path / "amed.json")
    assert ("readings", "json", 744, (tmp_path / "amed.json").stat().st_size) == (
        done["dataset"],
        done["format"],
        done["rows"],
        done["bytes"],
    )
    assert 0 == filled(*asked, "--format", "parquet", "--out", tmp_path / "amed.parquet").code
    expected = [28 + hour % 7 / 10 for hour in range(744)]
    table = json.loads((tmp_path / "amed.json").read_text())["table"]
    column = table["columnNames"].index("sea_water_temperature")
    assert expected == pytest.approx([row[column] for row in table["rows"]])
    assert expected == pytest.approx(parquet.read_table(tmp_path / "amed.parquet")["sea_water_temperature"].to_pylist())
    with xr.open_dataset(tmp_path / "amed.nc", engine="h5netcdf") as opened:
        assert expected == pytest.approx(list(opened["sea_water_temperature"].values))
        assert ["amed/wall-1"] == list(opened["station"].values)
    assert {"amed.nc", "amed.json", "amed.parquet", "home", "record.csv", "register.toml", "scratch"} == {
        each.name for each in tmp_path.iterdir()
    }


def test_heat_and_alerts_of_the_home(filled: ReefmeshCommand, tmp_path: Path) -> None:
    days = filled.json(
        "export",
        "heat",
        "--from",
        "2024-02-01",
        "--to",
        "2024-02-10",
        "--format",
        "parquet",
        "--out",
        tmp_path / "heat.parquet",
    )
    assert 10 == days["rows"]
    ended = filled("export", "alerts", "--reef", "tulamben", "--out", tmp_path / "alerts.csv")
    assert (NO_ROWS, "There is no alert like that; no file was written.\n") == (ended.code, ended.err)
    assert not (tmp_path / "alerts.csv").exists()


def test_address_gives_the_same_as_the_home(filled: ReefmeshCommand, tmp_path: Path) -> None:
    asked = ("export", "readings", "--from", "2024-01-05", "--to", "2024-01-06T00:00:00+08:00")
    with filled.running("up", "--port", "0", "--log-level", "warning") as up:
        address = re.findall(r"http://[0-9.:]+", up.await_line("reefmesh is up"))[0]
        ended = filled(*asked, "--address", address, "--out", tmp_path / "remote.csv")
        assert 0 == ended.code, ended.err
        none = filled(*asked, "--reef", "nowhere", "--address", address, "--out", tmp_path / "none.csv")
        assert (NO_ROWS, False) == (none.code, (tmp_path / "none.csv").exists())
        assert 0 == up.stop().code
    assert 0 == filled(*asked, "--format", "csv", "--json", "--out", tmp_path / "local.csv").code
    assert (tmp_path / "local.csv").read_bytes() == (tmp_path / "remote.csv").read_bytes()
    table = pd.read_csv(tmp_path / "remote.csv", parse_dates=["time (UTC)"])
    assert (16, pd.Timestamp("2024-01-05T15:00Z")) == (len(table), table["time (UTC)"].max())


def test_interrupted_export_leaves_no_file(reefmesh_process: ReefmeshCommand, tmp_path: Path) -> None:
    begun, over = threading.Event(), threading.Event()

    def half(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"time (UTC)\n")
        begun.set()
        over.wait()

    target = tmp_path / "alerts.csv"
    target.write_text("as before")
    with (
        answering(half) as address,
        reefmesh_process.running("export", "alerts", "--address", address, "--out", str(target)) as running,
    ):
        assert begun.wait(60)
        ended = running.stop(signal.SIGINT)
        over.set()
    assert (INTERRUPTED, "as before") == (ended.code, target.read_text()), ended.err
    assert {"alerts.csv", "scratch"} == {each.name for each in tmp_path.iterdir()}


def test_answer_that_breaks_off_leaves_no_file(reefmesh: ReefmeshCommand, tmp_path: Path) -> None:
    def half(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "1000")
        handler.end_headers()
        handler.wfile.write(b"time (UTC)\n")

    with answering(half) as address:
        ended = reefmesh("export", "alerts", "--address", address, "--out", tmp_path / "alerts.csv")
    assert (UNAVAILABLE, 1) == (ended.code, len(ended.err.splitlines())), ended.err
    assert "no file was written" in ended.err
    assert {"scratch"} == {each.name for each in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("export", "alerts"), "--out"),
        (("export", "readings", "--format", "parquet"), "--out"),
        (("export", "alerts", "--out", "OUT/alerts.csv"), "no mesh has run"),
        (("export", "alerts", "--out", "OUT/no/alerts.csv", "--address", "http://127.0.0.1:9"), "folder"),
        (("export", "alerts", "--out", "OUT/alerts.csv", "--address", "nowhere"), "--address"),
        (("export", "alerts", "--out", "OUT/alerts.csv", "--address", "http://127.0.0.1:9", "--from", "monday"), "--from"),
    ],
)
def test_mistake_is_one_line_that_says_what_to_do(
    reefmesh: ReefmeshCommand, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    ended = reefmesh(*(each.replace("OUT", str(tmp_path)) for each in arguments))
    assert (CONFIGURATION, 1) == (ended.code, len(ended.err.splitlines())), ended.err
    assert says in ended.err


def test_address_that_is_away_or_of_somebody_else_is_said(reefmesh: ReefmeshCommand, tmp_path: Path) -> None:
    def other(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(418)
        handler.end_headers()

    with answering(other) as address:
        ended = reefmesh("export", "alerts", "--address", address, "--out", tmp_path / "alerts.csv")
        assert (CONFIGURATION, True) == (ended.code, "there is no dashboard of reefmesh" in ended.err), ended.err
    ended = reefmesh("export", "alerts", "--address", address, "--out", tmp_path / "alerts.csv")
    assert (UNAVAILABLE, True) == (ended.code, "cannot be reached" in ended.err), ended.err
