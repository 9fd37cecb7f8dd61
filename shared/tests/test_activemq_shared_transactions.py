"""What is written for settlements whose message the broker takes back before, and while, they are written."""

import asyncio
from collections.abc import Callable

import pytest

from reefmesh.broker.activemq.errors import ConnectionLost
from reefmesh.broker.activemq.outbound_message import OutboundMessage
from reefmesh.broker.activemq.shared_transactions import SharedTransactions, TransactionPart
from reefmesh.broker.activemq.transaction import ReceiptPolicy


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
