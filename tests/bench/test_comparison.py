"""The benchmark's own parts: the plain pipelines keep what they promise, the checker sees what breaks it, the table is made."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parent
sys.path.insert(0, str(BENCH))  # the benchmarks are scripts beside each other, no package

from load import Load, live_since  # noqa: E402 - found by the line above
from plain_work import STAGES, Notice, State, Telemetry, decided, faults  # noqa: E402 - likewise

REEFS, TURNS = 4, 6
LOAD = Load(reefs=REEFS, messages=REEFS * TURNS, batch=1, channels=5, begins_at=live_since(TURNS), alert_every=1)


def telemetry() -> list[Telemetry]:
    return [Telemetry.model_validate_json(message.body) for message in LOAD.envelopes()]


async def applied(file: Path, messages: list[Any], *, stage: str = "decode", shared: bool = True) -> list[str]:
    """Return the outputs of a stage that is given these, all at once."""
    state = State(file, STAGES[stage].work, shared=shared)
    try:
        return [await state.apply(message) for message in messages]
    finally:
        state.close()


@pytest.mark.parametrize("shared", [False, True], ids=["a commit a message", "shared commits"])
async def test_stages_one_after_the_other_turn_each_change_into_a_notice(tmp_path: Path, *, shared: bool) -> None:
    messages: list[Any] = telemetry()
    for name, stage in STAGES.items():
        read = stage.reads
        messages = [message if isinstance(message, read) else read.model_validate_json(message) for message in messages]
        messages = await applied(tmp_path / f"{name}.db", messages, stage=name, shared=shared)
        assert REEFS * TURNS == decided(tmp_path / f"{name}.db")
        assert [] == faults(tmp_path / f"{name}.db", reefs=REEFS, turns=TURNS)
    assert REEFS * TURNS == len([Notice.model_validate_json(message) for message in messages])


async def test_commits_are_shared_by_what_waits(tmp_path: Path) -> None:
    """Of different reefs, all at once."""
    state = State(tmp_path / "decode.db", STAGES["decode"].work, shared=True)
    await asyncio.gather(*(state.apply(message) for message in telemetry()[:REEFS]))
    state.close()
    assert (REEFS, 1) == (decided(tmp_path / "decode.db"), state.commits)


async def test_repeat_changes_nothing_and_gives_the_same_output_after_a_restart_too(tmp_path: Path) -> None:
    file, first = tmp_path / "decode.db", telemetry()[0]
    (output,) = await applied(file, [first])
    assert [output] == await applied(file, [first])
    assert 1 == decided(file)


async def test_checker_sees_a_message_that_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "decode.db"
    await applied(file, telemetry()[:-1])
    assert [f"reef-{REEFS - 1:05d}: {TURNS - 1} of {TURNS} messages"] == faults(file, reefs=REEFS, turns=TURNS)


async def test_checker_sees_a_message_that_came_before_its_turn(tmp_path: Path) -> None:
    file, messages = tmp_path / "decode.db", telemetry()
    of_reef = [message for message in messages if message.buoy_id == "bench-0"]
    of_reef[1], of_reef[2] = of_reef[2], of_reef[1]
    await applied(file, [*of_reef, *(message for message in messages if message.buoy_id != "bench-0")])
    came = ["reef-00000: 3 came where 2 was due"]
    assert came == faults(file, reefs=REEFS, turns=TURNS)


async def test_checker_sees_a_reef_of_which_nothing_came(tmp_path: Path) -> None:
    file = tmp_path / "decode.db"
    await applied(file, [message for message in telemetry() if message.buoy_id != "bench-2"])
    assert ["1 reefs have no message at all"] == faults(file, reefs=REEFS, turns=TURNS)


async def test_message_whose_commit_fails_is_not_applied(tmp_path: Path) -> None:
    file, first = tmp_path / "decode.db", telemetry()[0]
    state = State(file, STAGES["decode"].work, shared=True)
    with closing(sqlite3.connect(file)) as other:
        other.execute("DROP TABLE reef")
    with pytest.raises(sqlite3.Error):
        await state.apply(first)
    state.close()


@pytest.mark.timeout(180)
def test_comparison_prints_its_table_and_keeps_figures_and_chart(tmp_path: Path) -> None:
    """The short form, of what needs no broker."""
    figures, chart = tmp_path / "figures.json", tmp_path / "chart.svg"
    command = [sys.executable, str(BENCH / "comparison.py"), "--quick", "--only", "embedded"]
    done = subprocess.run(
        [*command, "--json", str(figures), "--chart", str(chart)], capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, "" if done.returncode == 0 else done.stderr)
    assert "reefmesh embedded" in done.stdout
    (row,) = json.loads(figures.read_text())["rows"]
    assert row["per_second"] > 0
    assert chart.read_text().startswith("<?xml")
