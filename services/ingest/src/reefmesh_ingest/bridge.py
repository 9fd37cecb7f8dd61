"""The bridge: MQTT messages of devices become telemetry of the mesh, in order, in one broker transaction a batch.

Every ingest process has one. The broker gives messages to one of them at a time; the others stand by.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from random import Random
from typing import Final

import structlog

from reefmesh.backoff import Backoff
from reefmesh.broker.devices import DeviceMessage, DeviceQueue, Move, Role
from reefmesh.broker.port import LaneLost, Publication
from reefmesh.broker.producer import Producer
from reefmesh.clock import Clock
from reefmesh.contracts.channels import TELEMETRY, UNREGISTERED
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.senders import Senders
from reefmesh.errors import TransientError
from reefmesh.observability import table
from reefmesh.observability.health import Check
from reefmesh.observability.metrics import Metrics
from reefmesh.service.stop_event import is_set_within
from reefmesh_ingest.domain.device_message import device_of, telemetry_of
from reefmesh_ingest.register.table import Register

TAKEOVER_SECONDS: Final = 2.0
"""A bridge that becomes active waits this long before it moves anything. A stopping broker may deliver messages to it while
another bridge still holds earlier ones; its own connection ends a moment later, and then all are redelivered in order."""

BACKOFF: Final = Backoff(first_seconds=0.1, max_seconds=5.0)

NOBODY: Final = "(nobody)"
"""In place of the user of a message of which the broker does not state one."""

log = structlog.get_logger()


class Bridge:
    """``senders``: who may send as any device. Any other user may send as the device of its own name.

    Give ``run`` to the service as a background task, ``check`` to its health, ``sample`` to its metrics."""

    def __init__(
        self,
        *,
        queue: DeviceQueue,
        register: Register,
        clock: Clock,
        metrics: Metrics,
        senders: Senders,
        backoff: Backoff = BACKOFF,
        takeover_seconds: float = TAKEOVER_SECONDS,
    ) -> None:
        self._queue = queue
        self._register = register
        self._clock = clock
        self._metrics = metrics
        self._senders = senders
        self._backoff = backoff
        self._takeover_seconds = takeover_seconds
        self._random = Random()  # noqa: S311 - jitter, nothing secret
        self._producer = Producer()
        self._logged_role: Role = "away"
        self._moved = 0
        self._failures = 0
        self._losses = 0
        self._failing = ""
        self._is_starting = True

    async def run(self, stop: asyncio.Event) -> None:
        """Move messages until ``stop``: the batch in hand is finished, the others are left to another bridge.

        Raises:
            ConfigurationError: this user may not read the queue of devices.
        """
        stopping = asyncio.create_task(self._stop_receiving(stop), name="bridge/stop")
        try:
            await self._start(stop)
            while batch := await self._queue.receive():
                if self._becomes_active() and not batch[0].redelivered:
                    await is_set_within(stop, self._takeover_seconds)
                await self._move(batch, stop)
        finally:
            stopping.cancel()
            await self._queue.close()
        log.info("mqtt bridge stopped", moved=self._moved)

    async def check(self) -> Check:
        """Report whether device messages can be moved, and whether this process moves them."""
        role = self._queue.role
        facts: dict[str, str | int | float | None] = {"role": role, "moved": self._moved, "failures": self._failures}
        if self._failing:
            return Check(name="mqtt bridge", status="degraded", reason=self._failing, facts=facts)
        if role == "away" and not self._is_starting:
            return Check(name="mqtt bridge", status="degraded", reason="not subscribed", facts=facts)
        return Check(name="mqtt bridge", status="ok", facts=facts)

    async def sample(self) -> None:
        self._metrics.set(table.BRIDGE_ACTIVE, int(self._queue.role == "active"))

    async def _stop_receiving(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._queue.stop()

    async def _start(self, stop: asyncio.Event) -> None:
        attempt = 0
        while not stop.is_set():
            try:
                await self._queue.start()
            except TransientError as failure:
                attempt += 1
                await self._wait(attempt, failure, stop)
            else:
                self._failing, self._is_starting = "", False
                log.info("mqtt bridge subscribed")
                return

    async def _move(self, batch: Sequence[DeviceMessage], stop: asyncio.Event) -> None:
        """Move a batch, however long it takes: later messages must not overtake it."""
        attempt = 0
        while not stop.is_set() or attempt == 0:
            try:
                moves = await self._moves_of(batch)
                await self._queue.settle(moves)
            except LaneLost as lost:  # it is redelivered, here or elsewhere; wait first, in case the broker refuses it
                self._logged_role = "away"
                self._losses += 1
                await self._wait(self._losses, lost, stop)
                return
            except TransientError as failure:
                attempt += 1
                await self._wait(attempt, failure, stop)
            else:
                self._producer.confirmed([output.message for move in moves for output in move.outputs])
                self._count(moves)
                return

    async def _moves_of(self, batch: Sequence[DeviceMessage]) -> list[Move]:
        """Raises StoreUnavailable."""
        devices = [device_of(message.topic) for message in batch]
        if self._register.is_due() or any(device and self._register.buoy(device) is None for device in devices):
            await self._register.refresh()  # a device that was registered a moment ago must be found
        now = self._clock.now()
        envelopes = []
        for message, device in zip(batch, devices, strict=True):
            buoy = self._register.buoy(device) if device else None
            envelopes.append(
                telemetry_of(
                    message_id=message.message_id,
                    topic=message.topic,
                    body=message.body,
                    stamp=message.received_at,
                    reef_id=buoy.entry.reef if buoy else None,
                    now=now,
                    sent_by=self._sent_by(message, now),
                )
            )
        return [
            Move(message=message, outputs=(Publication(channel=TELEMETRY.name, message=envelope),))
            for message, envelope in zip(batch, self._producer.link(envelopes), strict=True)
        ]

    def _sent_by(self, message: DeviceMessage, now: datetime) -> str | None:
        """Return the user that sent the message, for ingest to compare with the device; None: it may send as any device."""
        if message.user_id is None:
            return None if self._senders.accepts_unstamped(now) else NOBODY
        return None if message.user_id in self._senders.speakers else message.user_id

    async def _wait(self, attempt: int, failure: TransientError, stop: asyncio.Event) -> None:
        self._failures += 1
        self._metrics.count(table.BRIDGE_FAILURES, type(failure).__name__)
        if attempt == 1:
            log.warning("mqtt bridge cannot move messages, and tries again", reason=str(failure))
        self._failing = str(failure)
        await is_set_within(stop, self._backoff.delay_seconds(attempt, self._random))

    def _becomes_active(self) -> bool:
        if (role := self._queue.role) == self._logged_role:
            return False
        self._logged_role = role
        log.info(f"mqtt bridge {role}")
        return role == "active"

    def _count(self, moves: Sequence[Move]) -> None:
        if self._failing:
            log.info("mqtt bridge moves messages again")
            self._failing = ""
            self._losses = 0
        self._moved += len(moves)
        for whose, number in Counter(_whose(output.message) for move in moves for output in move.outputs).items():
            self._metrics.count(table.BRIDGED, whose, amount=number)


def _whose(message: Envelope) -> str:
    if "device" not in message.headers:
        return "nameless"
    return "unregistered" if message.reef_id == UNREGISTERED else "registered"
