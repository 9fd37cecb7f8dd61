"""Ask a broker about the rights of a user and about its clock; no message stays there, and none is taken."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from reefmesh.broker.activemq.destinations import channel_topic, parking_queue, subscription_queue
from reefmesh.broker.activemq.errors import BrokerRefusal, connect_failure
from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.outbound_message import OutboundMessage
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.transaction import send_and_abort
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.name_lookup import is_address, look_up
from reefmesh.broker.network_address import Endpoint
from reefmesh.broker.port import BrokerUnavailable
from reefmesh.broker.probe import Obstacle
from reefmesh.contracts.channels import Subscription
from reefmesh.errors import ConfigurationError, TransientError

ANSWER_SECONDS: Final = 10.0
MARK: Final = "probe"


class ActiveMQProbe:
    def __init__(self, url: str) -> None:
        self._address = ActiveMQAddress.parse(url)
        self._session: Session | None = None

    async def connect(self) -> None:
        context = self._address.ssl_context()
        failures: list[str] = []
        for endpoint in self._address.endpoints:
            try:
                self._session = await Session.open(self._address, endpoint, context)
            except TransientError as error:
                failures.append(str(error))
            else:
                return
        raise BrokerUnavailable(f"no broker: {'; '.join(failures)}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def unresolved_names(self) -> list[str]:
        answers = await asyncio.gather(*(self._why_unresolved(endpoint) for endpoint in self._address.endpoints))
        return [answer for answer in answers if answer]

    async def may_publish(self, channel: str) -> str | None:
        return await self._may_send(channel_topic(channel))

    async def may_park(self, subscription: Subscription) -> str | None:
        return await self._may_send(parking_queue(subscription))

    async def may_consume(self, subscription: Subscription) -> str | None:
        """Subscribe as a browser: it needs the rights of a consumer, and takes neither messages nor groups."""
        session = self._up()
        name = session.new_name("b")
        headers = (("ack", "auto"), ("browser", "true"), ("activemq.prefetchSize", "1"))
        try:
            await session.subscribe(name, subscription_queue(subscription), headers, _ignore)
        except BrokerRefusal as refusal:
            return refusal.message
        await session.unsubscribe(name)
        return None

    async def alarm(self) -> Obstacle | None:
        return None  # a full store is told by the sending of the doctor's own messages

    async def obstacles(
        self,
        subscriptions: Sequence[Subscription],  # noqa: ARG002 - the checks of order and persistence meet what can be wrong here
    ) -> list[Obstacle] | None:
        return None

    async def misfits(self, subscription: Subscription) -> list[str] | None:  # noqa: ARG002 - queues have policies, not arguments
        return None

    async def clock_offset_seconds(self, subscription: Subscription) -> float:
        session = self._up()
        arrived: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        name, mark = session.new_name("c"), uuid4().hex

        def read(frame: Frame) -> None:
            session.send("ACK", (("id", frame.headers.get("ack", "")),))
            if frame.headers.get(MARK) == mark and not arrived.done():
                arrived.set_result(frame.headers.get("timestamp", ""))

        queue = subscription_queue(subscription)
        try:
            await session.subscribe(name, queue, (("ack", "client-individual"),), read)
            sent_at = time.time()
            await session.request("SEND", (("destination", queue), ("persistent", "true"), (MARK, mark)), b"")
            confirmed_at = time.time()
            async with asyncio.timeout(ANSWER_SECONDS):
                stamped = await arrived
        except BrokerRefusal as refusal:
            raise refusal.as_failure() from refusal
        except TimeoutError:
            raise BrokerUnavailable(f"our own message did not arrive within {ANSWER_SECONDS:g} s") from None
        finally:
            if not session.is_lost:
                await session.unsubscribe(name)
        if not stamped.isdigit():
            raise ConfigurationError("the broker does not stamp messages with its time")
        return int(stamped) / 1000 - (sent_at + confirmed_at) / 2

    async def _why_unresolved(self, endpoint: Endpoint) -> str | None:
        if is_address(endpoint.host):
            return None
        try:
            await look_up(endpoint.host, endpoint.port, timeout_seconds=ANSWER_SECONDS)
        except OSError as error:
            return str(connect_failure(error, address=str(endpoint), ca_file=None))
        return None

    async def _may_send(self, destination: str) -> str | None:
        try:
            await send_and_abort(self._up(), [OutboundMessage.empty(destination)])
        except BrokerRefusal as refusal:
            return refusal.message
        return None

    def _up(self) -> Session:
        if self._session is None or self._session.is_lost:
            raise ConnectionLost("not connected")
        return self._session


def _ignore(_: Frame) -> None:
    """Only the right to browse matters here."""
