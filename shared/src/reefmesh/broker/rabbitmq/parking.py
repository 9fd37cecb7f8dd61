"""The parked messages of one subscription: a quorum queue of its own, in the order of parking."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from reefmesh.broker.parking_quota import BODY_BYTES, ParkingQuota, ParkingUsage
from reefmesh.broker.port import ParkedMessage
from reefmesh.broker.rabbitmq.connection import ReconnectingConnection
from reefmesh.broker.rabbitmq.errors import BrokerRefusal
from reefmesh.broker.rabbitmq.message_headers import Headers, facts_of, is_fact, properties_of, text_of
from reefmesh.broker.rabbitmq.parked_copy import (
    ATTEMPTS,
    DETAIL,
    PARKED_AT,
    PARKING_ID,
    SENDER,
    is_dead_letter,
    parked_part,
    reason_of,
)
from reefmesh.broker.rabbitmq.parking_visit import Parked, ParkingVisit, visiting
from reefmesh.broker.rabbitmq.slots import routing_key_of
from reefmesh.broker.rabbitmq.topology import parking_queue, subscription_exchange
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import PoisonMessage

UNREADABLE: Final = "unreadable"
"""Stands for the ids of a parked message whose envelope cannot be read."""
EPOCH: Final = datetime.fromtimestamp(0, UTC)
ATTEMPTS_DIGITS_LIMIT: Final = 9


class RabbitMQParking:
    def __init__(self, connections: ReconnectingConnection, subscription: Subscription) -> None:
        self._connections = connections
        self._subscription = subscription
        self._queue = parking_queue(subscription)

    async def list(self, *, limit: int = 100, reef_id: str | None = None) -> Sequence[ParkedMessage]:
        chosen: list[ParkedMessage] = []

        def see(parked: Parked) -> None:
            if len(chosen) < limit and reef_id in (None, text_of(parked.headers, "reef-id")):
                chosen.append(self._shown(parked))

        await self._look(see)
        return chosen

    async def usage(self, quota: ParkingQuota) -> ParkingUsage:
        """Return what the quota binds of the parked messages, as far as one visit shows them."""
        usage = ParkingUsage(quota)
        await self._look(lambda parked: usage.add(parked_part(parked.headers, parked.user_id, parked.body)))
        return usage

    async def remove_old(self, quota: ParkingQuota, *, now: datetime, limit: int) -> Mapping[str, int]:
        """As the port says. A copy's age is what the service wrote into it that parked it: nobody else writes into its
        parking."""
        if not quota.has_age:
            return {}

        def is_old(parked: Parked) -> bool:
            part = parked_part(parked.headers, parked.user_id, parked.body)
            since = quota.kept_since(part.user_id, part.reason, now)
            return since is not None and _parked_at(parked.headers) < since

        taken = await self._take(is_old, limit=limit)
        return Counter(reason_of(parked.headers) for parked in taken)

    async def replay(self, parking_ids: Sequence[str]) -> int:
        wanted = set(parking_ids)
        return len(await self._take(lambda each: BODY_BYTES not in each.headers and _id_of(each) in wanted, replay=True))

    async def discard(self, parking_ids: Sequence[str]) -> int:
        wanted = set(parking_ids)
        return len(await self._take(lambda each: _id_of(each) in wanted))

    async def _look(self, see: Callable[[Parked], Any]) -> None:
        try:
            async with visiting(self._connections.current(), self._queue) as visit:
                await visit.each(see)
        except BrokerRefusal as refusal:
            raise refusal.as_failure() from refusal

    async def _take(
        self, is_wanted: Callable[[Parked], bool], *, limit: int | None = None, replay: bool = False
    ) -> Sequence[Parked]:
        """Take what is wanted out of the parking, at most ``limit``, the oldest first; with ``replay`` each leaves it when its
        copy is confirmed. Return what was taken."""
        wanted: list[Parked] = []

        def see(parked: Parked) -> None:
            if (limit is None or len(wanted) < limit) and is_wanted(parked):
                wanted.append(parked)

        try:
            async with visiting(self._connections.current(), self._queue) as visit:
                await visit.each(see)
                for parked in wanted:
                    if replay:
                        await self._send_again(visit, parked)
                    await visit.settle(parked)
        except BrokerRefusal as refusal:
            raise (refusal.as_publish_refused() if replay else refusal.as_failure()) from refusal
        return wanted

    async def _send_again(self, visit: ParkingVisit, parked: Parked) -> None:
        """Send it to its subscription alone; on return the broker has it. It goes where other messages of its reef go."""
        headers = {name: value for name, value in parked.headers.items() if is_fact(name) and isinstance(value, str)}
        headers["replayed"] = "true"
        if (sender := _sender_of(parked)) is not None:
            headers[SENDER] = sender
        with visit.connection.answering():
            await visit.channel.basic_publish(
                parked.body,
                exchange=subscription_exchange(self._subscription),
                routing_key=routing_key_of(text_of(parked.headers, "reef-id") or ""),
                properties=properties_of(headers, user=visit.connection.address.user),
                mandatory=True,
            )

    def _shown(self, parked: Parked) -> ParkedMessage:
        headers = parked.headers
        attempts = text_of(headers, ATTEMPTS) or ""
        is_number = attempts.isascii() and attempts.isdigit() and len(attempts) <= ATTEMPTS_DIGITS_LIMIT
        return ParkedMessage(
            parking_id=_id_of(parked),
            subscription=self._subscription,
            message=_message(parked),
            reason=reason_of(headers) or "unknown",
            detail=text_of(headers, DETAIL) or "",
            attempts=int(attempts) if is_number else 0,
            parked_at=_parked_at(headers).isoformat(),
            sender=_sender_of(parked),
        )


def _id_of(parked: Parked) -> str:
    """Return the name of a message here. A dead letter has none of ours: only the id that its sender gave it, which may be
    that of another one."""
    return text_of(parked.headers, PARKING_ID) or f"dead-letter-{parked.message_id}"


def _sender_of(parked: Parked) -> str | None:
    return parked.user_id if is_dead_letter(parked.headers) else text_of(parked.headers, SENDER)


def _parked_at(headers: Headers) -> datetime:
    """Return when it was parked, or moved here by the broker; the beginning of 1970 where nothing says so."""
    if (text := text_of(headers, PARKED_AT)) is not None:
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            return EPOCH
        return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
    deaths = headers.get("x-death")
    times = [death.get("time") for death in deaths if isinstance(death, dict)] if isinstance(deaths, list) else []
    return next((time.astimezone(UTC) for time in times if isinstance(time, datetime)), EPOCH)


def _message(parked: Parked) -> Envelope:
    """Return the parked message; a stand-in with its headers and body where its envelope cannot be read."""
    facts = facts_of(parked.headers)
    try:
        return Envelope.from_headers(facts, parked.body)
    except PoisonMessage:  # its headers may hold anything, so they are taken as text only
        return Envelope(
            event_id=f"{UNREADABLE}/{_id_of(parked)}",
            reef_id=UNREADABLE,
            schema_id=UNREADABLE,
            produced_at=_parked_at(parked.headers),
            body=parked.body,
            headers=facts,
        )
