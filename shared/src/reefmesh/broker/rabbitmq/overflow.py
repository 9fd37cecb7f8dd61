"""The overflow queue of a shard: through it go the reefs that are isolated.

A stuck or hot reef would fill the window of its shard, and the reefs beside it would wait. So the shard's owner moves the
messages of such a reef to the overflow queue: it publishes a copy there, waits for the confirmation, and acknowledges the
original. The window of the overflow queue is above all that can lie in it, so its consumer has all of it in hand.

Order holds by these rules:

- while a message of a reef is in the overflow queue (or on its way), what comes of that reef from the shard follows it there;
- a message that a lane has in hand is *carried over*: it is copied too, before what follows it, and the lane's hold takes the
  copy when it comes. Else a crash would return it to the shard, behind its successors;
- an owner hands out nothing of the shard's own queue until it knows what the overflow queue holds. It publishes a *marker*
  there when its first message comes from the shard, and waits for it: what was there before has come then. This shows, too,
  that it is the active consumer of both queues. Whoever meets a marker of another consumer, and has had nothing of the shard
  itself, gives its place in both queues up; the marker is gone with that (it may as well be of somebody who died), so the
  owner sends another one as long as none has come;
- what comes of the overflow queue may be handed out at once: it precedes everything in the shard.

A crash between confirmation and acknowledgement leaves a message in both queues. The second one comes later, behind others of
its reef, as something that is applied already: by its number, or by the inbox.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, Protocol
from uuid import uuid4

from reefmesh.backoff import Backoff
from reefmesh.broker.hold import Hold
from reefmesh.broker.port import BrokerUnavailable
from reefmesh.broker.rabbitmq.errors import BrokerRefusal
from reefmesh.broker.rabbitmq.inbound_message import InboundMessage
from reefmesh.broker.rabbitmq.message_headers import text_of
from reefmesh.broker.rabbitmq.outbound_message import OutboundMessage
from reefmesh.broker.rabbitmq.tenure import Tenure
from reefmesh.broker.rabbitmq.topology import OVERFLOW_BYTES_LIMIT, OVERFLOW_MESSAGES_LIMIT

MARKER: Final = "reefmesh-marker"
MOVED_AT_ONCE: Final = 50
MARKER_AGAIN_SECONDS: Final = 1.0
BACKOFF: Final = Backoff(first_seconds=0.1, max_seconds=5.0)
STOP_SECONDS: Final = 1.0
"""How long a move that has begun may take when the shard is given up; then it is broken off, which may leave a copy twice."""


class HandingOut(Protocol):
    """What an overflow uses of the consumer."""

    async def send(self, messages: Sequence[OutboundMessage]) -> None:
        """Publish confirmed. Raises BrokerRefusal or BrokerUnavailable."""
        ...

    def hand_out(self, message: InboundMessage) -> None:
        """Lanes may have it."""
        ...

    def withdraw(self, message: InboundMessage) -> None:
        """No lane may get it any more, if one has released it."""
        ...

    def hold_of(self, reef_id: str) -> Hold[InboundMessage] | None: ...

    def take_ready(self, reef_id: str, tenure: Tenure) -> Sequence[InboundMessage]:
        """Take out what is ready of the reef and came through the shard's own queue."""
        ...


class Overflow:
    """Of one tenure. ``on_other_owner``: another consumer owns the shard."""

    def __init__(
        self,
        tenure: Tenure,
        own_exchange: str,
        queue: str,
        consumer: HandingOut,
        *,
        on_other_owner: Callable[[], None],
        random: Random,
    ) -> None:
        self._tenure = tenure
        self._own_exchange = own_exchange
        self._queue = queue
        self._consumer = consumer
        self._on_other_owner = on_other_owner
        self._random = random
        self._marker = uuid4().hex
        self._had_any = False
        self._known = asyncio.Event()
        self._early: list[InboundMessage] = []  # came from the shard before the marker
        self._isolated: dict[str, int] = {}  # by reef: messages in the overflow queue, or on their way
        self._to_move: deque[InboundMessage] = deque()
        self._expected: set[str] = set()  # identities of copies that are counted already
        self._bytes = 0
        self._room = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None
        self._moving: asyncio.Task[None] | None = None

    @property
    def isolated(self) -> Mapping[str, int]:
        """The isolated reefs, with the number of their messages there."""
        return self._isolated

    @property
    def owns_shard(self) -> bool:
        """Whether the broker has given us messages of the shard's own queue."""
        return self._had_any

    def from_shard(self, message: InboundMessage) -> None:
        self._had_any = True
        if self._known.is_set():
            self._route(message)
            return
        self._early.append(message)
        if self._asking is None:
            self._asking = asyncio.create_task(self._send_marker(), name=f"ask {self._queue}")

    def from_overflow(self, message: InboundMessage) -> bool:
        """Return whether it is a marker, which nobody but us needs."""
        marker = text_of(message.headers, MARKER) if message.is_own_copy else None
        if marker is not None:
            self._read_marker(marker)
            return True
        if message.identity in self._expected:
            self._expected.discard(message.identity)
        else:
            self._isolated[message.reef_id] = self._isolated.get(message.reef_id, 0) + 1
        self._bytes += len(message.body)
        hold = self._consumer.hold_of(message.reef_id)
        if hold is None or not hold.take_over(message):
            self._consumer.hand_out(message)
        return False

    def settled(self, message: InboundMessage) -> None:
        """A message of the overflow queue is acknowledged."""
        self._bytes -= len(message.body)
        self._forget(message.reef_id)
        self._room.set()

    async def isolate(self, reef_id: str) -> None:
        """Move what is here of the reef; return when it was moved, or the tenure ends. Raises BrokerUnavailable."""
        if not self._known.is_set() or reef_id in self._isolated:
            return
        hold = self._consumer.hold_of(reef_id)
        ready = self._consumer.take_ready(reef_id, self._tenure)
        in_hand = [hold.message] if hold is not None and hold.message.tenure is self._tenure and hold.may_move else []
        for message in (*in_hand, *ready):
            self._move(message)
        if self._moving is not None:
            await asyncio.wait([self._moving])
        if self._tenure.is_over:
            raise BrokerUnavailable("the shard was given up")

    async def stop(self) -> None:
        """Move nothing more."""
        if self._moving is not None:
            await asyncio.wait([self._moving], timeout=STOP_SECONDS)
        self.cancel()

    def cancel(self) -> None:
        """The tenure is over."""
        for task in (self._asking, self._moving):
            if task is not None:
                task.cancel()

    def _route(self, message: InboundMessage) -> None:
        if message.reef_id in self._isolated:
            self._move(message)
        else:
            self._consumer.hand_out(message)

    def _move(self, message: InboundMessage) -> None:
        self._isolated[message.reef_id] = self._isolated.get(message.reef_id, 0) + 1
        self._to_move.append(message)
        if self._moving is None or self._moving.done():
            self._moving = asyncio.create_task(self._move_all(), name=f"move to {self._queue}")

    def _forget(self, reef_id: str) -> None:
        count = self._isolated.get(reef_id, 0) - 1
        if count > 0:
            self._isolated[reef_id] = count
        else:
            self._isolated.pop(reef_id, None)

    def _read_marker(self, marker: str) -> None:
        if marker == self._marker:
            self._known.set()
            early, self._early = self._early, []
            for message in early:
                if message.is_open:
                    self._route(message)
        elif not self._had_any:
            self._on_other_owner()

    async def _send_marker(self) -> None:
        marker = OutboundMessage.to_queue(self._own_exchange, self._queue, {MARKER: self._marker}, b"")
        attempt = 0
        while not (self._known.is_set() or self._tenure.is_over):
            try:
                await self._consumer.send([marker])
            except (BrokerRefusal, BrokerUnavailable):
                attempt += 1
                await asyncio.sleep(BACKOFF.delay_seconds(attempt, self._random))
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(MARKER_AGAIN_SECONDS):
                        await self._known.wait()

    async def _move_all(self) -> None:
        attempt = 0
        while self._to_move and not self._tenure.is_over:
            batch = await self._next_batch()
            held = [self._carry_over(message) for message in batch]
            copies = [
                OutboundMessage.to_queue(self._own_exchange, self._queue, each.headers_to_move(), each.body) for each in batch
            ]
            self._expected.update(message.identity for message in batch)
            try:
                await self._consumer.send(copies)
                for message in batch:
                    if message.is_open:  # a lane that waited too long for the copy may have settled it
                        # unread: if it is lost, the message is there twice, as after a crash a moment earlier
                        await self._tenure.acknowledge(message, unread=True)
            except (BrokerRefusal, BrokerUnavailable):
                for hold in held:
                    if hold is not None:
                        hold.stay()
                self._to_move.extendleft(message for message in reversed(batch) if message.is_open)
                attempt += 1
                await asyncio.sleep(BACKOFF.delay_seconds(attempt, self._random))
            else:
                attempt = 0

    async def _next_batch(self) -> Sequence[InboundMessage]:
        """Return what is moved next, as far as there is room; empty: the rest was settled meanwhile."""
        batch: list[InboundMessage] = []
        room_bytes = OVERFLOW_BYTES_LIMIT - self._bytes
        while self._to_move and len(batch) < MOVED_AT_ONCE:
            message = self._to_move[0]
            hold = self._consumer.hold_of(message.reef_id)
            if hold is not None and hold.message is message and not hold.may_move and message.is_open:
                if batch:
                    break
                await hold.until_settled()
                continue
            if message.is_open:
                room_bytes -= len(message.body)
                used = len(self._tenure.overflow_window) + len(batch)
                if used and (used >= OVERFLOW_MESSAGES_LIMIT or room_bytes < 0):
                    if batch:
                        break
                    self._room.clear()
                    await self._room.wait()
                    room_bytes = OVERFLOW_BYTES_LIMIT - self._bytes
                    continue
                self._consumer.withdraw(message)
                batch.append(message)
            else:
                self._forget(message.reef_id)
            self._to_move.popleft()
        return batch

    def _carry_over(self, message: InboundMessage) -> Hold[InboundMessage] | None:
        hold = self._consumer.hold_of(message.reef_id)
        if hold is None or hold.message is not message:
            return None
        hold.carry_over()
        return hold
