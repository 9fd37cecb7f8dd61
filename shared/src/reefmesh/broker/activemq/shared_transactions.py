"""Publishers and lanes that commit at the same time share one broker transaction, and with it one write to the broker's disk.

Each brings a *part*: the messages to send and, for a lane, the acknowledgement that belongs to them. The first part is
committed at once; parts that arrive meanwhile go into the next transaction. When the broker refuses a message, the
transaction is aborted and its parts are committed one by one, so a refusal affects its own part only.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn, Protocol

from reefmesh.broker.activemq.errors import BrokerRefusal
from reefmesh.broker.activemq.outbound_message import OutboundMessage
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.transaction import ReceiptPolicy, Transaction
from reefmesh.broker.connection_loss import ConnectionLost

MESSAGES_LIMIT: Final = 500
BYTES_LIMIT: Final = 4 * 1024 * 1024
UNDER_WAY_LIMIT: Final = 2


class Acknowledgement(Protocol):
    """Of the inbound message that a part settles. The methods are called in this order, in one turn of the event loop."""

    @property
    def is_void(self) -> bool:
        """Whether the broker has taken the message back; then its outputs may not be sent either."""
        ...

    def settle(self) -> None:
        """Mark the message as settled."""
        ...

    def take_ack_id(self) -> str | None:
        """Return what to acknowledge now; None: nothing yet, or another part of this transaction acknowledges it too."""
        ...

    def written(self) -> None:
        """The acknowledgement is written: write what must follow it directly."""
        ...


@dataclass(slots=True, kw_only=True)
class TransactionPart:
    """``acknowledgement``: of the inbound message that ``messages`` are the outputs of; None: of none.

    ``confirms_first``: the acknowledgement is written only after the broker has confirmed each message. Otherwise a frame that
    the broker cannot read, and therefore never takes into the transaction, would not keep the COMMIT from acknowledging.
    """

    messages: Sequence[OutboundMessage]
    acknowledgement: Acknowledgement | None = None
    confirms_first: bool = False
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def size_bytes(self) -> int:
        return sum(len(message.body) for message in self.messages)

    @property
    def is_void(self) -> bool:
        return self.acknowledgement is not None and self.acknowledgement.is_void

    def succeed(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, failure: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(failure)
            self.done.exception()  # its caller may have been cancelled: asyncio must not log the error as lost


class SharedTransactions:
    """Of one session."""

    def __init__(self, session: Session, receipts: ReceiptPolicy) -> None:
        self._session = session
        self._receipts = receipts
        self._waiting: list[TransactionPart] = []
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    async def commit(self, part: TransactionPart) -> None:
        """Return when the broker has committed the whole part.

        Raises:
            BrokerRefusal: a message was refused: nothing was sent, nothing acknowledged.
            ConnectionLost: the part was committed or not.
        """
        self._waiting.append(part)
        if self._under_way < UNDER_WAY_LIMIT:
            self._under_way += 1
            task = asyncio.create_task(self._commit_waiting(), name="shared transactions")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await part.done

    async def _commit_waiting(self) -> None:
        """Run until no part waits. ``_under_way`` falls before the task ends, so that the next part starts a new task."""
        try:
            while self._waiting:
                parts = self._next_parts()
                try:
                    await self._commit(parts)
                except Exception as failure:  # noqa: BLE001 - whatever fails, no caller may wait for ever
                    for part in parts:
                        part.fail(failure)
        finally:
            self._under_way -= 1

    def _next_parts(self) -> list[TransactionPart]:
        messages = size_bytes = count = 0
        for part in self._waiting:
            messages += max(1, len(part.messages))
            size_bytes += part.size_bytes
            if count and (messages > MESSAGES_LIMIT or size_bytes > BYTES_LIMIT):
                break
            count += 1
        parts, self._waiting = self._waiting[:count], self._waiting[count:]
        return [part for part in parts if not part.done.done()]  # a cancelled caller is not served

    async def _commit(self, parts: list[TransactionPart]) -> None:
        for part in parts:
            if part.is_void:
                part.fail(ConnectionLost("the broker took the message back"))
        parts = [part for part in parts if not part.is_void]
        if not parts:
            return
        acknowledgements = [part.acknowledgement for part in parts if part.acknowledgement is not None]
        messages = [message for part in parts for message in part.messages]
        if len(acknowledgements) + len(messages) <= 1:
            await self._without_transaction(messages, acknowledgements)
        else:
            try:
                confirms_first = any(part.confirms_first for part in parts)
                is_committed = await self._in_transaction(messages, acknowledgements, confirms_first=confirms_first)
            except BrokerRefusal as refusal:
                self._receipts.note_refusal(self._loop.time())
                await self._one_by_one(parts, refusal)
                return
            if not is_committed:
                await self._commit(parts)
                return
        for part in parts:
            part.succeed()

    async def _in_transaction(
        self, messages: list[OutboundMessage], acknowledgements: list[Acknowledgement], *, confirms_first: bool
    ) -> bool:
        """Return False when the broker took a message back while its outputs were sent: the transaction was aborted.

        Raises:
            BrokerRefusal: a message was refused, and the transaction was aborted.
        """
        with Transaction(self._session) as transaction:
            if confirms_first or self._receipts.asks_receipts(self._loop.time()):
                await transaction.send_confirmed(messages)
            else:
                await transaction.send(messages)
            if any(each.is_void for each in acknowledgements):
                return False
            for ack_id in _settle(acknowledgements):
                transaction.acknowledge(ack_id)
            committed = transaction.commit()
        for each in acknowledgements:
            each.written()
        await self._confirmed(committed)
        return True

    async def _without_transaction(self, messages: list[OutboundMessage], acknowledgements: list[Acknowledgement]) -> None:
        """Write the only command: it needs no transaction."""
        for message in messages:
            headers = (("destination", message.destination), *message.headers)
            confirmed = self._session.request("SEND", headers, message.body)
            await self._session.drain()
            await confirmed
        for each in acknowledgements:
            answers = [self._session.request("ACK", (("id", ack_id),)) for ack_id in _settle([each])]
            each.written()
            for acknowledged in answers:
                await self._confirmed(acknowledged)

    async def _confirmed(self, answer: "asyncio.Future[None]") -> None:
        """Wait for the answer to COMMIT or ACK. The only way on after a refusal is a new connection."""
        try:
            await answer
        except BrokerRefusal as refusal:
            self._drop_connection(refusal)

    def _drop_connection(self, refusal: BrokerRefusal) -> NoReturn:
        self._receipts.note_refusal(self._loop.time())
        reason = ConnectionLost(f"the broker did not commit: {refusal.message}")
        self._session.lose(reason)
        raise reason from refusal

    async def _one_by_one(self, parts: list[TransactionPart], refusal: BrokerRefusal) -> None:
        if len(parts) == 1:
            parts[0].fail(refusal)
            return
        for part in parts:
            try:
                await self._commit([part])
            except BrokerRefusal as failure:
                part.fail(failure)


def _settle(acknowledgements: Sequence[Acknowledgement]) -> list[str]:
    """Return what to acknowledge for them."""
    for each in acknowledgements:
        each.settle()
    return [ack_id for each in acknowledgements if (ack_id := each.take_ack_id()) is not None]
