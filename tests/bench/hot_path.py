"""The hot path of RabbitMQ in three clients, in one run: aiormq as the engine uses it, aio-pika, FastStream (ADR 0037).

Each consumes a backlog from quorum queues with one active consumer, hands each message to the same handler, publishes its
output confirmed and persistent into quorum queues, and acknowledges. The clients take turns, each round in another order, so
that all meet the same machine; ratios are of one round.

usage: python tests/bench/hot_path.py [--quick] [--rounds N] [--messages N] [--json FILE]
"""

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

sys.path.insert(0, str(Path(__file__).parent))  # the benchmarks are scripts beside each other, no package

import psutil
from aiormq.abc import DeliveredMessage
from pamqp.common import FieldValue

from figures import Figure, keep, show
from hot_path_client import CLIENTS, OUT, PATIENCE_SECONDS, SHARDS, shard
from processes import cpu_seconds
from reefmesh.broker.rabbitmq.connection import Connection
from reefmesh.broker.rabbitmq.outbound_message import OutboundMessage
from reefmesh.broker.rabbitmq.publisher import Sender
from reefmesh.broker.rabbitmq.slots import ShardSlots, routing_key_of
from reefmesh.broker.rabbitmq.topology import DELIVERIES_LIMIT, TOPIC
from reefmesh.broker.rabbitmq.url import RabbitMQAddress
from reefmesh.contracts.envelope import event_id_of
from reefmesh_components.rabbitmq import local_rabbitmq
from reefmesh_components.rabbitmq_process import RabbitmqProcess
from reefmesh_components.requirement import ComponentMissing

TITLE: Final = "hot path on RabbitMQ"
CLIENT_SCRIPT: Final = Path(__file__).with_name("hot_path_client.py")
IN: Final = "hot.in"
REEFS: Final = 500
BODIES_BYTES: Final[tuple[int, ...]] = (250, 2_000)
QUEUE: Final[dict[str, FieldValue]] = {"x-queue-type": "quorum", "x-delivery-limit": DELIVERIES_LIMIT}
FIRST: Final = next(iter(CLIENTS))
"""What the others are compared with: the engine's own way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One client's turn in one round. CPU in microseconds a message: the client's, and the broker's meanwhile."""

    client: str
    body_bytes: int
    round: int
    per_second: float
    client_microseconds: float
    broker_microseconds: float
    load_average: float


class Field:
    """The exchanges and queues, how they are filled, and whether what came out is complete."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def declare(self) -> None:
        async with self._connection.passing_channel() as channel:
            for exchange, name in ((IN, shard), (OUT, out_queue)):
                await channel.exchange_declare(exchange, exchange_type=TOPIC, durable=True)
                for index in range(SHARDS):
                    arguments = QUEUE | ({"x-single-active-consumer": True} if exchange == IN else {})
                    await channel.queue_declare(name(index), durable=True, arguments=arguments)
                    for key in ShardSlots(index=index, shards=SHARDS).binding_keys:
                        await channel.queue_bind(name(index), exchange, routing_key=key)

    async def fill(self, turn: str, messages: int, body_bytes: int) -> None:
        now = datetime.now(UTC).isoformat()
        sends = []
        for number in range(messages):
            reef = f"reef-{number % REEFS:05d}"
            headers = {
                "event-id": f"{turn}-{number}",
                "reef-id": reef,
                "schema": "readings/1",
                "produced-at": now,
                "seq": str(number // REEFS + 1),
                "traceparent": f"00-{number + 1:032x}-{1:016x}-00",
            }
            key = routing_key_of(reef)
            sends.append(OutboundMessage(exchange=IN, routing_key=key, headers=headers, body=b"x" * body_bytes))
        await Sender(self._connection).send(sends)

    async def check(self, turn: str, messages: int) -> None:
        """Empty the queues of outputs. Raises RuntimeError when one is missing or more than once there."""
        wanted = {event_id_of(f"{turn}-{number}", "hot-path") for number in range(messages)}
        came: list[str] = []
        complete = asyncio.Event()

        async def take(delivered: DeliveredMessage) -> None:
            headers = delivered.header.properties.headers or {}
            came.append(str(headers["event-id"]))
            if len(came) >= messages:
                complete.set()

        async with self._connection.passing_channel() as channel:
            for index in range(SHARDS):
                await channel.basic_consume(out_queue(index), take, no_ack=True)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await complete.wait()
        if len(came) != messages or set(came) != wanted:
            raise RuntimeError(f"turn {turn}: {len(came)} outputs, {len(wanted & set(came))} of the {messages} expected ones")


def out_queue(index: int) -> str:
    return f"{OUT}.{index}"


async def measure(*, rounds: int, messages: int, bodies: Sequence[int]) -> list[Turn]:
    clients = list(CLIENTS)
    turns: list[Turn] = []
    async with AsyncExitStack() as stack:
        broker = stack.enter_context(local_rabbitmq())
        address = RabbitMQAddress.parse(broker.url())
        connection = await Connection.open(address, address.endpoints[0], None)
        stack.push_async_callback(connection.close)
        field = Field(connection)
        await field.declare()
        for body_bytes in bodies:
            for number in range(rounds + 1):  # the first one warms up, and is not kept
                start = number % len(clients)
                for client in (*clients[start:], *clients[:start]):
                    name = f"{body_bytes}-{number}-{client}"
                    await field.fill(name, messages, body_bytes)
                    turn = await _turn(client, broker, messages=messages, body_bytes=body_bytes, number=number)
                    await field.check(name, messages)
                    if number > 0:
                        turns.append(turn)
                        print(
                            f"{body_bytes} B, round {number}, {client}: {turn.per_second:,.0f} messages/s, CPU a message"
                            f" {turn.client_microseconds:.0f} us, broker {turn.broker_microseconds:.0f} us,"
                            f" load {turn.load_average:.1f}",
                            file=sys.stderr,
                            flush=True,
                        )
    return turns


async def _turn(client: str, broker: RabbitmqProcess, *, messages: int, body_bytes: int, number: int) -> Turn:
    pids = {"broker": broker.pid or 0}
    before = cpu_seconds(pids)["broker"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CLIENT_SCRIPT), client, broker.url(), str(messages), stdout=subprocess.PIPE
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"{client} failed with {process.returncode}; its words are above")
    report = json.loads(output)
    return Turn(
        client=client,
        body_bytes=body_bytes,
        round=number,
        per_second=messages / report["seconds"],
        client_microseconds=report["cpu_seconds"] / messages * 1e6,
        broker_microseconds=(cpu_seconds(pids)["broker"] - before) / messages * 1e6,
        load_average=psutil.getloadavg()[0],
    )


def figures_of(turns: Sequence[Turn]) -> list[Figure]:
    """The middle of each client's rounds, and the middle of the ratios to the engine's own way, each of one round."""
    figures: list[Figure] = []
    for body_bytes in dict.fromkeys(turn.body_bytes for turn in turns):
        of_client = {
            client: [each for each in turns if each.client == client and each.body_bytes == body_bytes] for client in CLIENTS
        }
        for client, own in of_client.items():
            where = f"{body_bytes} B, {client}"
            figures += [
                Figure(name=where, value=median(each.per_second for each in own), unit="messages/s"),
                Figure(name=f"{where}: CPU", value=median(each.client_microseconds for each in own), unit="us a message"),
                Figure(
                    name=f"{where}: CPU of the broker",
                    value=median(each.broker_microseconds for each in own),
                    unit="us a message",
                ),
            ]
            if client == FIRST:
                continue
            pairs = list(zip(own, of_client[FIRST], strict=True))
            figures += [
                Figure(
                    name=f"{where} to {FIRST}, rate",
                    value=median(one.per_second / other.per_second for one, other in pairs),
                    unit="ratio",
                ),
                Figure(
                    name=f"{where} to {FIRST}, CPU",
                    value=median(one.client_microseconds / other.client_microseconds for one, other in pairs),
                    unit="ratio",
                ),
            ]
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round of one size: a smoke test, no measurement")
    parser.add_argument("--rounds", type=int, default=5, help="of each size, after one to warm up (5)")
    parser.add_argument("--messages", type=int, default=10_000, help="a turn (10000)")
    parser.add_argument("--json", type=Path, default=Path("reports/bench-hot-path.json"), help="where to keep the figures")
    options = parser.parse_args()
    rounds, messages, bodies = options.rounds, options.messages, BODIES_BYTES
    if options.quick:
        rounds, messages, bodies = 1, 500, BODIES_BYTES[:1]
    try:
        turns = asyncio.run(measure(rounds=rounds, messages=messages, bodies=bodies))
    except ComponentMissing as missing:
        print(f"reefmesh: {missing}", file=sys.stderr)
        return 69
    title = f"{TITLE}, {SHARDS} shards" + (", quick: no measurement" if options.quick else "")
    figures = figures_of(turns)
    show(title, figures)
    loads = [turn.load_average for turn in turns]
    print(f"load average {min(loads):.1f} to {max(loads):.1f} while it was measured; figures: {options.json}")
    keep(options.json, title, figures, load_average=[min(loads), max(loads)], turns=[_as_json(turn) for turn in turns])
    return 0


def _as_json(turn: Turn) -> dict[str, object]:
    return {name: getattr(turn, name) for name in Turn.__slots__}


if __name__ == "__main__":
    sys.exit(main())
