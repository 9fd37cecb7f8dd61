"""How a broker of the tests is started."""

import shutil
from pathlib import Path

import pytest

from reefmesh_components.activemq import local_activemq
from reefmesh_components.requirement import ComponentMissing, give_up

JAVA = shutil.which("java")


def java_that_ends_once(folder: Path, *, with_word: str) -> None:
    """Put a ``java`` into the folder that says this and ends with 1, and is the real one from then on."""
    java = folder / "java"
    java.write_text(f'#!/bin/sh\n[ -e "$0.ended" ] && exec "{JAVA}" "$@"\n: > "$0.ended"\necho "{with_word}"\nexit 1\n')
    java.chmod(0o755)


@pytest.mark.timeout(180)  # it starts a broker
def test_start_that_an_early_client_has_ended_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java_that_ends_once(tmp_path, with_word="Caused by: java.util.ConcurrentModificationException")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    try:
        with local_activemq() as process:
            assert process.pid is not None
            assert (tmp_path / "java.ended").exists()
    except ComponentMissing as missing:
        give_up(missing)


@pytest.mark.timeout(60)
def test_start_that_ends_for_another_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java_that_ends_once(tmp_path, with_word="ERROR: the store is locked")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    try:
        with pytest.raises(RuntimeError, match="the store is locked"), local_activemq():
            pass
    except ComponentMissing as missing:
        give_up(missing)
