"""The reader of a process's log: it may stall, and misses nothing of what comes through in the end."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from reefmesh_faults.log_pipe import GAP, LogPipe
from reefmesh_faults.log_talk import TALK

LIMIT_SECONDS = 60


@pytest.fixture
async def pipe(tmp_path: Path) -> AsyncIterator[LogPipe]:
    pipe = LogPipe(tmp_path / "pipe", tmp_path / "log")
    pipe.open()
    pipe.listen_for("now")
    yield pipe
    pipe.close()


@pytest.fixture
def process(pipe: LogPipe) -> Iterator[int]:
    """The descriptor of whoever writes."""
    descriptor = os.open(pipe.path, os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


def line(event: str, **facts: object) -> bytes:
    return json.dumps({"event": event, **facts}).encode() + b"\n"


def talk(number: int, word: str = "now") -> bytes:
    return line(TALK, word=word, number=number, filling="x")


def fill(process: int) -> int:
    """Write until the pipe is full; return how many lines it took."""
    written = 0
    while True:
        try:
            os.write(process, talk(written + 1))
        except BlockingIOError:
            return written
        written += 1


async def test_reader_takes_numbers_and_gaps_and_keeps_all_other_lines(pipe: LogPipe, process: int) -> None:
    usual, gap = line("service started", service="scoring"), line(GAP, lines=7, stream="stderr")
    cut = b'{"event": "talk of the fault mach'
    os.write(process, usual + talk(1) + talk(1, word="before") + talk(2) + gap + talk(10) + cut)
    os.write(process, b"\n" + talk(11))
    async with asyncio.timeout(LIMIT_SECONDS):
        await pipe.until(lambda: 4 == len(pipe.numbers))
    assert ([1, 2, 10, 11], 7, 2) == (pipe.numbers, pipe.told_dropped, pipe.numbers_after_gap)
    assert usual + gap + cut + b"\n" == (pipe.path.parent / "log").read_bytes()


async def test_stalled_reader_reads_nothing_until_it_reads_on(pipe: LogPipe, process: int) -> None:
    pipe.stall()
    os.set_blocking(process, False)
    written = fill(process)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await pipe.until(lambda: bool(pipe.numbers))
    pipe.read_on()
    async with asyncio.timeout(LIMIT_SECONDS):
        await pipe.until(lambda: written == len(pipe.numbers))
    assert list(range(1, written + 1)) == pipe.numbers


async def test_pipe_outlives_the_process_that_writes(pipe: LogPipe) -> None:
    for number in (1, 2):
        with pipe.path.open("ab") as process:
            process.write(talk(number))
        async with asyncio.timeout(LIMIT_SECONDS):
            await pipe.until(lambda: number == len(pipe.numbers))  # noqa: B023 - awaited at once
    assert [1, 2] == pipe.numbers
