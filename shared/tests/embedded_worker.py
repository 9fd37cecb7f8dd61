"""A process of the journal's tests: does what its arguments say and reports on standard output, one line per fact.

``work PATH``: owner; publishes and settles with outputs until killed; reports only what has been confirmed.
``publish PATH REEFS COUNT NAME``: publisher; publishes COUNT messages for each of REEFS, then ends.
``hold PATH``: owner; waits to be killed.
"""

import asyncio
import sys
from datetime import UTC, datetime
from itertools import count

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker, Lane, Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import Envelope

INBOUND = Subscription("alpha", Channel("in", numbered=False))
OUTBOUND = Subscription("beta", Channel("out", numbered=False))
PRODUCED_AT = datetime(2026, 3, 1, tzinfo=UTC)


def publication(channel: str, reef_id: str, number: int, name: str = "") -> Publication:
    message = Envelope(
        event_id=f"{channel}/{name}{reef_id}/{number}",
        reef_id=reef_id,
        schema_id="readings/1",
        produced_at=PRODUCED_AT,
        seq=number + 1,
        body=b"x" * (number % 700),
    )
    return Publication(channel=channel, message=message)


def report(*facts: object) -> None:
    sys.stdout.write(" ".join(map(str, facts)) + "\n")
    sys.stdout.flush()


async def work(path: str, first: int) -> None:
    broker = open_broker(f"embedded://{path}", clock=SystemClock())
    await broker.connect()
    await broker.declare([INBOUND, OUTBOUND])
    consumer = broker.consumer(INBOUND, lanes=4)
    await consumer.start()
    async with asyncio.TaskGroup() as tasks:
        for index in range(4):
            tasks.create_task(_publish_for_ever(broker, f"reef-{index}", first))
        for lane in consumer.lanes:
            tasks.create_task(_settle_for_ever(lane))


async def _publish_for_ever(broker: Broker, reef_id: str, first: int) -> None:
    for number in count(first):
        report("publishing", reef_id, number)
        await broker.publish([publication("in", reef_id, number)])
        report("published", reef_id, number)


async def _settle_for_ever(lane: Lane) -> None:
    while (delivery := await lane.receive()) is not None:
        assert delivery.message.seq is not None
        number = delivery.message.seq - 1
        report("settling", delivery.message.reef_id, number)
        await lane.settle(delivery, [publication("out", delivery.message.reef_id, number)])
        report("settled", delivery.message.reef_id, number)


async def publish(path: str, reefs: int, messages: int, name: str) -> None:
    broker = open_broker(f"embedded://{path}?role=publisher", clock=SystemClock())
    await broker.connect()
    report("ready")
    sys.stdin.readline()
    for number in range(messages):
        await broker.publish([publication("in", f"reef-{index}", number, f"{name}-") for index in range(reefs)])
    await broker.close()
    report("done")


async def hold(path: str) -> None:
    broker = open_broker(f"embedded://{path}", clock=SystemClock())
    await broker.connect()
    report("holding")
    await asyncio.Event().wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["work", path, first]:
            asyncio.run(work(path, int(first)))
        case ["publish", path, reefs, messages, name]:
            asyncio.run(publish(path, int(reefs), int(messages), name))
        case ["hold", path]:
            asyncio.run(hold(path))
