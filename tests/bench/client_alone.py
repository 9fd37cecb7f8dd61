"""The STOMP client alone: receive and acknowledge one by one, 250 bytes a message.

usage: python tests/bench/client_alone.py URL MESSAGES [--fill]  (prints messages per second of its CPU, and of the clock)

With ``--fill`` it fills the queue first, as a real broker needs it; a peer that pours has messages of its own.
"""

import asyncio
import sys
import time
from typing import Final

from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.outbound_message import OutboundMessage
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.shared_transactions import SharedTransactions, TransactionPart
from reefmesh.broker.activemq.transaction import ReceiptPolicy
from reefmesh.broker.activemq.url import ActiveMQAddress

QUEUE: Final = "/queue/bench.client"
BODY: Final = b"x" * 250
MESSAGES_PER_TRANSACTION: Final = 500
PREFETCH: Final = "500"  # 1000 would count as "nothing said", and the broker would take its own 1


async def run(url: str, messages: int, *, fill: bool) -> tuple[float, float]:
    address = ActiveMQAddress.parse(url)
    session = await Session.open(address, address.endpoints[0], None)
    if fill:
        await _fill(session, messages)
    taken = 0
    all_taken = asyncio.Event()

    def take(frame: Frame) -> None:
        nonlocal taken
        session.send("ACK", (("id", frame.headers["ack"]),))
        taken += 1
        if taken == messages:
            all_taken.set()

    began, cpu = time.perf_counter(), time.process_time()
    headers = (("ack", "client-individual"), ("activemq.prefetchSize", PREFETCH))
    await session.subscribe("client", QUEUE, headers, take)
    async with asyncio.timeout(120):
        await all_taken.wait()
        await session.unsubscribe("client")  # confirmed behind the last acknowledgement
    cpu, wall = time.process_time() - cpu, time.perf_counter() - began
    await session.close()
    return messages / cpu, messages / wall


async def _fill(session: Session, messages: int) -> None:
    transactions = SharedTransactions(session, ReceiptPolicy())
    send = OutboundMessage(destination=QUEUE, headers=(("persistent", "true"),), body=BODY)
    for first in range(0, messages, MESSAGES_PER_TRANSACTION):
        await transactions.commit(TransactionPart(messages=[send] * min(MESSAGES_PER_TRANSACTION, messages - first)))


def main() -> None:
    of_cpu, of_clock = asyncio.run(run(sys.argv[1], int(sys.argv[2]), fill="--fill" in sys.argv))
    print(of_cpu, of_clock)


if __name__ == "__main__":
    main()
