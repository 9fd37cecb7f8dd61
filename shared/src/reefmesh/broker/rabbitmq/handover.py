"""How the consumers of a subscription share its shards: each says that it is there, and gives up what belongs to another.

The broker gives a shard to one consumer and never takes it away. So each consumer announces itself to the others, through an
exchange of the subscription, when it starts, when it hears of a new one, and at every beat; and says good-bye. Who has a shard
that belongs to another gives it up: it stands at the end of the shard's queue then, and the broker gives the shard to the next
one. Where that is not the one to which it belongs, it does the same: after a round it is there.

To give a shard up takes seconds, and its next owner gets all anew that is not acknowledged. So who gives something up goes on
saying meanwhile that it is there, or the others would count it as gone and move more; and a shard with much in its overflow
queue stays where it is until so much was done there that the move is worth it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Final
from uuid import uuid4

from aiormq.abc import DeliveredMessage

from reefmesh.broker.port import BrokerEvent, BrokerUnavailable
from reefmesh.broker.rabbitmq.connection import Channel, Connection, close_channel
from reefmesh.broker.rabbitmq.errors import BrokerRefusal, translated
from reefmesh.broker.rabbitmq.membership import Membership
from reefmesh.broker.rabbitmq.message_headers import text_of
from reefmesh.broker.rabbitmq.outbound_message import OutboundMessage
from reefmesh.broker.rabbitmq.publisher import RabbitMQPublisher
from reefmesh.broker.rabbitmq.shard import Shard
from reefmesh.broker.rabbitmq.topology import member_queue, members_exchange
from reefmesh.contracts.channels import Subscription

BEAT_SECONDS: Final = 2.0
JITTER_SECONDS: Final = 0.1
"""Before shards are given up: several members are often started together, and they need not all move at the same instant."""
GIVE_UP_SECONDS: Final = 1.0
"""How long a shard is paused so that what is in hand of it is settled; after that its reefs go on, and a later beat
tries again, after ``KEEP_SECONDS``."""
KEEP_SECONDS: Final = 3.0
"""A shard that came back although it was given up is kept for so long: the one to whom it belongs may not be able to take
it."""
KEEP_SECONDS_PER_MESSAGE: Final = 0.01
"""How long a shard is kept, at least, for each message that would be sent anew: some ten times what that costs."""
AT_ONCE: Final = 8
"""So many shards are given up at the same time."""
FAREWELL_SECONDS: Final = 2.0
MEMBER, TAKES, FAREWELL = "member", "takes", "farewell"


class HandOver:
    """Of one consumer, under a name of its own."""

    def __init__(
        self,
        subscription: Subscription,
        shards: Sequence[Shard],
        publisher: RabbitMQPublisher,
        *,
        own_user: str,
        on_event: Callable[[BrokerEvent], None],
        random: Random,
    ) -> None:
        self._subscription = subscription
        self._shards = shards
        self._publisher = publisher
        self._own_user = own_user
        self._on_event = on_event
        self._random = random
        self._name = uuid4().hex
        self._membership = Membership(self._name)
        self._loop = asyncio.get_running_loop()
        self._channel: Channel | None = None
        self._given_up_at_seconds: dict[int, float] = {}
        self._awake = asyncio.Event()
        self._must_say = True
        self._has_changed = asyncio.Event()
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def subscribe(self, connection: Connection) -> None:
        """Hear the others, over a queue that ends with this connection. Raises BrokerRefusal or ConnectionLost."""
        self._channel = channel = await connection.channel()
        queue = member_queue(self._subscription, f"{self._name}.{uuid4().hex[:8]}")
        with translated(), connection.answering():
            await channel.queue_declare(queue, exclusive=True, auto_delete=True)
            await channel.queue_bind(queue, members_exchange(self._subscription))
            await channel.basic_consume(queue, self._on_message, no_ack=True)
        self._say_soon()
        if not self._tasks:
            self._tasks = (
                asyncio.create_task(self._beat(), name=f"member {self._subscription}"),
                asyncio.create_task(self._share(), name=f"hand-over {self._subscription}"),
            )

    def lost(self) -> None:
        self._channel = None

    def notice(self) -> None:
        """The broker has given us a shard: it may belong to another."""
        self._has_changed.set()

    def say(self, *, takes: bool) -> None:
        """Tell the others whether we have a lane to spare."""
        if self._membership.say(takes=takes):
            self._say_soon()

    async def stop(self) -> None:
        """Give nothing up any more. Idempotent."""
        tasks, self._tasks = self._tasks, ()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def leave(self) -> None:
        """Say good-bye, if that is possible at once."""
        channel, self._channel = self._channel, None
        if channel is None:
            return
        with contextlib.suppress(BrokerRefusal, BrokerUnavailable, TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._publisher.send([self._message(**{FAREWELL: "true"})])
        await close_channel(channel)

    async def _on_message(self, delivered: DeliveredMessage) -> None:
        properties = delivered.header.properties
        name = text_of(properties.headers or {}, MEMBER) or ""
        if properties.user_id != self._own_user:
            return  # nobody but this service's own processes is a member
        if FAREWELL in (properties.headers or {}):
            has_changed = self._membership.left(name)
        else:
            takes = text_of(properties.headers or {}, TAKES) != "false"
            has_changed = self._membership.heard(name, takes=takes, now_seconds=self._loop.time())
            if has_changed:
                self._say_soon()
        if has_changed:
            self._tell()
        self._has_changed.set()

    async def _beat(self) -> None:
        said_at_seconds = self._loop.time() - BEAT_SECONDS
        while True:
            now = self._loop.time()
            if self._must_say or now - said_at_seconds >= BEAT_SECONDS:
                self._must_say, said_at_seconds = False, now
                with contextlib.suppress(BrokerRefusal, BrokerUnavailable):  # the next beat says it again
                    await self._publisher.send([self._message(**{TAKES: "true" if self._membership.takes else "false"})])
            if self._membership.forget_silent(now):
                self._tell()
                self._has_changed.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(said_at_seconds + BEAT_SECONDS):
                    await self._awake.wait()
            self._awake.clear()

    async def _share(self) -> None:
        while True:
            await self._give_up_others()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._has_changed.wait()
            self._has_changed.clear()
            await asyncio.sleep(JITTER_SECONDS * self._random.random())

    async def _give_up_others(self) -> None:
        """Give up the shards that are ours by chance and belong to another."""
        now = self._loop.time()
        owned = [shard for shard in self._shards if shard.is_owned]
        ours = self._membership.ours(len(self._shards)) if owned and self._membership.others else None
        if ours is None:
            return
        others = [shard for shard in owned if shard.index not in ours and not self._is_kept(shard, now)]
        turn = asyncio.Semaphore(AT_ONCE)

        async def give_up(shard: Shard) -> bool:
            async with turn:
                self._given_up_at_seconds[shard.index] = self._loop.time()
                return await shard.give_up(within_seconds=GIVE_UP_SECONDS)

        self._random.shuffle(others)
        given_up = sum(await asyncio.gather(*(give_up(shard) for shard in others)))
        if given_up:
            self._emit("groups_released", shards=given_up)

    def _is_kept(self, shard: Shard, now: float) -> bool:
        if now - self._given_up_at_seconds.get(shard.index, -KEEP_SECONDS) < KEEP_SECONDS:
            return True
        return now - shard.owned_since_seconds < KEEP_SECONDS_PER_MESSAGE * len(shard.overflowing)

    def _say_soon(self) -> None:
        self._must_say = True
        self._awake.set()

    def _message(self, **headers: str) -> OutboundMessage:
        return OutboundMessage(
            exchange=members_exchange(self._subscription),
            routing_key="",
            headers={MEMBER: self._name, **headers},
            must_arrive=False,
        )

    def _tell(self) -> None:
        self._emit("consumers_changed", other_members=self._membership.others)

    def _emit(self, name: str, **facts: int) -> None:
        self._on_event(BrokerEvent(name=name, facts={"subscription": str(self._subscription), **facts}))
