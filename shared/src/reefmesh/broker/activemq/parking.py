"""The parked messages of one subscription: a dead-letter queue of its own, without groups, in the order of parking."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from reefmesh.broker.activemq.destinations import parking_queue, subscription_queue
from reefmesh.broker.activemq.errors import BrokerRefusal
from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.message_headers import GROUP, carried, facts_of, is_fact, text_of
from reefmesh.broker.activemq.outbound_message import OutboundMessage
from reefmesh.broker.activemq.parked_copy import ATTEMPTS, DETAIL, PARKED_AT, PARKING_ID, REASON, SENDER, parked_part
from reefmesh.broker.activemq.session import ReconnectingSession, Session
from reefmesh.broker.activemq.transaction import Transaction
from reefmesh.broker.parking_quota import BODY_BYTES, ParkingQuota, ParkingUsage
from reefmesh.broker.port import BrokerUnavailable, ParkedMessage
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import PoisonMessage

BROWSE_PREFETCH: Final = 1_000
TAKE_AT_ONCE: Final = 200
"""How many messages leave the parking in one transaction; it bounds the length of a selector too."""
TAKE_SECONDS: Final = 5.0
UNREADABLE: Final = "unreadable"
"""Stands for the ids of a parked message whose envelope cannot be read."""


class ActiveMQParking:
    def __init__(self, sessions: ReconnectingSession, subscription: Subscription) -> None:
        self._sessions = sessions
        self._subscription = subscription

    async def list(self, *, limit: int = 100, reef_id: str | None = None) -> Sequence[ParkedMessage]:
        frames = await self._frames(self._sessions.current())
        chosen = [frame for frame in frames if reef_id is None or frame.headers.get("reef-id") == reef_id]
        return [self._parked(frame) for frame in chosen[:limit]]

    async def usage(self, quota: ParkingQuota) -> ParkingUsage:
        """Return what the quota binds of the parked messages, as far as the broker lists them."""
        usage = ParkingUsage(quota)
        await self._browse(self._sessions.current(), lambda frame: usage.add(parked_part(frame.headers, frame.body)))
        return usage

    async def remove_old(self, quota: ParkingQuota, *, now: datetime, limit: int) -> Mapping[str, int]:
        """As the port says. A copy's age is that of the broker's own stamp; what a sender wrote into it does not count."""
        session = self._sessions.current()
        reasons: dict[str, str] = {}  # by parking id, the oldest first

        def note(frame: Frame) -> None:
            part = parked_part(frame.headers, frame.body)
            since = quota.kept_since(part.user_id, part.reason, now)
            identity = frame.headers.get(PARKING_ID)
            if identity and since is not None and _instant(frame.headers) < since and len(reasons) < limit:
                reasons[identity] = part.reason

        ages = [age for age in (quota.age_limit, quota.whole_age_limit) if age is not None]
        if not ages:
            return {}
        await self._browse(session, note, selector=f"JMSTimestamp < {_milliseconds(now - min(ages))}")
        taken = await self._take_all(session, list(reasons), replay=False)
        return Counter(reasons[identity] for identity in taken)

    async def replay(self, parking_ids: Sequence[str]) -> int:
        return await self._take(parking_ids, replay=True)

    async def discard(self, parking_ids: Sequence[str]) -> int:
        return await self._take(parking_ids, replay=False)

    async def _take(self, parking_ids: Sequence[str], *, replay: bool) -> int:
        if not parking_ids:
            return 0
        session = self._sessions.current()
        wanted = set(parking_ids)
        frames = [frame for frame in await self._frames(session) if not (replay and BODY_BYTES in frame.headers)]
        found = [identity for frame in frames if (identity := frame.headers.get(PARKING_ID, "")) in wanted]
        return len(await self._take_all(session, found, replay=replay))

    async def _take_all(self, session: Session, identities: Sequence[str], *, replay: bool) -> Sequence[str]:
        taken: list[str] = []
        try:
            for start in range(0, len(identities), TAKE_AT_ONCE):
                taken += await self._take_some(session, identities[start : start + TAKE_AT_ONCE], replay=replay)
        except BrokerRefusal as refusal:
            raise refusal.as_publish_refused() from refusal
        return taken

    async def _take_some(self, session: Session, identities: Sequence[str], *, replay: bool) -> Sequence[str]:
        """Take exactly these out of the parking; with ``replay`` send each to the subscription in the same transaction. Return
        those that were still there."""
        frames: dict[str, Frame] = {}
        complete = asyncio.Event()

        def arrived(frame: Frame) -> None:
            frames[frame.headers.get(PARKING_ID, "")] = frame
            if len(frames) == len(identities):
                complete.set()

        name = session.new_name("p")
        selector = f"{PARKING_ID} IN ({','.join(_quoted(identity) for identity in identities)})"
        prefetch = str(len(identities))
        headers = (("ack", "client-individual"), ("selector", selector), ("activemq.prefetchSize", prefetch))
        await session.subscribe(name, parking_queue(self._subscription), headers, arrived)
        try:
            try:
                async with asyncio.timeout(TAKE_SECONDS):
                    await complete.wait()
            except TimeoutError:
                pass  # another operator took some of them meanwhile
            taken = [identity for identity in identities if identity in frames]
            if taken:
                await self._move_out(session, [frames[identity] for identity in taken], replay=replay)
        finally:
            if not session.is_lost:
                await session.unsubscribe(name)
        return taken

    async def _move_out(self, session: Session, frames: Sequence[Frame], *, replay: bool) -> None:
        queue = subscription_queue(self._subscription)
        with Transaction(session) as transaction:
            if replay:
                await transaction.send_confirmed(
                    OutboundMessage(destination=queue, headers=_replayed(frame.headers), body=frame.body) for frame in frames
                )
            for frame in frames:
                transaction.acknowledge(frame.headers.get("ack", ""))
            committed = transaction.commit()
        await committed

    async def _frames(self, session: Session) -> Sequence[Frame]:
        """Return all parked messages, oldest first, without taking them."""
        frames: list[Frame] = []
        await self._browse(session, frames.append)
        return frames

    async def _browse(self, session: Session, on_parked: Callable[[Frame], None], *, selector: str = "") -> None:
        finished = asyncio.Event()

        def arrived(frame: Frame) -> None:
            if frame.headers.get("browser") == "end":
                finished.set()
            else:
                on_parked(frame)

        name = session.new_name("b")
        headers = [("ack", "auto"), ("browser", "true"), ("activemq.prefetchSize", str(BROWSE_PREFETCH))]
        if selector:
            headers.append(("selector", selector))
        try:
            await session.subscribe(name, parking_queue(self._subscription), headers, arrived)
        except BrokerRefusal as refusal:
            raise refusal.as_failure() from refusal
        session.lost.add_done_callback(lambda _: finished.set())
        await finished.wait()
        if session.is_lost:
            raise BrokerUnavailable(str(session.lost.result()))
        await session.unsubscribe(name)

    def _parked(self, frame: Frame) -> ParkedMessage:
        headers = frame.headers
        attempts = headers.get(ATTEMPTS, "")
        return ParkedMessage(
            parking_id=headers.get(PARKING_ID) or headers.get("message-id", ""),
            subscription=self._subscription,
            message=_message(frame),
            reason=text_of(headers, REASON) or "unknown",
            detail=text_of(headers, DETAIL) or "",
            attempts=int(attempts) if attempts.isascii() and attempts.isdigit() else 0,
            parked_at=headers.get(PARKED_AT) or _instant(headers).isoformat(),
            sender=text_of(headers, SENDER),
        )


def _message(frame: Frame) -> Envelope:
    """Return the parked message; a stand-in with its headers and body where its envelope cannot be read."""
    facts = facts_of(frame.headers)
    try:
        return Envelope.from_headers(facts, frame.body)
    except PoisonMessage:  # its headers may hold anything, so they are taken as text only
        return Envelope(
            event_id=f"{UNREADABLE}/{frame.headers.get(PARKING_ID, '')}",
            reef_id=UNREADABLE,
            schema_id=UNREADABLE,
            produced_at=_instant(frame.headers),
            body=frame.body,
            headers=facts,
        )


def _instant(headers: Mapping[str, str]) -> datetime:
    stamped = headers.get("timestamp", "")
    return datetime.fromtimestamp(int(stamped) / 1000 if stamped.isascii() and stamped.isdigit() else 0, UTC)


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _replayed(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    kept = [(name, value) for name, value in headers.items() if is_fact(name)]
    group = [(GROUP, headers["reef-id"])] if headers.get("reef-id") else []
    sender = [carried(SENDER, text)] if (text := text_of(headers, SENDER)) is not None else []
    return [("persistent", "true"), *group, *((n, v) for n, v in kept if n != "replayed"), ("replayed", "true"), *sender]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
