"""Whoever ends a run by a signal finds nothing of it left behind."""

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, signal, sys
from reefmesh_faults.interruption import run_interruptible

async def work():
    try:
        print("under way", flush=True)
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("ended what was started", flush=True)

signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts what it puts in the background
try:
    run_interruptible(work())
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_that_a_signal_cuts_short_ends_what_it_started_first(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "under way\n" == process.stdout.readline()
        process.send_signal(number)
        assert "ended what was started\n" == process.stdout.readline()
        assert 130 == process.wait(30)
