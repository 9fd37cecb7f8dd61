"""What fuzzing found once stays found: every input of the corpus goes through its target, without the fuzzer."""

import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).parent / "fuzz"
TARGETS = ["envelope", "frames", "message-headers", "nemopi-2021-1", "nemopi-mqtt-1", "telemetry-1"]


def replayed(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FUZZ / "fuzz.py"), *arguments]
    return subprocess.run(command, text=True, capture_output=True, check=False)


def test_every_input_of_the_corpus_keeps_its_promises() -> None:
    done = replayed("--replay")
    assert (done.returncode, done.stderr) == (0, "")
    counts = dict(line.split(": ") for line in done.stdout.splitlines())
    assert sorted(counts) == TARGETS
    assert counts == {name: f"{len(list((FUZZ / 'corpus' / name).iterdir()))} inputs" for name in TARGETS}
