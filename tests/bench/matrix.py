"""``make bench MATRIX=1|quick BROKER=embedded|activemq|rabbitmq|all``: the scenarios of the JMS Benchmark for our own client.

Queue and topic, persistent and not, message and transaction size, producers x consumers x destinations, latency at offered
rates, a slow consumer, staging. Each scenario ends when every message came, in its reef's order. What a broker does not offer
is named, never estimated. Figures: reports/matrix-BROKER.json, in the shape that the viewer of the JMS Benchmark reads;
reports/matrix-BROKER.html shows them, and fetches nothing from anywhere.

examples:
  make bench MATRIX=quick                                        on the embedded engine, in minutes
  make bench MATRIX=1 BROKER=all                                 all brokers, and one page of all
  make bench MATRIX=1 BROKER=rabbitmq ARGS="--only latency,slow" some scenarios
"""

import argparse
import asyncio
import difflib
import gc
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))  # the benchmarks are scripts beside each other, no package

import psutil

from machine import machine
from matrix_engine import Engine, engine_of
from matrix_report import report
from matrix_run import run_scenario
from matrix_scenario import LATENCY, MATRICES, Matrix, Scenario
from reefmesh.observability.logs import configure_logging
from reefmesh.service.garbage import look_rarely
from reefmesh_components.requirement import ComponentMissing

BROKERS: Final = ("embedded", "activemq", "rabbitmq")
HELD: Final = 0.9
"""A rate of which less is published is more than the broker takes."""
EXIT_UNAVAILABLE, EXIT_FAULT, EXIT_INTERRUPTED = 69, 1, 130


class Record:
    """What is known so far of one broker; every change is written at once, so that an end by hand loses nothing."""

    def __init__(self, file: Path, engine: Engine, matrix: Matrix, kind: str) -> None:
        self._file = file
        self._load_before = psutil.getloadavg()[0]
        self.faults = 0
        self.document: dict[str, Any] = {
            "benchmark_settings": {
                "broker_name": engine.name,
                "url": engine.address,
                "sample_count": matrix.samples,
                "sample_interval": round(matrix.sample_seconds * 1000),
                "warm_up_count": matrix.warm_ups,
                "matrix": kind,
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": machine(),
            },
            "scenarios": [],
            "not_offered": [],
            "not_measured": [],
        }
        self._write()

    def add(self, result: dict[str, Any]) -> None:
        self.document["scenarios"].append(result)
        self._write()

    def leave_out(self, kind: str, scenario: Scenario, why: str) -> None:
        """``kind``: ``not_offered`` or ``not_measured``."""
        self.document[kind].append({"parameters": scenario.parameters, "why": why})
        self._write()

    def _write(self) -> None:
        load = f"{self._load_before:.1f} before, {psutil.getloadavg()[0]:.1f} last"
        self.document["benchmark_settings"]["load_average"] = load
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self.document, indent=2) + "\n", encoding="utf-8")


async def measure(engine: Engine, matrix: Matrix, record: Record, chosen: Sequence[Scenario]) -> None:
    too_many = 0
    began = time.monotonic()
    for number, scenario in enumerate(chosen):
        if why := engine.not_offered(scenario):
            record.leave_out("not_offered", scenario, why)
            continue
        if scenario.group == LATENCY and 0 < too_many < scenario.producer_rate:
            record.leave_out("not_measured", scenario, f"{too_many} messages/s were already more than it takes")
            continue
        gc.collect()
        try:
            result = await run_scenario(engine, scenario, matrix, run=str(number))
        except RuntimeError as fault:
            record.faults += 1
            record.leave_out("not_measured", scenario, str(fault).splitlines()[0])
            told = f"FAULT: {fault}"
        else:
            record.add(result.document())
            produced = sum(sample.produced for sample in result.samples) / len(result.samples)
            consumed = sum(sample.consumed for sample in result.samples) / len(result.samples)
            told = f"{produced:,.0f}/s in, {consumed:,.0f}/s out"
            if scenario.group == LATENCY and produced < HELD * scenario.producer_rate:
                too_many = scenario.producer_rate
        print(f"{time.monotonic() - began:5.0f} s  {scenario.name}: {told}", file=sys.stderr, flush=True)


def run(broker: str, kind: str, folder: Path, only: str | None) -> tuple[dict[str, Any], int]:
    """Measure on one broker; return what is on record, and an exit code. Raises ComponentMissing."""
    matrix = MATRICES[kind]
    chosen = [each for each in matrix.scenarios() if only is None or any(word in each.name for word in only.split(","))]
    code = 0
    with engine_of(broker) as engine:
        print(f"{engine.name}: {len(chosen)} scenarios", file=sys.stderr, flush=True)
        record = Record(folder / f"matrix-{broker}.json", engine, matrix, kind)
        try:
            asyncio.run(measure(engine, matrix, record, chosen))
        except KeyboardInterrupt:
            code = EXIT_INTERRUPTED
    return record.document, code or (EXIT_FAULT if record.faults else 0)


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench MATRIX=... BROKER=... ARGS=...",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("matrix", metavar="MATRIX", help="1: everything; quick: in minutes; tiny: a smoke test")
    parser.add_argument("--broker", default="embedded", choices=(*BROKERS, "all"), help="BROKER of make (embedded)")
    parser.add_argument("--only", help="scenarios whose name has one of these words in it, with commas between")
    parser.add_argument("--folder", type=Path, default=Path("reports"), help="where figures and pages are kept (reports)")
    options = parser.parse_args(arguments)
    if options.matrix not in MATRICES:
        near = difflib.get_close_matches(options.matrix.lower(), MATRICES, n=1, cutoff=0.4)
        hint = f"; is MATRIX={near[0]} meant?" if near else ""
        parser.error(f"MATRIX={options.matrix} is not one of {', '.join(MATRICES)}{hint}")
    names = [each.name for each in MATRICES[options.matrix].scenarios()]
    if options.only and not any(word in name for word in options.only.split(",") for name in names):
        parser.error(f"--only {options.only}: in no scenario's name; one is: {names[0]}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    configure_logging("bench", level="error")
    look_rarely()  # as every service does when it starts
    chosen = BROKERS if options.broker == "all" else (options.broker,)
    documents, code = [], 0
    for broker in chosen:
        try:
            document, its_code = run(broker, options.matrix, options.folder, options.only)
        except ComponentMissing as missing:
            print(f"reefmesh: {missing}", file=sys.stderr)
            code = code or EXIT_UNAVAILABLE
            continue
        documents.append(document)
        code = its_code or code
        page = options.folder / f"matrix-{broker}.html"
        page.write_text(report([document]), encoding="utf-8")
        print(f"figures: {page.with_suffix('.json')}; page: {page}")
        if its_code == EXIT_INTERRUPTED:
            break
    if options.broker == "all" and documents:
        page = options.folder / "matrix-all.html"
        page.write_text(report(documents), encoding="utf-8")
        print(f"page of all: {page}")
    return code


if __name__ == "__main__":
    sys.exit(main())
