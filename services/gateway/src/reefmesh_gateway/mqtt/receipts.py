"""What each message from the MQTT broker is called in the mesh: written down before it is published.

QoS 1 delivers a message again when an acknowledgement was lost, after a day if need be, and MQTT gives it no id but that of
its packet. So the first delivery is written down, and a repeat gets the same cause and time, and so the same event id, also
from the next process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from reefmesh.store.port import Store, Write
from reefmesh_gateway.domain.mqtt_message import MqttMessage
from reefmesh_gateway.identities.device import instant_of, us_of

SAME_WITHIN: Final = timedelta(minutes=1)
"""A broker that was killed may forget that it delivered a message before. The same packet id with the same content so soon
after is the same message; ingest would count it as a duplicate in any case."""

_READ: Final = "SELECT packet_id, content_sha256, cause, received_us FROM gateway_receipt WHERE session = ?"
_PUT: Final = (
    "INSERT INTO gateway_receipt (session, packet_id, content_sha256, cause, received_us) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (session, packet_id) DO UPDATE SET content_sha256 = excluded.content_sha256, cause = excluded.cause,"
    " received_us = excluded.received_us"
)


@dataclass(frozen=True, slots=True)
class PacketReceipt:
    """``cause``: what a message's event id is made from."""

    content_sha256: str
    cause: str
    received_at: datetime


class Receipts:
    """Of one session. At most 65,535 are kept, here and in the database: one for each packet id."""

    def __init__(self, store: Store, session: str) -> None:
        self._store = store
        self._session = session
        self._known: dict[int, PacketReceipt] = {}

    async def load(self) -> None:
        """Read what an earlier process wrote. Raises StoreUnavailable."""
        rows = await self._store.fetch(_READ, (self._session,))
        self._known = {int(packet): PacketReceipt(sha256, cause, instant_of(us)) for packet, sha256, cause, us in rows}

    async def write_down(self, messages: Sequence[MqttMessage]) -> Sequence[PacketReceipt]:
        """Return a receipt for each message; on return they are durable.

        Raises:
            StoreUnavailable: some may be; a further call with the same messages is right.
        """
        receipts, new = [], dict[int, PacketReceipt]()
        for message in messages:
            sha256, at = message.content_sha256, message.received_at
            known = None if message.packet_id is None else new.get(message.packet_id, self._known.get(message.packet_id))
            is_same = known is not None and known.content_sha256 == sha256
            if known is None or not is_same or not (message.is_repeat or at - known.received_at < SAME_WITHIN):
                known = PacketReceipt(sha256, uuid4().hex, at)
                if message.packet_id is not None:
                    new[message.packet_id] = known
            receipts.append(known)
        if new:
            await self._store.write(
                [
                    Write(_PUT, (self._session, packet, each.content_sha256, each.cause, us_of(each.received_at)))
                    for packet, each in new.items()
                ]
            )
            self._known |= new
        return receipts
