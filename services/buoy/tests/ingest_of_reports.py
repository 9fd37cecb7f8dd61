"""Ingest's own handler and tables, for the reports that a gateway took: what had an effect, and how often."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from deadly_gateway import Taken

from reefmesh.clock import SystemClock
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import TELEMETRY_1
from reefmesh.store.connect import open_store
from reefmesh.store.migrations import read_migrations
from reefmesh_ingest.accounting import accounting
from reefmesh_ingest.handler import IngestHandler
from reefmesh_ingest.readings_table import fetch_between
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_ingest.register.table import Register

REEF = ReefEntry(id="menjangan", name="Menjangan", latitude_degrees=-8.1, longitude_degrees=114.5)
CHANNEL = "sea_water_temperature"


async def effects_of(reports: Sequence[Taken], *, device: str) -> Counter[float]:
    """Return how many readings stand for each value, after each report came as a message with an id of its own.

    As over MQTT, ingest's inbox does not help then: its handler alone must recognise what comes again.
    """
    store = open_store("sqlite://", migrations=(read_migrations("ingest", "reefmesh_ingest"),))
    await store.open()
    try:
        clock, register = SystemClock(), Register(store)
        await register.upsert(reefs=(REEF,), buoys=(BuoyEntry(id=device, reef=REEF.id),))
        handler = IngestHandler(store=store, register=register, clock=clock)
        state = await handler.load(REEF.id, None)
        for number, each in enumerate(reports):
            at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=each.received_us)
            message = Envelope(
                event_id=f"message-{number}", reef_id=REEF.id, schema_id=TELEMETRY_1, produced_at=at, body=each.body,
                headers={"received-at": at.isoformat()},
            )  # fmt: skip
            change = await handler.handle(message, state)
            state = change.state
            await store.write(change.writes)
        books = await accounting(store)
        known = books.messages.accepted + books.messages.duplicates
        assert (books.discrepancies, known) == ((), len(reports)), books
        standing = await fetch_between(store, device, 0, 2**61)
        values = [each.contents[CHANNEL].raw for each in standing if not each.withdrawn]
        assert None not in values
        return Counter(value for value in values if value is not None)
    finally:
        await store.close()
