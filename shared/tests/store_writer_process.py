"""Run by tests as a process of its own: commits units without end and says which are confirmed, until it is killed.

Arguments: the database's URL, the number of lanes. One line on standard output for each confirmed unit: reef and version.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime

from reefmesh.broker.port import Publication
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.store.connect import open_store
from reefmesh.store.cursor import Cursor
from reefmesh.store.migrations import Migration, MigrationSet
from reefmesh.store.port import Committed, Unit, Write

SCRIPT = """
CREATE TABLE reading (reef_id TEXT NOT NULL, number BIGINT NOT NULL, half TEXT NOT NULL, PRIMARY KEY (reef_id, number, half));
"""
INSERT = "INSERT INTO reading (reef_id, number, half) VALUES (?, ?, ?)"


async def commit_for_ever(url: str, lanes: int) -> None:
    migrations = [MigrationSet(name="writer", migrations=(Migration(version=1, name="reading", script=SCRIPT),))]
    store = open_store(url, migrations=migrations)
    await store.open()

    async def lane(reef_id: str) -> None:
        version = (await store.load(reef_id)).version
        while True:
            number = version + 1
            event_id = event_id_of(reef_id, str(number))
            message = Envelope(
                event_id=event_id_of(event_id, "reading"),
                reef_id=reef_id,
                schema_id="readings/1",
                produced_at=datetime(2026, 1, 1, tzinfo=UTC),
                seq=number,
                body=b"{}",
            )
            unit = Unit(
                reef_id=reef_id,
                inbox="writer",
                event_id=event_id,
                expected_version=version,
                cursor=Cursor(applied={"writer": number}),
                state=str(number).encode(),
                writes=(Write(INSERT, (reef_id, number, "first")), Write(INSERT, (reef_id, number, "second"))),
                outputs=(Publication(channel="reef.readings", message=message),),
            )
            result = await store.commit(unit)
            assert result == Committed(number), result
            version = number
            os.write(1, f"{reef_id} {number}\n".encode())

    async with asyncio.TaskGroup() as tasks:
        for number in range(lanes):
            tasks.create_task(lane(f"reef-{number}"))


asyncio.run(commit_for_ever(sys.argv[1], int(sys.argv[2])))
