"""A service under the sampler: it runs as ever, samples from SIGUSR1 to SIGUSR2, and writes then what was found.

usage: python tests/bench/sampled_service.py SERVICE FILE  (JSON: service, stage and seconds of CPU)
"""

import json
import runpy
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the benchmarks are scripts beside each other, no package

from cpu_sampler import CpuSampler


def main(service: str, file: Path) -> None:
    sampler = CpuSampler()

    def finish(*_: object) -> None:
        sampler.stop()
        found = [(name, stage, spent / 1e9) for (name, stage), spent in sampler.nanoseconds.items()]
        part = file.with_suffix(".part")
        part.write_text(json.dumps({"samples": sampler.samples, "found": found}), encoding="utf-8")
        part.replace(file)

    signal.signal(signal.SIGUSR1, lambda *_: sampler.start())
    signal.signal(signal.SIGUSR2, finish)
    sys.argv = [f"reefmesh_{service}"]
    runpy.run_module(f"reefmesh_{service}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
