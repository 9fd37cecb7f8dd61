"""Scoring as it ships, but for a task beside it that does what an incident needs: a program for processes of their own.

``talks``: it logs four megabytes a second for as long as it runs. ``stands``: on SIGUSR1 its event loop does not come back.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import structlog

from reefmesh.observability.health_check import check_health, is_asked_for
from reefmesh.service.assembly import Blueprint, Parts
from reefmesh.service.command import run_service
from reefmesh.service.lifecycle import Background
from reefmesh.service.stop_event import is_set_within
from reefmesh_scoring.bootstrap import PROGRAM
from reefmesh_scoring.settings import ScoringSettings

ROUND_SECONDS = 0.05
LINES_PER_ROUND = 50
FILLING = "x" * 4_000
STANDS_SECONDS = 600

log = structlog.get_logger("talkative")


async def _talk(stop: asyncio.Event) -> None:
    number = 0
    while not await is_set_within(stop, ROUND_SECONDS):
        for _ in range(LINES_PER_ROUND):
            number += 1
            log.info("talk", number=number, filling=FILLING)


async def _stand(stop: asyncio.Event) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, time.sleep, STANDS_SECONDS)
    await stop.wait()


def main() -> int:
    kind, arguments = sys.argv[1], sys.argv[2:]
    if is_asked_for(arguments):
        return check_health("scoring", arguments)
    task: Background = {"talks": _talk, "stands": _stand}[kind]

    def blueprint(settings: ScoringSettings) -> Blueprint:
        own = PROGRAM.blueprint(settings)

        def background(parts: Parts) -> Sequence[Background]:
            return (*own.background(parts), task)

        return replace(own, background=background)

    return run_service(replace(PROGRAM, blueprint=blueprint), arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
