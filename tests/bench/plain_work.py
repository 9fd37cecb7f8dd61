"""What the stages of the plain FastStream pipelines do, apart from any broker: messages, the work, and their state.

Written as one would for three services in a day: pydantic models, a table with a row for each reef, one transaction for a
message. The row keeps the number that was applied last and the output of it, so a repeat changes nothing and sends the same
output again.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from reefmesh.contracts import quantities

KEPT_READINGS: Final = 96
"""Of each reef, for the mean of two days."""
CLEAR_METRES: Final = 10.0
WEAK_METRES_PER_SECOND: Final = 0.5
MMM_CELSIUS: Final = 29.5
RANGES: Final = {
    quantities.SEA_WATER_TEMPERATURE: (10.0, 40.0),
    quantities.PH_TOTAL_SCALE: (6.5, 9.0),
    quantities.PCO2: (50.0, 5000.0),
    quantities.SEA_WATER_SPEED: (0.0, 5.0),
    quantities.VISIBILITY: (0.0, 100.0),
}
TABLES: Final = """
CREATE TABLE IF NOT EXISTS reef (reef TEXT PRIMARY KEY, seq INTEGER NOT NULL, state TEXT NOT NULL, output TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS out_of_order (reef TEXT, expected INTEGER, came INTEGER);
"""
KEEP: Final = """INSERT INTO reef VALUES (:reef, :seq, :state, :output) ON CONFLICT (reef) DO UPDATE
SET seq = excluded.seq, state = excluded.state, output = excluded.output"""


class Sample(BaseModel):
    observed_at: datetime
    channels: dict[str, float]


class Telemetry(BaseModel):
    """As buoys send it (``telemetry/1``)."""

    buoy_id: str
    seq: int
    readings: list[Sample]


class CheckedReading(BaseModel):
    observed_at: datetime
    values: dict[str, float]
    refused: list[str]


class Checked(BaseModel):
    reef: str
    seq: int
    readings: list[CheckedReading]


class Verdict(BaseModel):
    reef: str
    seq: int
    dive: str
    mean_celsius: float | None
    hot_spot_celsius: float | None
    of: dict[str, float]


class Notice(BaseModel):
    reef: str
    seq: int
    text: str


class Memory(BaseModel):
    """What a stage remembers of a reef."""

    celsius: list[float] = []
    dive: str = ""


Work = Callable[[Any, Memory], tuple[BaseModel | None, Memory]]
"""A message and what is remembered -> the output, if there is one, and what is remembered then."""


def decode(message: Telemetry, memory: Memory) -> tuple[Checked, Memory]:
    readings = []
    for sample in message.readings:
        values, refused = {}, []
        for name, value in sample.channels.items():
            low, high = RANGES[name]
            if low <= value <= high:
                values[name] = value
            else:
                refused.append(name)
        readings.append(CheckedReading(observed_at=sample.observed_at, values=values, refused=refused))
    return Checked(reef=reef_of(message), seq=message.seq, readings=readings), memory


def score(message: Checked, memory: Memory) -> tuple[Verdict, Memory]:
    newest = message.readings[-1].values
    celsius = [*memory.celsius, *(each.values[quantities.SEA_WATER_TEMPERATURE] for each in message.readings)][-KEPT_READINGS:]
    mean = sum(celsius) / len(celsius)
    clear = newest[quantities.VISIBILITY] >= CLEAR_METRES and newest[quantities.SEA_WATER_SPEED] <= WEAK_METRES_PER_SECOND
    verdict = Verdict(
        reef=message.reef,
        seq=message.seq,
        dive="good" if clear else "fair",
        mean_celsius=round(mean, 2),
        hot_spot_celsius=max(0.0, round(mean - MMM_CELSIUS, 2)),
        of=newest,
    )
    return verdict, Memory(celsius=celsius)


def alert(message: Verdict, memory: Memory) -> tuple[Notice | None, Memory]:
    if message.dive == memory.dive:
        return None, memory
    text = f"{message.reef}: dive conditions are {message.dive}"
    return Notice(reef=message.reef, seq=message.seq, text=text), Memory(dive=message.dive)


def reef_of(message: Any) -> str:
    """The load has one buoy a reef, of the same number."""
    if isinstance(message, Telemetry):
        return f"reef-{int(message.buoy_id.removeprefix('bench-')):05d}"
    reef: str = message.reef
    return reef


@dataclass(frozen=True, slots=True, kw_only=True)
class StageWork:
    """``reads``: the model of its messages; ``to``: the next place, by its short name."""

    reads: type[Any]
    work: Work
    source: str
    to: str


STAGES: Final[Mapping[str, StageWork]] = {
    "decode": StageWork(reads=Telemetry, work=decode, source="telemetry", to="readings"),
    "score": StageWork(reads=Checked, work=score, source="readings", to="scores"),
    "alert": StageWork(reads=Verdict, work=alert, source="scores", to="alerts"),
}


class State:
    """The stage's own table. SQLite waits for the disk, so it has a thread.

    ``shared``: what arrives while a commit is under way shares the next one. Otherwise each message has its own.
    """

    def __init__(self, file: Path, work: Work, *, shared: bool) -> None:
        self._work, self._shared = work, shared
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(TABLES)
        self._rows: dict[str, tuple[int, Memory, str]] = {
            reef: (seq, Memory.model_validate_json(state), output)
            for reef, seq, state, output in self._database.execute("SELECT * FROM reef")
        }
        self._waiting: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None
        self.commits = 0

    def close(self) -> None:
        self._thread.shutdown()
        self._database.close()

    async def apply(self, message: Any) -> str:
        """Return the output, empty for none, once its state is on the disk. Messages of a reef come one at a time."""
        reef = reef_of(message)
        seq, memory, output = self._rows.get(reef, (0, Memory(), ""))
        if message.seq <= seq:
            return output if message.seq == seq else ""
        made, memory = self._work(message, memory)
        output = "" if made is None else made.model_dump_json()
        row = {"reef": reef, "seq": message.seq, "state": memory.model_dump_json(), "output": output, "expected": seq + 1}
        await self._commit(row)
        self._rows[reef] = (message.seq, memory, output)
        return output

    async def _commit(self, row: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        if not self._shared:
            await loop.run_in_executor(self._thread, self._write, [row])
            return
        done = loop.create_future()
        self._waiting.append((row, done))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        await done

    async def _commit_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._write, [row for row, _ in batch])
            except sqlite3.Error as error:
                for _, done in batch:
                    done.set_exception(error)
            else:
                for _, done in batch:
                    done.set_result(None)
        self._committing = None

    def _write(self, rows: list[dict[str, Any]]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            for row in rows:
                self._database.execute(KEEP, row)
                if row["seq"] != row["expected"]:
                    self._database.execute("INSERT INTO out_of_order VALUES (:reef, :expected, :seq)", row)
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
        self.commits += 1


def decided(file: Path) -> int:
    """Return how many messages a stage has applied; the numbers of a reef count from 1."""
    if not file.exists():
        return 0
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        ((count,),) = database.execute("SELECT COALESCE(SUM(seq), 0) FROM reef")
    return int(count)


def faults(file: Path, *, reefs: int, turns: int) -> list[str]:
    """Return what a stage has lost or taken out of order; nothing when each reef has all its messages in order."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        jumps = database.execute("SELECT reef, expected, came FROM out_of_order").fetchall()
        lacking = database.execute("SELECT reef, seq FROM reef WHERE seq <> ?", (turns,)).fetchall()
        ((known,),) = database.execute("SELECT COUNT(*) FROM reef")
    found = [f"{reef}: {came} came where {expected} was due" for reef, expected, came in jumps]
    found += [f"{reef}: {seq} of {turns} messages" for reef, seq in lacking]
    return found + ([f"{reefs - known} reefs have no message at all"] if known != reefs else [])
