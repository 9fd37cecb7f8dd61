"""One STOMP transaction: BEGIN, then SEND and ACK, then COMMIT or ABORT.

ActiveMQ has four traits that decide how a transaction is written:

- It mixes up the acknowledgements of transactions that overlap on a connection, so ACK stands directly before COMMIT.
- A refused message without a receipt makes it refuse the COMMIT. The transaction then stays open for as long as the connection
  lasts, with the acknowledged messages in it: the connection has to be dropped.
- A refused message with a receipt leaves the transaction usable, so it can be aborted. Receipts halve the throughput.
- It drops a message that is too long for it, and goes on with what was written behind it, an ACK and a COMMIT too, until the
  connection is closed. So a message that may be too long is confirmed before anything follows it.

``ReceiptPolicy`` chooses between the two ways of sending.
"""

import asyncio
from collections.abc import Iterable, Sequence
from math import inf
from types import TracebackType
from typing import Final, Self

from reefmesh.broker.activemq.outbound_message import OutboundMessage
from reefmesh.broker.activemq.session import Session

RECEIPTS_AFTER_REFUSAL_SECONDS: Final = 60.0
"""How long after a refusal each message is confirmed before anything is acknowledged."""


class ReceiptPolicy:
    """Whether each message of a transaction asks for a receipt: always, or for a while after a refusal.

    It outlives sessions, because a refusal without receipts costs the session.
    """

    def __init__(self, *, always: bool = False) -> None:
        self._until = inf if always else -inf

    def asks_receipts(self, now_seconds: float) -> bool:
        return now_seconds < self._until

    def note_refusal(self, now_seconds: float) -> None:
        self._until = max(self._until, now_seconds + RECEIPTS_AFTER_REFUSAL_SECONDS)


class Transaction:
    """A context: it begins on entry, and is aborted on exit unless ``commit`` was called."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._header = ("transaction", session.new_name("t"))
        self._is_open = False

    def __enter__(self) -> Self:
        self._session.send("BEGIN", (self._header,))
        self._is_open = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._is_open and not self._session.is_lost:
            self._session.send("ABORT", (self._header,))

    async def send(self, messages: Iterable[OutboundMessage]) -> None:
        """Send without receipts: when the broker refuses a message, it refuses the COMMIT. Return when the broker has taken
        every message that is not ``is_surely_read``. Raises BrokerRefusal when it refuses one of these."""
        for message in messages:
            if message.is_surely_read:
                self._session.send("SEND", self._headers(message), message.body)
                await self._session.drain()
            else:
                await self.send_confirmed([message])

    async def send_confirmed(self, messages: Iterable[OutboundMessage]) -> None:
        """Return when the broker has taken all messages. Raises BrokerRefusal with the first refusal: commit nothing then."""
        confirmations = []
        for message in messages:
            confirmations.append(self._session.request("SEND", self._headers(message), message.body))
            await self._session.drain()
        for outcome in await asyncio.gather(*confirmations, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    def acknowledge(self, ack_id: str) -> None:
        self._session.send("ACK", (("id", ack_id), self._header))

    def commit(self) -> "asyncio.Future[None]":
        """Return a future that is done when the broker has committed. It fails with BrokerRefusal (drop the connection then)
        or ConnectionLost (committed or not)."""
        self._is_open = False
        return self._session.request("COMMIT", (self._header,))

    def _headers(self, message: OutboundMessage) -> tuple[tuple[str, str], ...]:
        return (("destination", message.destination), self._header, *message.headers)


async def send_and_abort(session: Session, messages: Sequence[OutboundMessage]) -> None:
    """Let the broker judge these messages without keeping them. It creates their queues if need be; no message stays there and
    no consumer notices. Raises BrokerRefusal."""
    if messages:
        with Transaction(session) as transaction:
            await transaction.send_confirmed(messages)
