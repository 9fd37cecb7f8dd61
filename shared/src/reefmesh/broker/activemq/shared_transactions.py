"""Many pieces of work in one broker transaction: a write to the broker's disk is shared by all who wait for one.

A piece is the messages to send and, of a consumer, the acknowledgement that goes with them. Work that arrives while a
transaction is under way waits for the next one; the first piece never waits. When the broker refuses a message, its
transaction is given up and the pieces are tried one by one, so a refusal is the problem of its own piece alone.

Two traits of the broker shape what is written. It mixes up acknowledgements of transactions that overlap, so they stand
directly before their COMMIT. And a COMMIT that it refuses leaves the transaction open for as long as the connection lasts, with
the acknowledged messages in it: the connection has to be given up. So ``Care`` decides how a transaction is written. Without
it everything goes out at once, and a refused message costs the connection: redelivery. With it messages are confirmed one
by one before anything is acknowledged, and a transaction with a refused message is given up cleanly; that is half as fast.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final, NoReturn, Protocol

from reefmesh.broker.activemq.errors import BrokerRefusal, ConnectionLost
from reefmesh.broker.activemq.session import Session

MESSAGES_LIMIT: Final = 500
BYTES_LIMIT: Final = 4 * 1024 * 1024
UNDER_WAY_LIMIT: Final = 2
CAREFUL_SECONDS: Final = 60.0
"""How long after a refusal messages are confirmed before anything is acknowledged."""


class Care:
    """Whether messages are confirmed before the commit: always, or for a while after a refusal. It outlives sessions."""

    def __init__(self, *, always: bool = False) -> None:
        self._until = inf if always else -inf

    def is_taken(self, now_seconds: float) -> bool:
        return now_seconds < self._until

    def take(self, now_seconds: float) -> None:
        self._until = max(self._until, now_seconds + CAREFUL_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    destination: str
    headers: Sequence[tuple[str, str]]
    body: bytes


class Acknowledgement(Protocol):
    """Of a message that is settled with a piece of work; its methods are called in their order, while it is written."""

    @property
    def is_void(self) -> bool:
        """Whether the broker has taken the message back: then nothing that goes with it may be sent either."""
        ...

    def settle(self) -> None:
        """The message is settled."""
        ...

    def take_ack_id(self) -> str | None:
        """Return what to acknowledge now; None: nothing yet, or it goes with another piece of this transaction."""
        ...

    def written(self) -> None:
        """Write what must follow directly."""
        ...


@dataclass(slots=True, kw_only=True)
class Work:
    """``acknowledgement``: of the message that these are the outputs of; None: of none."""

    sends: Sequence[Send]
    acknowledgement: Acknowledgement | None = None
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def size_bytes(self) -> int:
        return sum(len(send.body) for send in self.sends)


class SharedTransactions:
    """Of one session."""

    def __init__(self, session: Session, care: Care) -> None:
        self._session = session
        self._care = care
        self._waiting: list[Work] = []
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def works(self) -> int:
        return len(self._waiting) + self._under_way

    async def do(self, work: Work) -> None:
        """Return when the broker has done all of it.

        Raises:
            BrokerRefusal: a message was refused: nothing was sent, nothing acknowledged.
            ConnectionLost: nobody knows.
        """
        self._waiting.append(work)
        if self._under_way < UNDER_WAY_LIMIT:
            self._under_way += 1
            task = asyncio.create_task(self._work_off(), name="group commit")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await work.done

    async def _work_off(self) -> None:
        """Runs until nothing waits; it says so before it ends, so that what comes next is begun by its bringer."""
        try:
            await self._work_off_all()
        finally:
            self._under_way -= 1

    async def _work_off_all(self) -> None:
        while self._waiting:
            batch = self._next_batch()
            try:
                await self._commit(batch)
            except Exception as failure:  # noqa: BLE001 - whatever it is, nobody may wait for ever
                for work in batch:
                    _fail(work, failure)

    def _next_batch(self) -> list[Work]:
        messages = size = count = 0
        for work in self._waiting:
            messages += max(1, len(work.sends))
            size += work.size_bytes
            if count and (messages > MESSAGES_LIMIT or size > BYTES_LIMIT):
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return [work for work in batch if not work.done.done()]  # whoever gave up before it began is not served

    async def _commit(self, batch: list[Work]) -> None:
        for work in batch:
            if _is_void(work):
                _fail(work, ConnectionLost("the broker took the message back"))
        batch = [work for work in batch if not _is_void(work)]
        if not batch:
            return
        session = self._session
        settled = [work.acknowledgement for work in batch if work.acknowledgement is not None]
        sends = [send for work in batch for send in work.sends]
        if len(settled) + len(sends) <= 1:
            await self._alone(sends, settled)
        else:
            transaction = session.new_name("t")
            session.tell("BEGIN", (("transaction", transaction),))
            if self._care.is_taken(self._loop.time()):
                try:
                    await self._send_confirmed(sends, transaction)
                except BrokerRefusal as refusal:
                    self._care.take(self._loop.time())
                    session.tell("ABORT", (("transaction", transaction),))
                    await self._one_by_one(batch, refusal)
                    return
            else:
                await self._send(sends, transaction)
            if any(_is_void(work) for work in batch):
                session.tell("ABORT", (("transaction", transaction),))
                await self._commit(batch)
                return
            for ack_id in _settle(settled):
                session.tell("ACK", (("id", ack_id), ("transaction", transaction)))
            committed = session.request("COMMIT", (("transaction", transaction),))
            for each in settled:
                each.written()
            await self._answer(committed)
        for work in batch:
            _succeed(work)

    async def _alone(self, sends: list[Send], settled: list[Acknowledgement]) -> None:
        """One command needs no transaction."""
        for send in sends:
            headers = (("destination", send.destination), *send.headers)
            confirmed = self._session.request("SEND", headers, send.body)
            await self._session.drain()
            await confirmed
        for each in settled:
            answers = [self._session.request("ACK", (("id", ack_id),)) for ack_id in _settle([each])]
            each.written()
            for acknowledged in answers:
                await self._answer(acknowledged)

    async def _answer(self, answer: "asyncio.Future[None]") -> None:
        """A refusal where no message can be refused any more costs the connection."""
        try:
            await answer
        except BrokerRefusal as refusal:
            self._give_up(refusal)

    def _give_up(self, refusal: BrokerRefusal) -> NoReturn:
        self._care.take(self._loop.time())
        reason = ConnectionLost(f"the broker did not commit: {refusal.message}")
        self._session.lose(reason)
        raise reason from refusal

    async def _send(self, sends: list[Send], transaction: str) -> None:
        """Without receipts: a refused message makes the broker refuse the COMMIT."""
        for send in sends:
            headers = (("destination", send.destination), ("transaction", transaction), *send.headers)
            self._session.tell("SEND", headers, send.body)
            await self._session.drain()

    async def _send_confirmed(self, sends: list[Send], transaction: str) -> None:
        confirmations = []
        for send in sends:
            headers = (("destination", send.destination), ("transaction", transaction), *send.headers)
            confirmations.append(self._session.request("SEND", headers, send.body))
            await self._session.drain()
        refusals = await asyncio.gather(*confirmations, return_exceptions=True)
        for refusal in refusals:
            if isinstance(refusal, BaseException):
                raise refusal

    async def _one_by_one(self, batch: list[Work], refusal: BrokerRefusal) -> None:
        if len(batch) == 1:
            _fail(batch[0], refusal)
            return
        for work in batch:
            try:
                await self._commit([work])
            except BrokerRefusal as failure:
                _fail(work, failure)


def _is_void(work: Work) -> bool:
    return work.acknowledgement is not None and work.acknowledgement.is_void


def _settle(settled: Sequence[Acknowledgement]) -> list[str]:
    """Return what to acknowledge for them."""
    for each in settled:
        each.settle()
    return [ack_id for each in settled if (ack_id := each.take_ack_id()) is not None]


def _succeed(work: Work) -> None:
    if not work.done.done():
        work.done.set_result(None)


def _fail(work: Work, failure: Exception) -> None:
    if not work.done.done():
        work.done.set_exception(failure)
        work.done.exception()  # whoever waits hears of it; nobody has to
