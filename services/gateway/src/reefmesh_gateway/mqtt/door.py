"""The door over MQTT: takes messages from the session, has them made safe, and acknowledges them then."""

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import structlog

from reefmesh.backoff import Backoff
from reefmesh.errors import TransientError
from reefmesh.observability import table
from reefmesh.observability.health import Check
from reefmesh.observability.metrics import Metrics
from reefmesh.service.stop_event import is_set_within
from reefmesh_gateway.domain.mqtt_message import MqttMessage
from reefmesh_gateway.mqtt.intake import JudgedBatch, MqttIntake
from reefmesh_gateway.mqtt.lease import BEAT_SECONDS, Lease
from reefmesh_gateway.mqtt.session import DeviceSession

NAME: Final = "mqtt door"
RELEASE_SECONDS: Final = 5.0
"""How often it is looked whether a report that was held back may go."""
BACKOFF: Final = Backoff(first_seconds=0.1, max_seconds=5.0)

log = structlog.get_logger()


class MqttDoor:
    """Give ``run`` to the service as a background task, ``check`` to its health. ``open_session`` makes a session that nobody
    has opened."""

    def __init__(
        self, *, open_session: Callable[[], DeviceSession], intake: MqttIntake, lease: Lease, metrics: Metrics, random: Random
    ) -> None:
        self._open_session = open_session
        self._intake = intake
        self._lease = lease
        self._metrics = metrics
        self._random = random
        self._session: DeviceSession | None = None
        self._failure: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work while this process holds the lease, stand by otherwise; on ``stop`` finish what is in hand and give it back."""
        while not stop.is_set():
            if not await self._has_lease():
                await is_set_within(stop, BEAT_SECONDS)
                continue
            log.info("this gateway is the client of the MQTT broker")
            ended = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._set_at_stop(stop, ended), name="gateway/mqtt stop")
                tasks.create_task(self._hold_lease(ended), name="gateway/mqtt lease")
                tasks.create_task(self._work(ended), name="gateway/mqtt")
            await self._lease.release()

    async def check(self) -> Check:
        """Report whether devices can be served: a standby is well, and so is a holder that is connected and gets rid of what
        it receives."""
        facts: dict[str, str | int | float | None] = {
            "role": "active" if self._lease.is_held else "standby",
            "held_reports": self._intake.held_reports,
            "dropped_of_qos_0": 0 if self._session is None else self._session.dropped,
        }
        trouble = self._failure
        if self._lease.is_held:
            session = self._session
            if session is None:
                trouble = "it is not connected yet"
            elif not session.is_connected:
                trouble = session.trouble
        if trouble is not None:
            return Check(name=NAME, status="failing", reason=trouble, facts=facts)
        return Check(name=NAME, status="ok", facts=facts)

    async def sample(self) -> None:
        """Set the gauges."""
        session = self._session
        self._metrics.set(table.GATEWAY_MQTT_ACTIVE, self._lease.is_held)
        self._metrics.set(table.GATEWAY_MQTT_CONNECTED, session is not None and session.is_connected)
        self._metrics.set(table.GATEWAY_HELD_REPORTS, self._intake.held_reports)

    async def _has_lease(self) -> bool:
        try:
            is_held = await self._lease.take()
            if is_held:
                await self._intake.load()
        except TransientError as error:
            self._failure = str(error)
            return False
        self._failure = None
        return is_held

    async def _set_at_stop(self, stop: asyncio.Event, ended: asyncio.Event) -> None:
        stopping, ending = asyncio.ensure_future(stop.wait()), asyncio.ensure_future(ended.wait())
        await asyncio.wait({stopping, ending}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        ending.cancel()
        ended.set()

    async def _hold_lease(self, ended: asyncio.Event) -> None:
        await self._lease.hold(ended)
        ended.set()

    async def _work(self, ended: asyncio.Event) -> None:
        session = self._open_session()
        session.open()
        self._session = session
        ending = asyncio.ensure_future(ended.wait())
        receiving = asyncio.ensure_future(session.receive())
        try:
            while not ended.is_set():
                await asyncio.wait({ending, receiving}, timeout=RELEASE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if receiving.done() and not ended.is_set():
                    await self._take(receiving.result(), session, ended)
                    receiving = asyncio.ensure_future(session.receive())
                await self._release(ended)
        finally:
            ending.cancel()
            receiving.cancel()
            self._session = None
            await session.close()

    async def _take(self, messages: Sequence[MqttMessage], session: DeviceSession, ended: asyncio.Event) -> None:
        """Make messages safe, and acknowledge them; where the door ends first, the broker delivers them again."""
        batch: JudgedBatch | None = None
        attempt = 0
        while True:
            begun = asyncio.get_running_loop().time()
            try:
                batch = await self._intake.judge(messages) if batch is None else batch
                await self._intake.finish(batch)
            except TransientError as error:
                attempt += 1
                self._failure = f"what devices send cannot be handed on: {error}"
                if attempt == 1:
                    log.warning("messages of devices wait at the MQTT broker", reason=str(error))
                if ended.is_set() or await is_set_within(ended, BACKOFF.delay_seconds(attempt, self._random)):
                    return
                continue
            break
        self._failure = None
        self._metrics.observe(table.GATEWAY_CONFIRM_SECONDS, asyncio.get_running_loop().time() - begun)
        session.acknowledge(messages)

    async def _release(self, ended: asyncio.Event) -> None:
        if self._intake.held_reports == 0 or ended.is_set():
            return
        try:
            await self._intake.release()
        except TransientError as error:
            log.warning("reports that were held back wait on", reason=str(error))
