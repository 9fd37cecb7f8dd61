"""The end of a process: its exit code and what it says, in real processes with real signals."""

import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from reefmesh.errors import ConfigurationError, TransientError
from reefmesh.service.breaker import TooMuchPoison
from reefmesh.service.exit import explain

PROGRAM = """
import asyncio, sys
from reefmesh.observability.logs import configure_logging
from reefmesh.service.exit import run_to_exit

async def main(stop):
    print("ready", flush=True)
    await stop.wait()
    print("draining", flush=True)
    if "slow" in sys.argv:
        await asyncio.Event().wait()

configure_logging("test")
sys.exit(run_to_exit(main))
"""


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert line_of(process) == "ready"
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_drains_and_exits_0(number: signal.Signals) -> None:
    with started() as process:
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "draining\n")
    assert "Traceback" not in errors


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_second_signal_stops_a_slow_drain(number: signal.Signals, code: int) -> None:
    with started("slow") as process:
        process.send_signal(signal.SIGTERM)
        assert line_of(process) == "draining"
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigurationError("REEFMESH_LANES is 0;\nset it"), 78, "reefmesh: REEFMESH_LANES is 0; set it\n"),
        (ExceptionGroup("tasks", [ExceptionGroup("inner", [ConfigurationError("x")]), ValueError()]), 78, "reefmesh: x\n"),
        (TransientError("no broker at host:61614"), 75, "reefmesh: no broker at host:61614\n"),
        (TooMuchPoison("60 of the last 100 messages"), 65, "reefmesh: 60 of the last 100 messages\n"),
        (ExceptionGroup("tasks", [TransientError("x"), ValueError("bug")]), 70, ""),
        (ValueError("bug"), 70, ""),
    ],
)
def test_failure_becomes_its_code_and_one_line(error: Exception, code: int, line: str) -> None:
    stderr = io.StringIO()
    assert (explain(error, stderr=stderr), stderr.getvalue()) == (code, line)
