"""Commands to devices: whose answer is whose."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from reefmesh.errors import ConfigurationError
from reefmesh_standalone.device_commands import Command, DeviceCommands, response_to

IMEI = "867740030000003"
OTHER = "867740030000004"


def response(operation_id: object, **named: object) -> bytes:
    document = {"msg_type": "response", "cmd": "ping", "operation_id": operation_id, "status": "ok", "reason": ""}
    return json.dumps(document | named).encode()


class Air:
    """Topics in memory: commands are noted, and the test says what devices answer."""

    def __init__(self) -> None:
        self.ears: dict[str, list[Callable[[bytes, str | None], None]]] = {}
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.heard_when_told: list[int] = []
        self.command = asyncio.Condition()

    async def tell(self, topic: str, body: bytes) -> None:
        async with self.command:
            self.heard_when_told.append(len(self.ears.get(topic.replace("c2d/cmd", "d2c/response"), ())))
            self.told.append((topic, json.loads(body)))
            self.command.notify_all()

    @asynccontextmanager
    async def hear(self, topic: str, on_message: Callable[[bytes, str | None], None]) -> AsyncIterator[None]:
        ears = self.ears.setdefault(topic, [])
        ears.append(on_message)
        try:
            yield
        finally:
            ears.remove(on_message)

    def say(self, imei: str, body: bytes, *, user: str | None = "buoy") -> None:
        for ear in tuple(self.ears.get(f"buoys/{imei}/d2c/response", ())):
            ear(body, user)

    async def until_told(self, number: int) -> None:
        async with asyncio.timeout(60), self.command:
            await self.command.wait_for(lambda: len(self.told) >= number)

    def operation(self, place: int) -> str:
        operation_id: str = self.told[place][1]["operation_id"]
        return operation_id


async def test_command_is_heard_for_before_it_is_sent() -> None:
    air = Air()
    asked = asyncio.create_task(DeviceCommands(air).send(IMEI, "ping", timeout_seconds=10))
    await air.until_told(1)
    assert air.heard_when_told == [1]
    assert air.told == [(f"buoys/{IMEI}/c2d/cmd", {"msg_type": "cmd", "cmd": "ping", "operation_id": air.operation(0)})]
    air.say(IMEI, response(air.operation(0)))
    answer = await asked
    assert answer is not None
    assert answer.is_ok
    assert air.ears[f"buoys/{IMEI}/d2c/response"] == []


async def test_parallel_commands_get_each_its_own_answer_in_whatever_order_they_come() -> None:
    air = Air()
    commands = DeviceCommands(air)
    wanted: tuple[tuple[str, Command], ...] = ((IMEI, "ping"), (IMEI, "reboot"), (OTHER, "ping"), (IMEI, "ping"))
    asked = [asyncio.create_task(commands.send(imei, command, timeout_seconds=10)) for imei, command in wanted]
    await air.until_told(4)
    for place in (3, 2, 0, 1):
        imei = air.told[place][0].split("/")[1]
        air.say(imei, response(air.operation(place), status="failed" if place == 1 else "ok", reason=f"answer {place}"))
    answers = [answer for answer in await asyncio.gather(*asked) if answer is not None]
    assert [answer.operation_id for answer in answers] == [air.operation(place) for place in range(4)]
    assert [answer.reason for answer in answers] == [f"answer {place}" for place in range(4)]
    assert [answer.is_ok for answer in answers] == [True, False, True, True]


async def test_late_answer_is_not_taken_for_the_next_commands() -> None:
    air = Air()
    commands = DeviceCommands(air)
    assert await commands.send(IMEI, "ping", timeout_seconds=0.001) is None
    asked = asyncio.create_task(commands.send(IMEI, "ping", timeout_seconds=10))
    await air.until_told(2)
    air.say(IMEI, response(air.operation(0), reason="late"))
    air.say(IMEI, response(air.operation(1), reason="in time"))
    answer = await asked
    assert answer is not None
    assert answer.reason == "in time"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b'{"msg_type": "data", "operation_id": "mine"}',
        b'{"msg_type": "response"}',
        response("another's"),
        response(None),
        response(["mine"]),
        response("mine", reason="x" * 70_000),
    ],
)
def test_response_to_something_else_is_none(body: bytes) -> None:
    assert response_to("mine", body) is None


async def test_answer_of_any_shape_is_shown_as_plain_text() -> None:
    air = Air()
    asked = asyncio.create_task(DeviceCommands(air).send(IMEI, "ping", timeout_seconds=10))
    await air.until_told(1)
    air.say(IMEI, response(air.operation(0), status={"odd": 1}, reason="\x1b[31mred\x00"))
    answer = await asked
    assert answer is not None
    assert not answer.is_ok
    assert answer.status == '{"odd":1}'
    assert "\x1b" not in answer.reason
    assert "\x00" not in answer.reason


@pytest.mark.parametrize("device", ["", ">", "*", "a/b", "86774003000000 3", "+", "#", "x" * 65, "-dash", "8677\n"])
async def test_name_that_could_reach_other_devices_is_refused(device: str) -> None:
    air = Air()
    with pytest.raises(ConfigurationError, match="is no IMEI"):
        await DeviceCommands(air).send(device, "reboot", timeout_seconds=1)
    assert air.told == []


async def test_answer_of_a_user_that_is_not_the_devices_is_passed_over() -> None:
    """Law 12: nobody answers for another device; the shared user, operators and the device itself may."""
    air = Air()
    asked = asyncio.create_task(DeviceCommands(air).send(IMEI, "ping", timeout_seconds=10))
    await air.until_told(1)
    for user in (OTHER, "scoring", None):
        air.say(IMEI, response(air.operation(0), reason="forged"), user=user)
    air.say(IMEI, response(air.operation(0), reason="honest"), user=IMEI)
    answer = await asked
    assert answer is not None
    assert "honest" == answer.reason
