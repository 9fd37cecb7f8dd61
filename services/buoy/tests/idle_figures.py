"""Measure the agent's memory and its CPU time while it is idle: ``python services/buoy/tests/idle_figures.py --seconds 60``.

One simulated measurement every 5 s, which is far more than a buoy has, and a gateway that is away.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "token").write_text("rmt_test\n")
        command = [sys.executable, "-m", "reefmesh_buoy"]
        settings = Path(folder) / "agent.toml"
        settings.write_text(
            f'device = "agent-1"\nspool = "{folder}/spool.db"\n[send]\ntransport = "http"\nurl = "http://127.0.0.1:1"\n'
            f'token_file = "{folder}/token"\n[[source]]\nkind = "command"\n'
            f'command = ["{sys.executable}", "-m", "reefmesh_buoy", "simulate", "--interval", "5"]\n'
        )
        agent = subprocess.Popen([*command, "run", "--settings", str(settings)], stderr=subprocess.DEVNULL)
        try:
            agent.wait(options.seconds / 4)  # its start is no idling
        except subprocess.TimeoutExpired:
            begun = cpu_seconds(agent.pid)
        try:
            agent.wait(options.seconds)
        except subprocess.TimeoutExpired:
            used = cpu_seconds(agent.pid) - begun
            sys.stdout.write(f"{memory_mb(agent.pid):.1f} MB at most, {100 * used / options.seconds:.2f} % of a core\n")
        agent.terminate()
        agent.wait()


if __name__ == "__main__":
    main()
