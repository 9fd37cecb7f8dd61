"""The broker restarts, and its name does not resolve meanwhile, as where names belong to running containers.

The names are taken from the system's own resolver, which needs a mount namespace: the pipeline (``.ci/run``) requires one where
the machine makes it. The fault ``broker_nameless`` of ``tests/faults`` needs none: there a file answers for the resolver.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reefmesh.service.exit import EXIT_UNAVAILABLE
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.ports import HOST
from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_incidents.lone_ingest import LoneIngest
from reefmesh_incidents.own_names import OwnNames

NAME = "broker.reefmesh.test"
BACK_WITHIN_SECONDS = 15.0
"""The longest wait between two attempts (5 s), an attempt, and a slow machine's twice as much."""
BACK_WITHIN_SILENT_SECONDS = 25.0
"""The same, and the longest look-up (8 s)."""


@pytest.fixture
def names(tmp_path: Path) -> OwnNames:
    return OwnNames(tmp_path / "names")


@pytest.fixture
def ingest(activemq_process: ActivemqProcess, names: OwnNames, tmp_path: Path) -> Iterator[LoneIngest]:
    """Knows the broker by its name alone; not started."""
    try:
        command = names.command("-m", "reefmesh_ingest")
    except ComponentMissing as missing:
        give_up(missing)
    url = activemq_process.url("ingest").replace(f"@{HOST}:", f"@{NAME}:")
    ingest = LoneIngest(broker_url=url, folder=tmp_path, command=command)
    yield ingest
    ingest.process.kill()
    activemq_process.start()


def doctor_says(names: OwnNames, broker: ActivemqProcess) -> str:
    url = broker.url().replace(f"@{HOST}:", f"@{NAME}:")
    command = names.command("-m", "reefmesh_standalone", "doctor", "--broker", url)
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60, check=False)
    return next(line for line in done.stdout.splitlines() if "broker" in line)


@pytest.mark.row(7)
def test_name_is_unknown_at_a_start_the_process_ends_with_75(ingest: LoneIngest, measured: Callable[[str], None]) -> None:
    ingest.process.start()
    began = time.monotonic()
    assert ingest.process.wait_until_ended(90.0) == EXIT_UNAVAILABLE
    seconds = time.monotonic() - began
    assert "its name does not resolve" in ingest.process.last_words()
    measured(f"at a start exit 75 after {seconds:.0f} s")


@pytest.mark.incidents
@pytest.mark.row(7)
@pytest.mark.timeout(300)
@pytest.mark.parametrize("resolver", ["says no", "is silent"])
async def test_broker_restarts_without_its_name_work_goes_on_soon_after_both_are_back(
    ingest: LoneIngest, names: OwnNames, activemq_process: ActivemqProcess, measured: Callable[[str], None], resolver: str
) -> None:
    names.point(NAME, HOST)
    ingest.process.start()
    ingest.process.wait_until_healthy()
    await ingest.handle_one(activemq_process.url())  # it has subscribed: its start is over
    with ExitStack() as stack:
        names.forget()
        if resolver == "is silent":
            try:
                stack.enter_context(names.silent_name_server())
            except ComponentMissing as missing:
                give_up(missing)
        activemq_process.stop()
        away = ingest.until(lambda seen: "does not resolve" in seen.reason)
        said = doctor_says(names, activemq_process)
        activemq_process.start()
        assert ingest.seen().status == "failing"
        names.point(NAME, HOST)
        back = time.monotonic()
        ingest.until(lambda seen: seen.status == "ok")
        connected = time.monotonic() - back
        await ingest.handle_one(activemq_process.url())
        handled = time.monotonic() - back
    assert away.live
    assert "fail" in said
    assert "does not resolve" in said
    assert connected < (BACK_WITHIN_SECONDS if resolver == "says no" else BACK_WITHIN_SILENT_SECONDS)
    measured(
        f"resolver {resolver}: connected {connected:.1f} s after broker and name were back, a message handled after"
        f" {handled:.1f} s; meanwhile not ready, live, and doctor and health said that the name does not resolve"
    )
