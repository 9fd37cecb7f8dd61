"""The examples as a reader would start them, on both brokers: each does what its first line says, and ends at SIGTERM."""

import asyncio
import csv
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Channel
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import ALERT_2, READINGS_1, SCORES_2
from reefmesh.contracts.services import SERVICES
from reefmesh_components.ports import HOST, free_port

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
GOLDEN: Final = Path(__file__).parents[1] / "contract" / "golden"
REEF: Final = "amed-wall"
PATIENCE_SECONDS: Final = 60.0
STARTED: Final = "started successfully"
HANDLED: Final = "Processed"
"""What FastStream logs."""

pytestmark = pytest.mark.timeout(180)  # the first of them starts the brokers

UrlOf = Callable[[str], str]


@pytest.fixture(params=["rabbitmq", "activemq"])
def url_of(request: pytest.FixtureRequest) -> UrlOf:
    """The address for one of the broker's users."""
    url: UrlOf = request.getfixturevalue(f"{request.param}_process").url
    return url


class Example:
    """A program of ``examples/``, from its start to its end."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self._command = (sys.executable, str(EXAMPLES / name))
        self._environment = {**os.environ, **environment}
        self._lines: list[str] = []

    async def __aenter__(self) -> "Example":
        self._process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        await self.until_logged(STARTED)
        return self

    async def until_logged(self, words: str) -> None:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while line := (await self._process.stdout.readline()).decode():
                self._lines.append(line)
                if words in line:
                    return
        raise AssertionError(f"it ended without {words!r}:\n{''.join(self._lines)}")

    async def end(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._process.wait()

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


def message(schema_id: str, sample: str, *, seq: int) -> Envelope:
    return Envelope(
        event_id=f"{sample}-{seq}",
        reef_id=REEF,
        schema_id=schema_id,
        produced_at=datetime(2026, 3, 1, 18, 30, tzinfo=UTC),
        body=(GOLDEN / f"{sample}.json").read_bytes(),
        seq=seq,
    )


async def publish(url_of: UrlOf, channel: Channel, messages: Sequence[Envelope]) -> None:
    """As the service does that owns the channel."""
    owner = next(each.name for each in SERVICES if channel in each.publishes)
    broker = open_broker(url_of(owner), clock=SystemClock())
    await broker.connect()
    await broker.publish([Publication(channel=channel.name, message=each) for each in messages])
    await broker.close()


async def test_alerts_are_posted_once_more_when_the_webhook_fails(url_of: UrlOf) -> None:
    answers, posted = [503, 200, 200], list[tuple[str | None, str]]()

    async def receive(request: web.Request) -> web.Response:
        posted.append((request.headers.get("Idempotency-Key"), (await request.json())["text"]))
        return web.Response(status=answers.pop(0))

    application = web.Application()
    application.router.add_post("/", receive)
    runner, port = web.AppRunner(application), free_port()
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    environment = {"BROKER_URL": url_of("operator"), "WEBHOOK_URL": f"http://{HOST}:{port}/"}
    async with Example("alerts_to_webhook.py", environment) as example:
        await publish(url_of, channels.ALERTS, [message(ALERT_2, "alert-2", seq=seq) for seq in (1, 2)])
        for _ in range(2):
            await example.until_logged(HANDLED)
        assert 0 == await example.end()
    await runner.cleanup()

    assert ["alert-2-1", "alert-2-1", "alert-2-2"] == [key for key, _ in posted]
    assert {"Amed Wall: quantity 867740030000003/sea_water_temperature opened: reporting -> silent"} == {
        text for _, text in posted
    }


async def test_scores_are_kept_once_each(url_of: UrlOf, tmp_path: Path) -> None:
    database = tmp_path / "scores.db"
    async with Example("scores_to_table.py", {"BROKER_URL": url_of("operator"), "DATABASE": str(database)}) as example:
        # the second one comes again, behind the third
        await publish(url_of, channels.SCORES, [message(SCORES_2, "scores-2", seq=seq) for seq in (1, 2, 3, 2)])
        for _ in range(4):
            await example.until_logged(HANDLED)
        assert 0 == await example.end()

    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT reef, seq FROM score").fetchall()
    connection.close()
    assert [(REEF, 3)] == rows


async def test_temperatures_are_appended(url_of: UrlOf, tmp_path: Path) -> None:
    file = tmp_path / "temperatures.csv"
    async with Example("temperatures_to_csv.py", {"BROKER_URL": url_of("operator"), "CSV": str(file)}) as example:
        await publish(url_of, channels.READINGS, [message(READINGS_1, "readings-1", seq=1)])
        await example.until_logged(HANDLED)
        assert 0 == await example.end()

    with file.open(newline="") as lines:
        rows = list(csv.reader(lines))
    assert [["867740030000003", "2026-03-01T18:30:00+00:00"]] == [row[:2] for row in rows]


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_example_is_short_enough_to_be_read_at_once(example: Path) -> None:
    assert 15 <= len(example.read_text().splitlines()) <= 32
