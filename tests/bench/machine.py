"""What machine a figure is of, in the words of a page."""

import os
import platform
from pathlib import Path

import psutil


def machine() -> str:
    """Return cores, processor, memory, system and Python: ``2 cores (Intel Xeon), x86_64, 8 GB, Linux 6.1, Python 3.11.7``."""
    memory = round(psutil.virtual_memory().total / 1e9)
    system = f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}"
    model = _processor()
    named = f" ({model})" if model else ""
    return f"{os.cpu_count()} cores{named}, {platform.machine()}, {memory} GB, {system}, Python {platform.python_version()}"


def _processor() -> str:
    """Return the processor's name where the system tells it, else nothing."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "")
