"""A reader of the log that stalls stops nothing, and a reader that reads misses nothing; in real processes with real pipes."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import pytest

from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.unblocked_output import (
    QUEUE_BYTES_LIMIT,
    QueuedOutput,
    UnblockedStream,
    dropped_lines_counter,
)

LINES = 3_000
BEGINNING = """
import asyncio, os, sys, warnings
import structlog
from reefmesh.errors import ConfigurationError, TransientError
from reefmesh.observability.logs import configure_logging
from reefmesh.observability.unblocked_output import dropped_lines, unblocked_output
from reefmesh.service.exit import run_to_exit

log = structlog.get_logger("test")
"""
ENDING = """
with unblocked_output():
    configure_logging("test")
    code = run_to_exit(main)
sys.exit(code)
"""
LOUD = """
async def main(stop):
    for number in range(3_000):
        log.info("loud", number=number, filling="x" * 4_000)
    os.write(int(sys.argv[1]), b"all said")
    await stop.wait()
"""
BURST = """
async def main(stop):
    for number in range(3_000):
        log.info("loud", number=number, filling="x" * 1_000)
    {end}
"""


@contextmanager
def started(program: str, *, stdout: int | IO[bytes] = subprocess.DEVNULL) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start it with a pipe for its standard error that nobody reads yet, and one by which it says how far it is."""
    progress, told = os.pipe()
    command = [sys.executable, "-c", BEGINNING + program + ENDING, str(told)]
    with subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, pass_fds=[told]) as process:
        os.close(told)
        try:
            yield process, progress
        finally:
            process.kill()
            os.close(progress)


def lines_of(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def run(program: str) -> tuple[int, list[str]]:
    with started(program) as (process, _):
        _, errors = process.communicate(timeout=60)
    return process.returncode, errors.decode().splitlines()


def test_nobody_reads_and_the_loop_goes_on_and_hears_sigterm() -> None:
    with started(LOUD) as (process, progress):
        assert os.read(progress, 100) == b"all said"  # 12 MB of lines, a pipe of 64 KiB
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0  # with a loop that waits for the reader it would not end at all


def test_reader_that_reads_again_finds_whole_lines_in_order_and_one_that_tells_of_the_gap() -> None:
    with started(LOUD) as (process, progress):
        assert os.read(progress, 100) == b"all said"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    lines = lines_of(errors)
    numbers = [line["number"] for line in lines if line["event"] == "loud"]
    assert numbers == list(range(len(numbers)))
    assert QUEUE_BYTES_LIMIT / 2 < len(errors) < QUEUE_BYTES_LIMIT + 100_000
    (told,) = [line for line in lines if line["event"] == "log lines dropped"]
    drains = sum(line["event"] == "draining" for line in lines)  # it came before the gap was told, or after
    assert told["lines"] == LINES - len(numbers) + (1 - drains)
    assert (told["stream"], told["service"], process.returncode) == ("stderr", "test", 0)


@pytest.mark.parametrize(
    ("end", "code", "last"),
    [
        ("log.info('the last')", 0, '"event": "the last"'),
        ("raise RuntimeError('a bug')", 70, "RuntimeError: a bug"),
        ("raise TransientError('no broker')", 75, "reefmesh: no broker"),
        ("raise ConfigurationError('no lanes')", 78, "reefmesh: no lanes"),
        ("raise SystemExit('out at once')", 1, "out at once"),
    ],
)
def test_reader_that_reads_misses_nothing_however_the_process_ends(end: str, code: int, last: str) -> None:
    returned, lines = run(BURST.format(end=end))

    assert (returned, last in lines[-1]) == (code, True)
    assert [json.loads(line)["number"] for line in lines[:LINES]] == list(range(LINES))
    assert "log lines dropped" not in "".join(lines[LINES:])


def test_last_words_outside_the_log_come_after_it() -> None:
    returned, lines = run("async def main(stop):\n    log.info('said')\n    print('printed', file=sys.stderr)\n    1 / 0\n")

    assert (returned, json.loads(lines[0])["event"], lines[1], "ZeroDivisionError" in lines[2]) == (70, "said", "printed", True)


def test_standard_output_that_nobody_reads_stops_nothing_either() -> None:
    program = """
async def main(stop):
    for number in range(3_000):
        print("ALERT", number, "x" * 4_000)
    log.info("all said", dropped=dropped_lines()["stdout"])
"""
    with started(program, stdout=subprocess.PIPE) as (process, _):
        assert process.stderr is not None
        (line,) = lines_of(process.stderr.readline())
        assert (line["event"], line["dropped"] > 1_000) == ("all said", True)
        assert process.wait(timeout=30) == 0


def test_descriptor_that_was_made_non_blocking_loses_nothing() -> None:
    program = "async def main(stop):\n    os.set_blocking(2, False)\n" + "\n".join(BURST.format(end="pass").splitlines()[2:])
    returned, lines = run(program)

    assert (returned, len(lines)) == (0, LINES)


def test_reader_that_is_gone_ends_nothing_and_its_lines_are_counted() -> None:
    program = """
async def main(stop):
    await asyncio.to_thread(sys.stdin.read)
    log.info("one")
    print("two", file=sys.stderr)
    while dropped_lines()["stderr"] < 2:
        await asyncio.sleep(0.01)
    print("counted")
"""
    command = [sys.executable, "-c", BEGINNING + program + ENDING]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stderr.close()
        process.stderr = None
        output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, b"counted\n")


async def test_dropped_lines_are_a_metric_that_counts_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    stream = UnblockedStream(QueuedOutput(writer, stream="stderr", bytes_limit=100), encoding="utf-8")
    monkeypatch.setattr(sys, "stderr", stream)
    metrics = Metrics("scoring")
    sample = dropped_lines_counter(metrics)
    stream.write("x" * 10_000 + "\n")  # the thread stands in it
    stream.write("one\n")
    stream.write("two\n")
    await sample()
    await sample()
    stream.write("three\n")
    await sample()
    assert metrics.value(table.LOG_LINES_DROPPED, "stderr") == 3
    os.close(reader)
    assert stream.queued.drain(timeout_seconds=30)
    os.close(writer)
