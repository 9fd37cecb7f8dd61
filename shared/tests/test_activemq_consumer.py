"""The consumer and its lanes, without a broker."""

import asyncio
from collections import defaultdict
from random import Random
from typing import cast

import pytest

from reefmesh.broker.activemq.consumer import ActiveMQConsumer
from reefmesh.broker.activemq.isolation_watch import IsolationLimits
from reefmesh.broker.activemq.message_headers import to_frame
from reefmesh.broker.activemq.parking import ActiveMQParking
from reefmesh.broker.activemq.session import ReconnectingSession, Session
from reefmesh.broker.activemq.session_killers import SessionKillers
from reefmesh.broker.activemq.shared_transactions import SharedTransactions
from reefmesh.broker.activemq.transaction import ReceiptPolicy
from reefmesh.broker.reconnecting import Attachment
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import QUARANTINE, Subscription
from reefmesh_components.activemq_client import publication
from reefmesh_components.spying_session import SpyingSession


class OneSession:
    """Stands for a session that is never lost."""

    def __init__(self) -> None:
        self.spy = SpyingSession()
        self.attachments: list[Attachment[Session]] = []

    def current(self) -> Session:
        return self.spy.as_session()

    def add(self, attachment: Attachment[Session]) -> None:
        self.attachments.append(attachment)

    def remove(self, attachment: Attachment[Session]) -> None:
        self.attachments.remove(attachment)


def consumer_on(sessions: OneSession, *, lanes: int) -> ActiveMQConsumer:
    return ActiveMQConsumer(
        cast(ReconnectingSession, sessions),
        Subscription("alpha", QUARANTINE),
        lanes=lanes,
        subscriptions_limit=1,
        clock=SystemClock(),
        transactions=lambda session: SharedTransactions(session, ReceiptPolicy()),
        killers=SessionKillers(),
        parking=ActiveMQParking(cast(ReconnectingSession, sessions), Subscription("alpha", QUARANTINE)),
        quota=None,
        on_event=lambda event: None,
        random=Random(1),
        limits=IsolationLimits(),
    )


async def test_message_whose_lane_is_cancelled_as_it_comes_goes_to_another() -> None:
    """The lane was woken for it and has not taken it yet."""
    sessions = OneSession()
    consumer = consumer_on(sessions, lanes=2)
    await consumer.start()
    waiting = [asyncio.create_task(lane.receive()) for lane in consumer.lanes]
    await asyncio.sleep(0)  # one turn of the loop: both wait
    message = publication(QUARANTINE.name, 1).message
    sessions.spy.deliver(ack="a1", **{name.replace("-", "_"): value for name, value in to_frame(message)})
    waiting[0].cancel()
    delivery = await asyncio.wait_for(waiting[1], 60)
    assert waiting[0].cancelled()
    assert delivery is not None
    assert message.event_id == delivery.message.event_id
    await consumer.close()
    assert [] == sessions.attachments


async def test_isolating_a_reef_without_messages_here_writes_nothing() -> None:
    sessions = OneSession()
    consumer = consumer_on(sessions, lanes=2)
    await consumer.start()
    written = list(sessions.spy.commands)
    await consumer.isolate("reef-unknown")
    await consumer.close()
    await consumer.isolate("reef-unknown")
    assert written == sessions.spy.commands[: len(written)]
    assert () == consumer.statistics().isolated_reefs


class UnconfirmedSession(SpyingSession):
    """Takes each message of a transaction, and confirms none before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.written = defaultdict[str, asyncio.Event](asyncio.Event)
        self.confirmation: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, command: str, headers: tuple[tuple[str, str], ...], body: bytes | None = None) -> None:
        self.commands.append(command)
        self.written[command].set()

    def request(self, command: str, headers: tuple[tuple[str, str], ...], body: bytes | None = None) -> "asyncio.Future[None]":
        self.send(command, headers, body)
        return self.confirmation if command == "SEND" else self._confirmed()

    async def drain(self) -> None:
        """There is always room."""


@pytest.mark.parametrize("headers", [{}, {"schema": ""}], ids=["parked by its handler", "unreadable"])
async def test_parked_copy_is_confirmed_before_its_message_is_acknowledged(headers: dict[str, str]) -> None:
    """A refused copy without a receipt does not keep the broker from committing the acknowledgement beside it."""
    sessions = OneSession()
    sessions.spy = session = UnconfirmedSession()
    consumer = consumer_on(sessions, lanes=1)
    await consumer.start()
    (lane,) = consumer.lanes
    session.commands.clear()
    message = to_frame(publication(QUARANTINE.name, 1).message)
    session.deliver(ack="a1", **{name.replace("-", "_"): value for name, value in {**dict(message), **headers}.items()})

    async def settle() -> None:
        delivery = await lane.receive()
        assert delivery is not None
        await lane.park(delivery, reason="poison", detail="", attempts=1)

    parking = asyncio.create_task(settle())
    await asyncio.wait_for(session.written["SEND"].wait(), 60)
    await asyncio.sleep(0)  # one turn of the loop: whatever does not wait is written
    assert ["BEGIN", "SEND"] == session.commands
    session.confirmation.set_result(None)
    await asyncio.wait_for(session.written["COMMIT"].wait(), 60)
    assert ["BEGIN", "SEND", "ACK", "COMMIT"] == session.commands
    parking.cancel()
    await asyncio.gather(parking, return_exceptions=True)
    await consumer.close()
