"""``python -m reefmesh_faults.recorded_service SERVICE NAME FOLDER``: a service as it is, with recorders in it.

It runs the service's own blueprint. ``FOLDER`` takes the counters of this process (``NAME.PID.counters``), and may hold a clock
for it (``NAME.clock``: seconds that it is late; below 0 it is ahead), ask it to talk (``NAME.talk``), and says whether the
broker's name resolves (``broker.name``).
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from reefmesh.clock import SystemClock
from reefmesh.contracts.services import SERVICES, service_named
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.service.assembly import Blueprint, Parts
from reefmesh.service.command import run_service
from reefmesh.service.lifecycle import Background
from reefmesh.service.program import load_program
from reefmesh.service.stop_event import is_set_within
from reefmesh.settings import ServiceSettings
from reefmesh_faults.effects import recorded
from reefmesh_faults.log_talk import Talker, talk_file
from reefmesh_faults.told_names import ask_told_names
from reefmesh_standalone.simulator.late_clock import ToldClock

LOOK_SECONDS: Final = 0.25
COUNTERS: Final = (
    table.DUPLICATES,
    table.REDELIVERIES_HEALED,
    table.FENCE_REFUSALS,
    table.OUTPUTS_RESENT,
    table.RETRIES,
    table.SEQUENCE_GAPS,
)


def clock_file(folder: Path, name: str) -> Path:
    """Return where the clock of a process is told."""
    return folder / f"{name}.clock"


def read_counters(folder: Path) -> dict[str, int]:
    """Return the sums over all processes that ever ran."""
    sums: dict[str, int] = {row.name: 0 for row in COUNTERS}
    for file in folder.glob("*.counters"):
        for name, value in json.loads(file.read_text()).items():
            sums[name] += int(value)
    return sums


def read_gaps(folder: Path) -> dict[str, int]:
    """Return by service the missing messages that its processes counted."""
    gaps = dict.fromkeys((entry.name for entry in SERVICES), 0)
    for file in folder.glob("*.counters"):
        gaps[file.name.partition("-")[0]] += int(json.loads(file.read_text())[table.SEQUENCE_GAPS.name])
    return gaps


class Counters:
    """Keeps what a process counted in a file that outlives it."""

    def __init__(self, metrics: Metrics, file: Path) -> None:
        self._metrics = metrics
        self._file = file
        self._written: dict[str, float] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Look until ``stop``; a process that is killed loses what it counted since the last look."""
        while not stop.is_set():
            self.write()
            await is_set_within(stop, LOOK_SECONDS)
        self.write()

    def write(self) -> None:
        counted = {row.name: _sum(self._metrics, row.name) for row in COUNTERS}
        if counted != self._written:
            draft = self._file.with_suffix(".draft")
            draft.write_text(json.dumps(counted))
            draft.replace(self._file)
            self._written = counted


def _sum(metrics: Metrics, name: str) -> float:
    return sum(
        sample.value
        for family in metrics.registry.collect()
        if family.name == name.removesuffix("_total")
        for sample in family.samples
        if sample.name == name
    )


def main() -> int:
    """Run the service; return the exit code."""
    service, name, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    program = load_program(service_named(service))
    ask_told_names(folder)
    counters: list[Counters] = []

    def blueprint(settings: ServiceSettings) -> Blueprint:
        own: Blueprint = program.blueprint(settings)

        def background(parts: Parts) -> Sequence[Background]:
            counters.append(Counters(parts.metrics, folder / f"{name}.{os.getpid()}.counters"))
            return (*own.background(parts), counters[-1].run, Talker(talk_file(folder, name)).run)

        return replace(recorded(own, process=name), background=background)

    clock = ToldClock(SystemClock(), clock_file(folder, name))
    code = run_service(replace(program, blueprint=blueprint), arguments=[], clock=clock)
    for each in counters:
        each.write()  # what was still counted while it drained
    return code


if __name__ == "__main__":
    sys.exit(main())
