"""A run of tests that SIGTERM ends leaves nothing running that its fixtures have started."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
import pytest

PATIENCE_SECONDS: Final = 60.0
ENDED_BY_A_SIGNAL: Final = 2
"""What pytest exits with after an interruption."""

TEST: Final = """
import asyncio
import os
import subprocess
import threading

import pytest


@pytest.fixture(scope="session")
def component():
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        yield process
        process.kill()


def say(component):
    with open(os.environ["TOLD"], "w") as told:
        told.write(f"{os.getpid()} {component.pid}\\n")


def test_that_waits_in_a_thread(component, request):
    say(component)
    try:
        threading.Event().wait()
    except KeyboardInterrupt as interruption:
        request.config.rootpath.joinpath("interruption").write_text(str(interruption))
        raise


def test_that_waits_in_a_loop(component):
    async def wait():
        say(component)
        await asyncio.Event().wait()

    asyncio.run(wait())


def run_a_service(component):
    from reefmesh.service.exit import run_to_exit

    async def main(stop):
        pass

    assert run_to_exit(main) == 0


def test_that_runs_a_service_and_then_waits(component):
    run_a_service(component)


def test_that_waits_after_it(component):
    say(component)
    threading.Event().wait()
"""


class UnderWay:
    """A run of pytest: its own process, the one that runs the test, and what the fixture has started."""

    def __init__(self, pytest_process: "subprocess.Popen[str]", told: Path) -> None:
        self.controller = pytest_process
        tester, component = map(int, told.read_text().split())
        self.tester, self.component = psutil.Process(tester), psutil.Process(component)


@contextmanager
def under_way(folder: Path, *options: str) -> Iterator[UnderWay]:
    """Run the tests ``options`` choose; yields when one of them waits. Whatever is left of it at the end is killed."""
    (folder / "test_waiting.py").write_text(TEST)
    told = folder / "told"
    os.mkfifo(told)
    plain = ["-p", "reefmesh_components.plugin", "-q", "-c", os.devnull, "--rootdir", str(folder)]
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *plain, *options, str(folder)],
        env={**os.environ, "REEFMESH_REQUIRE": "", "TOLD": str(told)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        left = [psutil.Process(process.pid)]
        try:
            running = UnderWay(process, told)  # reads until the test has said that it waits
            left += [running.tester, running.component]
            yield running
        finally:
            for each in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()


@pytest.mark.parametrize("where", ["in_a_thread", "in_a_loop", "after_it or that_runs_a_service"])
def test_run_that_sigterm_ends_has_ended_what_its_fixtures_started(tmp_path: Path, where: str) -> None:
    """The third waits after a service that ran in the tests' process, took SIGTERM and gave it back to the system."""
    with under_way(tmp_path, "-k", where) as run:
        run.controller.terminate()
        output, _ = run.controller.communicate(timeout=PATIENCE_SECONDS)
        assert ENDED_BY_A_SIGNAL == run.controller.returncode, output
        assert not run.component.is_running(), output


@pytest.mark.parametrize(("number", "interruption"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGKILL, "")])
def test_worker_whose_controller_a_signal_ends_has_ended_what_its_fixtures_started(
    tmp_path: Path, number: signal.Signals, interruption: str
) -> None:
    """The controller hands SIGTERM on at once; when it is killed, execnet interrupts the worker after a while."""
    with under_way(tmp_path, "-p", "xdist", "--numprocesses", "1", "-k", "in_a_thread") as run:
        assert run.tester.pid != run.controller.pid
        run.controller.send_signal(number)
        run.controller.communicate(timeout=PATIENCE_SECONDS)
        run.tester.wait(PATIENCE_SECONDS)
        assert interruption == (tmp_path / "interruption").read_text()
        assert not run.component.is_running()


def test_worker_that_sigterm_ends_ends_the_whole_run(tmp_path: Path) -> None:
    with under_way(tmp_path, "-p", "xdist", "--numprocesses", "1", "-k", "in_a_thread") as run:
        run.tester.terminate()
        output, _ = run.controller.communicate(timeout=PATIENCE_SECONDS)
        assert ENDED_BY_A_SIGNAL == run.controller.returncode, output
        assert not run.component.is_running(), output
