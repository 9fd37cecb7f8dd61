"""Fuzzes what reads bytes from outside: the STOMP parser, the envelope, every decoder of telemetry.

  make fuzz SECONDS=600                                    every target in turn, so long each
  python tests/faults/fuzz/fuzz.py frames --seconds 60     one target
  python tests/faults/fuzz/fuzz.py --replay                the corpus alone, without atheris
  python tests/faults/fuzz/fuzz.py frames --replay FILE    one input, as it was found

A target grows its corpus in a temporary folder; the corpus in the tree is small and written by hand. A finding ends the target
with exit code 77 and leaves its input in ``reports/fuzz``. Memory is bounded (libFuzzer's -rss_limit_mb).
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
sys.path.insert(0, str(HERE))  # scripts beside each other, no package

CORPUS: Final = HERE / "corpus"
FOUND: Final = HERE.parents[2] / "reports" / "fuzz"
MEMORY_MEGABYTES_LIMIT: Final = 1024
INPUT_BYTES_LIMIT: Final = 16 * 1024
INPUT_SECONDS_LIMIT: Final = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", help="frames, envelope, or a schema such as telemetry-1; all without one")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--replay", nargs="*", type=Path, metavar="FILE", help="run these inputs (or the corpus) once each")
    options = parser.parse_args()
    known = sorted(folder.name for folder in CORPUS.iterdir())
    if options.target is not None and options.target not in known:
        parser.error(f"unknown target {options.target}; known: {', '.join(known)}")
    names = [options.target] if options.target else known
    if options.replay is not None:
        return _replay(names, options.replay)
    if options.target is None:
        return _each(names, options.seconds)
    return _fuzz(options.target, options.seconds)


def _replay(names: list[str], files: list[Path]) -> int:
    from targets import TARGETS

    for name in names:
        inputs = files or sorted((CORPUS / name).iterdir())
        for file in inputs:
            TARGETS[name](file.read_bytes())
        sys.stdout.write(f"{name}: {len(inputs)} inputs\n")
    return 0


def _each(names: list[str], seconds: int) -> int:
    """Every target in a process of its own; the worst exit code."""
    command = [sys.executable, __file__]
    return max(subprocess.run([*command, name, "--seconds", str(seconds)], check=False).returncode for name in names)


def _fuzz(name: str, seconds: int) -> int:
    try:
        import atheris
    except ModuleNotFoundError:
        sys.stderr.write("reefmesh: fuzzing needs atheris (Linux, CPython 3.11): make fuzz installs it\n")
        return 78
    with atheris.instrument_imports(include=["targets", "reefmesh", "reefmesh_ingest"]):
        from targets import TARGETS  # only now, so that it is instrumented

    FOUND.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="reefmesh-fuzz-") as grown:
        arguments = [
            sys.argv[0],
            grown,
            str(CORPUS / name),
            f"-max_total_time={seconds}",
            f"-max_len={INPUT_BYTES_LIMIT}",
            f"-rss_limit_mb={MEMORY_MEGABYTES_LIMIT}",
            f"-timeout={INPUT_SECONDS_LIMIT}",
            f"-artifact_prefix={FOUND}/{name}-",
            "-print_final_stats=1",
        ]
        atheris.Setup(arguments, TARGETS[name])
        atheris.Fuzz()  # ends the process
    return 0


if __name__ == "__main__":
    sys.exit(main())
