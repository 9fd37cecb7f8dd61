"""The command in the tests' process leaves nothing of itself behind, and takes nothing of the caller's."""

import signal
import tempfile
from pathlib import Path

import pytest

from reefmesh_components.command_in_process import CommandInProcess

CONFIGURATION = 78


def test_call_leaves_sigterm_and_the_temporary_folder_as_they_were(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM), tempfile.gettempdir()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    archive = tmp_path / "archive.csv"
    archive.write_text("time,sea_water_temperature\n2024-01-01T12:00:00Z,28.1\n")
    command = CommandInProcess(home=tmp_path / "home", environment={"TMPDIR": str(scratch)})
    ended = command("replay", archive, "--format", "csv", "--reef", "amed", "--mmm", "29", "--out", tmp_path / "scores.csv")
    assert 0 == ended.code, ended.err
    assert before == (signal.getsignal(signal.SIGTERM), tempfile.gettempdir())


def test_callers_variables_do_not_reach_it_and_its_own_end_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REEFMESH_BROKR_URL", "x")
    command = CommandInProcess(home=tmp_path / "home")
    assert "no mesh has run" in command("status").err
    own = command("status", environment={"REEFMESH_STOR_URL": "x"})
    assert (CONFIGURATION, True) == (own.code, "is REEFMESH_STORE_URL meant?" in own.err), own.err
    assert "no mesh has run" in command("status").err
