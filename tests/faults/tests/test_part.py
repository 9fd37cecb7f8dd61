"""What the nemesis does to a process itself."""

import resource
import subprocess
import sys
from dataclasses import dataclass
from typing import cast

from reefmesh_faults.part import Part, Process

WRITER = """
import os, sys
def write():
    try:
        with open(sys.argv[1], "wb", buffering=0) as file:
            return str(file.write(b"x" * 4096))
    except OSError as error:
        return type(error).__name__
for _ in sys.stdin:
    print(write(), flush=True)
"""


@dataclass
class Running:
    pid: int | None
    name: str = "writer"


def test_full_disk_refuses_what_is_written_beyond_it_until_it_is_healed(tmp_path: object) -> None:
    command = [sys.executable, "-c", WRITER, f"{tmp_path}/file"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def written() -> str:
            process.stdin.write("again\n")  # type: ignore[union-attr]  # checked above
            return process.stdout.readline().strip()  # type: ignore[union-attr]

        part = Part(service="mesh", process=cast(Process, Running(process.pid)))
        with part.files_no_longer_than(1000):
            assert written() == "1000"
        with part.files_no_longer_than(0):
            assert written() == "OSError"
        assert written() == "4096"


def test_process_that_ended_is_not_looked_for() -> None:
    part = Part(service="mesh", process=cast(Process, Running(None)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with part.files_no_longer_than(0):
        assert resource.getrlimit(resource.RLIMIT_FSIZE) == before
