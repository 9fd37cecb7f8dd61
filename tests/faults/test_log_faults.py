"""A stalled reader of a log is seen to cost nothing, and a process that waits for one is found."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from reefmesh_components.service_process import ServiceProcess
from reefmesh_faults.log_checker import check_logs
from reefmesh_faults.log_faults import LogFaults
from reefmesh_faults.told_names import BrokerName

NAME = "scoring-1"
WAITS_FOR_ITS_READER = """
import asyncio, json, os, pathlib, sys
DROPPED = "reefmesh_log_lines_dropped_total{stream=\\"stderr\\"} 0\\n"

async def answer(reader, writer):
    await reader.readline()
    writer.write(f"HTTP/1.0 200 OK\\r\\n\\r\\n{DROPPED}".encode())
    writer.close()

async def main():
    asked = pathlib.Path(sys.argv[1])
    await asyncio.start_server(answer, "127.0.0.1", int(os.environ["REEFMESH_HTTP_PORT"]))
    number = 0
    while True:
        await asyncio.sleep(0.01)
        if asked.exists():
            number += 1
            line = {"event": "talk of the fault machine", "word": asked.read_text(), "number": number, "filling": "x" * 9000}
            print(json.dumps(line), file=sys.stderr, flush=True)

asyncio.run(main())
"""
Started = Callable[..., ServiceProcess]


@pytest.fixture
async def faults(tmp_path: Path) -> AsyncIterator[LogFaults]:
    faults = LogFaults(folder=tmp_path / "recorded", did=Counter(), page_timeout_seconds=2.0)
    faults.folder.mkdir()
    BrokerName(faults.folder).know()
    yield faults
    faults.close()


@pytest.fixture
def started(faults: LogFaults, tmp_path: Path) -> Iterator[Started]:
    processes = []

    def start(*command: str) -> ServiceProcess:
        process = ServiceProcess(
            "scoring",
            name=NAME,
            broker_url="embedded://",
            store_url=f"sqlite:///{tmp_path}/scoring.db",
            folder=tmp_path,
            command=command,
            output=faults.open(NAME, tmp_path),
        )
        processes.append(process)
        process.start()
        return process

    yield start
    for process in processes:
        process.kill()


async def test_service_whose_log_nobody_reads_goes_on_and_tells_what_it_dropped(faults: LogFaults, started: Started) -> None:
    faults.page_timeout_seconds = 15.0
    process = started("-m", "reefmesh_faults.recorded_service", "scoring", NAME, str(faults.folder))
    await asyncio.to_thread(process.wait_until_healthy)
    await faults.stall(process, 0.5)
    (stall,) = faults.stalls
    assert [] == list(check_logs([stall]))
    assert stall.pages_answered
    assert 0 < stall.told_dropped == stall.counted_dropped
    assert stall.numbers[-1] > len(stall.numbers)
    assert "service started" in process.log.read_text()


async def test_process_that_waits_for_the_reader_of_its_log_is_found(faults: LogFaults, started: Started) -> None:
    process = started("-c", WAITS_FOR_ITS_READER, str(faults.folder / f"{NAME}.talk"))
    while not await asyncio.to_thread(answers, process):
        assert process.pid is not None
    await faults.stall(process, 0.5)
    assert ["its pages did not answer while nobody read its log"] == [each.what for each in check_logs(faults.stalls)]


def answers(process: ServiceProcess) -> bool:
    try:
        process.metric("reefmesh_log_lines_dropped_total")
    except OSError:
        return False
    return True
