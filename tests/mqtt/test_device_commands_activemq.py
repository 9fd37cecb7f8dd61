"""Commands to a device that is subscribed over MQTT, through a real broker; its responses also flow into ingest."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import READINGS
from reefmesh.contracts.readings import READERS
from reefmesh.contracts.schema import read_body
from reefmesh_components.nemo_pi import NemoPi, data, nemo_pi
from reefmesh_standalone.device_commands import DeviceCommands

IMEI = "867740030000003"
OTHER = "867740030000004"
NEVER_SEEN = "867740030000005"
EXIT_UNAVAILABLE = 75


@asynccontextmanager
async def commands(stage: Any) -> AsyncIterator[DeviceCommands]:
    client = ActiveMQBroker(stage.broker.url(), clock=SystemClock())
    await client.connect()
    try:
        yield DeviceCommands(client.device_topics())
    finally:
        await client.close()


@asynccontextmanager
async def listening(stage: Any, imei: str) -> AsyncIterator[NemoPi]:
    async with nemo_pi(stage.broker, imei) as device:
        await device.listen()
        yield device


async def reefmesh(*arguments: str) -> "asyncio.subprocess.Process":
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "reefmesh_standalone", *arguments, stdout=pipe, stderr=pipe
    )


async def test_ping_is_answered_and_its_response_is_a_reading_too(stage: Any) -> None:
    async with (
        stage.ears(READINGS) as (ear,),
        stage.ingest(),
        commands(stage) as sender,
        listening(stage, IMEI) as device,
    ):
        asked = asyncio.create_task(sender.send(IMEI, "ping", timeout_seconds=30))
        command = await device.next_command()
        assert (command["msg_type"], command["cmd"]) == ("cmd", "ping")
        await device.respond(command)
        answer = await asked
        assert answer is not None
        assert (answer.operation_id, answer.status, answer.reason) == (command["operation_id"], "ok", "")
        (message, *_) = await ear.until_there_are(1)
        status = read_body(message, READERS).readings[0].status
        assert status is not None
        assert (status.report, status.detail["operation_id"]) == ("response", command["operation_id"])


async def test_parallel_commands_to_two_devices_get_each_its_own_answer(stage: Any) -> None:
    async with commands(stage) as sender, listening(stage, IMEI) as first, listening(stage, OTHER) as second:
        wanted = [(IMEI, "ping"), (OTHER, "ping"), (IMEI, "reboot"), (OTHER, "reboot"), (IMEI, "ping")]
        asked = [asyncio.create_task(sender.send(imei, command, timeout_seconds=30)) for imei, command in wanted]  # type: ignore[arg-type]  # literals in a list
        at_first = [await first.next_command() for _ in range(3)]
        at_second = [await second.next_command() for _ in range(2)]
        for command in reversed(at_second):
            await second.respond(command, reason=f"second {command['cmd']}")
        for command in reversed(at_first):
            await first.respond(
                command, status="failed" if command["cmd"] == "reboot" else "ok", reason=f"first {command['cmd']}"
            )
        answers = [answer for answer in await asyncio.gather(*asked) if answer is not None]
        assert [answer.reason for answer in answers] == [
            "first ping",
            "second ping",
            "first reboot",
            "second reboot",
            "first ping",
        ]
        assert [answer.is_ok for answer in answers] == [True, True, False, True, True]
        assert len({answer.operation_id for answer in answers}) == 5


async def test_late_answer_is_passed_over_by_the_next_ping(stage: Any) -> None:
    async with commands(stage) as sender, listening(stage, IMEI) as device:
        assert await sender.send(IMEI, "ping", timeout_seconds=0.01) is None
        late = await device.next_command()
        asked = asyncio.create_task(sender.send(IMEI, "ping", timeout_seconds=30))
        command = await device.next_command()
        await device.respond(late, reason="late")
        await device.respond(command, reason="in time")
        answer = await asked
        assert answer is not None
        assert answer.reason == "in time"


async def test_command_line_prints_the_answer_as_json(stage: Any) -> None:
    async with listening(stage, IMEI) as device:
        options = ("--broker", stage.broker.url(), "--home", str(stage.folder / "home"), "--timeout", "60")
        process = await reefmesh("buoys", "ping", IMEI, "--json", *options)
        await device.respond(await device.next_command())
        out, err = await process.communicate()
        assert (process.returncode, err) == (0, b"")
        document = json.loads(out)
        assert (document["device"], document["answered"], document["status"]) == (IMEI, True, "ok")


async def test_command_line_says_what_the_device_failed_at(stage: Any) -> None:
    async with listening(stage, IMEI) as device:
        options = ("--broker", stage.broker.url(), "--home", str(stage.folder / "home"), "--timeout", "60")
        process = await reefmesh("buoys", "reboot", IMEI, *options)
        await device.respond(await device.next_command(), status="failed", reason="battery low")
        out, err = await process.communicate()
        assert (process.returncode, err) == (1, b"")
        assert out.decode().startswith(f"{IMEI} answered reboot after ")
        assert out.decode().endswith("s: failed (battery low)\n")


async def test_command_line_without_an_answer_tells_when_the_device_was_seen_last(stage: Any) -> None:
    async with stage.ears(READINGS) as (ear,), stage.ingest():
        async with nemo_pi(stage.broker, IMEI) as device:
            await device.publish(data(29.0))
        await ear.until_there_are(1)
    options = ("--broker", stage.broker.url(), "--timeout", "0.2")
    process = await reefmesh("buoys", "ping", IMEI, *options, "--home", str(stage.folder))
    out, err = await process.communicate()
    assert (process.returncode, out) == (EXIT_UNAVAILABLE, b"")
    line = err.decode()
    assert line.startswith(f"reefmesh: no answer of {IMEI} to ping within 0.2 s; last seen ")
    assert line.endswith(" s ago\n")
    unseen = await reefmesh("buoys", "ping", NEVER_SEEN, *options, "--home", str(stage.folder))
    _, err = await unseen.communicate()
    assert err.decode() == f"reefmesh: no answer of {NEVER_SEEN} to ping within 0.2 s; last seen: unknown\n"
