"""What processes cost: CPU between two looks, memory at its highest."""

from collections.abc import Mapping
from pathlib import Path

import psutil


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU that each process has used so far, user and system."""
    spent = {}
    for name, pid in pids.items():
        times = psutil.Process(pid).cpu_times()
        spent[name] = times.user + times.system
    return spent


def cpu_between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in before}


def peak_megabytes(pid: int) -> float:
    """Return the most memory that a process ever had resident; where only the present is known, that."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    return float(psutil.Process(pid).memory_info().rss) / 1e6
