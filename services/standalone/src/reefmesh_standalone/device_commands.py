"""Commands to devices over MQTT, each matched to its own response by operation id."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import uuid4

from reefmesh.broker.devices import DeviceTopics
from reefmesh.contracts.senders import BrokerUsers, device_senders
from reefmesh.errors import ConfigurationError
from reefmesh_ingest.domain.decode.values import clean_text

Command = Literal["ping", "reboot"]

RESPONSE_BYTES_LIMIT: Final = 64 * 1024
REASON_CHARACTERS_LIMIT: Final = 500
SHIPPED_SENDERS: Final = device_senders(BrokerUsers())
_DEVICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A device's answer to one command: ``status`` is ``ok``, ``failed`` or its own word."""

    operation_id: str
    status: str
    reason: str
    after_seconds: float

    @property
    def is_ok(self) -> bool:
        return self.status == "ok"


class DeviceCommands:
    """``device_senders``: the broker users that may answer for any device; any other may answer for the device of its own name.

    Any number of commands may be under way at once, to one device or to many."""

    def __init__(
        self,
        topics: DeviceTopics,
        *,
        device_senders: frozenset[str] = SHIPPED_SENDERS,
        new_id: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self._topics = topics
        self._device_senders = device_senders
        self._new_id = new_id

    async def send(self, device: str, command: Command, *, timeout_seconds: float) -> Answer | None:
        """Send a command and wait for its answer; None when none came in time. Whatever answers another command, also an
        earlier one of ours whose answer is late, is passed over; so is the answer of a user that may not answer for the device.

        Raises:
            ConfigurationError: this cannot be a device's name, or this user may not send commands.
            BrokerUnavailable: nobody knows whether the command was sent.
        """
        if not _DEVICE.match(device):
            raise ConfigurationError(
                f"{clean_text(device, 64)!r} is no IMEI: letters, digits, dot, dash, underscore, at most 64"
            )
        operation_id = self._new_id()
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        def heard(body: bytes, user_id: str | None) -> None:
            if user_id != device and user_id not in self._device_senders:
                return
            document = response_to(operation_id, body)
            if document is not None and not answered.done():
                answered.set_result(document)

        async with self._topics.hear(f"buoys/{device}/d2c/response", heard):
            body = json.dumps({"msg_type": "cmd", "cmd": command, "operation_id": operation_id}).encode()
            began = time.monotonic()
            await self._topics.tell(f"buoys/{device}/c2d/cmd", body)
            try:
                async with asyncio.timeout(timeout_seconds):
                    document = await answered
            except TimeoutError:
                return None
        return Answer(
            operation_id=operation_id,
            status=clean_text(document.get("status", "unknown"), 40),
            reason=clean_text(document.get("reason") or "", REASON_CHARACTERS_LIMIT),
            after_seconds=round(time.monotonic() - began, 3),
        )


def response_to(operation_id: str, body: bytes) -> dict[str, Any] | None:
    """Return the response in ``body`` if it is the one to this operation; devices may send anything."""
    if len(body) > RESPONSE_BYTES_LIMIT:
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("msg_type") != "response":
        return None
    return document if document.get("operation_id") == operation_id else None
