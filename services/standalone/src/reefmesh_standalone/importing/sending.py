"""Sends what the mesh does not know of a record, and counts what becomes of it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from reefmesh.clock import SystemClock
from reefmesh.contracts import services
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.following import Follower
from reefmesh_standalone.importing.destination import Destination
from reefmesh_standalone.records.record import FileRecord
from reefmesh_standalone.records.telemetry import everything, telemetry_of
from reefmesh_standalone.sending import send_all
from reefmesh_standalone.session import MeshSession

READINGS_PER_MESSAGE: Final = 100
READINGS_UNDER_WAY_LIMIT: Final = 20_000
"""So many are in the mesh at once: the messages of a long record are made as they are sent."""


@dataclass(slots=True, kw_only=True)
class SentRecord:
    """``readings`` that were new or completed one, that were ``known`` all the same (an interrupted import had sent them), and
    values and readings in quarantine. ``complete`` is False when the end was not awaited."""

    readings: int = 0
    known: int = 0
    quarantined: int = 0
    messages: int = 0
    complete: bool = True


async def send_places(
    session: MeshSession,
    record: FileRecord,
    places: Sequence[int],
    destination: Destination,
    *,
    stop: asyncio.Event,
    report: Callable[[int], None],
) -> SentRecord:
    """Send the readings at ``places`` and wait until they are through the mesh; a new buoy is registered first.

    ``report`` is called with the number of readings that are through.
    """
    if destination.is_new:
        await Register(session.stores[services.INGEST]).upsert(buoys=[destination.registered_with(record)])
    sent = SentRecord()
    sender = f"import/{uuid4()}"
    for start in range(0, len(places), READINGS_UNDER_WAY_LIMIT):
        some = places[start : start + READINGS_UNDER_WAY_LIMIT]
        messages = list(
            telemetry_of(
                record,
                some,
                reading=everything,
                sender=sender,
                buoy_id=destination.buoy.id,
                reef_id=destination.reef.id,
                readings_per_message=READINGS_PER_MESSAGE,
                sent_at=SystemClock().now(),
                first_seq=sent.messages + 1,
            )
        )
        sent.messages += len(messages)
        follower = Follower(session.stores, [(message.event_id, destination.reef.id) for message in messages])
        confirmed = await send_all(session.broker, messages, report=lambda _: None, stop=stop)

        def moved(receipts: int, before: int = start, at_most: int = start + len(some)) -> None:
            report(min(before + receipts * READINGS_PER_MESSAGE, at_most))

        sent.complete = confirmed == len(messages) and await follower.until_done(moved, stop=stop, ended=session.ended)
        for receipt in follower.receipts.values():
            sent.readings += receipt.readings_new + receipt.readings_merged
            sent.known += receipt.readings_duplicate
            sent.quarantined += receipt.readings_quarantined + receipt.channels_quarantined
        if not sent.complete:
            break
    return sent
