"""What is written for settlements whose message the broker takes back before, and while, they are written."""

import asyncio
from collections.abc import Callable

import pytest

from reefmesh.broker.activemq.message_headers import HEADER_LINE_BYTES_LIMIT, line_bytes
from reefmesh.broker.activemq.outbound_message import (
    SURELY_READ_BODY_BYTES,
    SURELY_READ_HEADER_CHARACTERS,
    OutboundMessage,
)
from reefmesh.broker.activemq.shared_transactions import SharedTransactions, TransactionPart
from reefmesh.broker.activemq.transaction import ReceiptPolicy
from reefmesh.broker.connection_loss import ConnectionLost

PATIENCE_SECONDS = 60.0


class Session:
    """Confirms everything at once; ``while_sending`` is called when a message has been written."""

    is_lost = False

    def __init__(self) -> None:
        self.told: list[str] = []
        self.while_sending: Callable[[], None] = lambda: None
        self._transactions = iter(f"t{number}" for number in range(1, 100))

    def new_name(self, prefix: str) -> str:
        assert prefix == "t"
        return next(self._transactions)

    def send(self, command: str, headers: tuple[tuple[str, str], ...], body: bytes | None = None) -> None:
        named = dict(headers)
        what = body.decode() if body is not None else named.get("id", "")
        self.told.append(f"{command} {what} {named.get('transaction', '-')}".replace("  ", " "))
        if command == "SEND":
            self.while_sending()

    def request(self, command: str, headers: tuple[tuple[str, str], ...], body: bytes | None = None) -> "asyncio.Future[None]":
        self.send(command, headers, body)
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    async def drain(self) -> None:
        """There is always room."""


class Message:
    """The acknowledgement of one message."""

    def __init__(self, ack_id: str) -> None:
        self.is_void = False
        self._ack_id = ack_id

    def settle(self) -> None:
        """Nothing is to be remembered."""

    def take_ack_id(self) -> str | None:
        return self._ack_id

    def written(self) -> None:
        """Nothing follows."""


def part_of(message: Message, text: str) -> TransactionPart:
    return TransactionPart(
        messages=[OutboundMessage(destination="/queue/out", headers=(), body=text.encode())], acknowledgement=message
    )


async def settle(
    session: Session, *parts: TransactionPart, receipts: ReceiptPolicy | None = None
) -> list[BaseException | None]:
    transactions = SharedTransactions(session, receipts or ReceiptPolicy())  # type: ignore[arg-type]
    return await asyncio.gather(*(transactions.commit(part) for part in parts), return_exceptions=True)


async def test_taken_back_before_it_is_written_nothing_of_it_is_sent() -> None:
    session, gone, ours = Session(), Message("a1"), Message("a2")
    gone.is_void = True
    outcomes = await settle(session, part_of(gone, "one"), part_of(ours, "two"))
    assert isinstance(outcomes[0], ConnectionLost)
    assert outcomes[1] is None
    assert session.told == ["BEGIN t1", "SEND two t1", "ACK a2 t1", "COMMIT t1"]


@pytest.mark.parametrize("careful", [False, True])
async def test_taken_back_while_it_is_written_its_transaction_is_given_up_and_the_others_are_written_again(
    careful: bool,
) -> None:
    session, gone, ours = Session(), Message("a1"), Message("a2")

    def take_back() -> None:
        gone.is_void = True

    session.while_sending = take_back
    outcomes = await settle(session, part_of(gone, "one"), part_of(ours, "two"), receipts=ReceiptPolicy(always=careful))
    assert isinstance(outcomes[0], ConnectionLost)
    assert outcomes[1] is None
    assert session.told == [
        *("BEGIN t1", "SEND one t1", "SEND two t1", "ABORT t1"),
        *("BEGIN t2", "SEND two t2", "ACK a2 t2", "COMMIT t2"),
    ]


class SlowSession(Session):
    """Confirms a SEND only when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.unconfirmed: list[asyncio.Future[None]] = []

    def request(self, command: str, headers: tuple[tuple[str, str], ...], body: bytes | None = None) -> "asyncio.Future[None]":
        if command != "SEND":
            return super().request(command, headers, body)
        self.send(command, headers, body)
        future = asyncio.get_running_loop().create_future()
        self.unconfirmed.append(future)
        self.asked.set()
        return future


LONG = {
    "body": OutboundMessage(destination="/queue/out", headers=(), body=b"x" * (SURELY_READ_BODY_BYTES + 1)),
    "one header": OutboundMessage(destination="/queue/out", headers=(("x", "y" * SURELY_READ_HEADER_CHARACTERS),), body=b"x"),
    "many headers": OutboundMessage(destination="/queue/out", headers=tuple((f"h-{n}", "") for n in range(1001)), body=b"x"),
}


@pytest.mark.parametrize("output", LONG.values(), ids=list(LONG))
async def test_output_that_a_broker_may_not_be_able_to_read_nothing_is_acknowledged_before_it_is_confirmed(
    output: OutboundMessage,
) -> None:
    """Law 3: the broker drops what is too long for it, and would carry out the ACK and the COMMIT that stand behind it."""
    session = SlowSession()
    part = TransactionPart(messages=[output], acknowledgement=Message("a1"))
    settling = asyncio.create_task(settle(session, part))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await session.asked.wait()
    assert ["BEGIN", "SEND"] == [told.partition(" ")[0] for told in session.told]
    session.unconfirmed[0].set_exception(ConnectionLost("the peer closed the connection"))
    assert [ConnectionLost] == [type(outcome) for outcome in await settling]
    assert "ACK" not in " ".join(session.told)


async def test_output_that_every_broker_reads_is_not_waited_for() -> None:
    session = SlowSession()
    output = OutboundMessage(destination="/queue/out", headers=(("x", "y" * 2_000),), body=b"x" * SURELY_READ_BODY_BYTES)
    assert [None] == await settle(session, TransactionPart(messages=[output], acknowledgement=Message("a1")))
    assert [] == session.unconfirmed


def test_headers_that_are_surely_read_make_no_line_too_long_however_they_are_written() -> None:
    for character in ("\\", ":", "\uffff"):
        name, value = "x", character * (SURELY_READ_HEADER_CHARACTERS - 1)
        assert OutboundMessage(destination="/queue/out", headers=((name, value),), body=b"").is_surely_read
        assert line_bytes(name, value) < HEADER_LINE_BYTES_LIMIT
