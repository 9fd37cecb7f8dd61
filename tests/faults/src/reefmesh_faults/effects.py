"""The recorder inside a service: every effect is a row in the very transaction that makes it, so none can hide.

A row tells which message it was, which process and lane handled it, and from when to when (nanoseconds of the machine's
monotonic clock, the same for all its processes). The table has no key on the message: an effect that happens twice is two rows.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from reefmesh.contracts.envelope import Envelope
from reefmesh.observability.carried import CARRIED
from reefmesh.service.assembly import Blueprint, Parts
from reefmesh.service.handler import Change, Handler
from reefmesh.store.migrations import Migration, MigrationSet
from reefmesh.store.port import Store, Write
from reefmesh_faults.history import Effect

EFFECTS: Final = MigrationSet(
    name="faults",
    migrations=(
        Migration(
            version=1,
            name="effect",
            script=(
                "CREATE TABLE faults_effect (reef_id TEXT NOT NULL, place BIGINT NOT NULL, event_id TEXT NOT NULL, seq BIGINT,"
                " process TEXT NOT NULL, lane BIGINT NOT NULL, started_ns BIGINT NOT NULL, ended_ns BIGINT NOT NULL);\n"
                "CREATE INDEX faults_effect_place ON faults_effect (reef_id, place);"
            ),
        ),
    ),
)
_INSERT: Final = (
    "INSERT INTO faults_effect (reef_id, place, event_id, seq, process, lane, started_ns, ended_ns)"
    " SELECT ?, (SELECT COALESCE(MAX(place), 0) + 1 FROM faults_effect WHERE reef_id = ?), ?, ?, ?, ?, ?, ?"
)
_SELECT: Final = (
    "SELECT reef_id, event_id, seq, process, lane, started_ns, ended_ns FROM faults_effect ORDER BY reef_id, place, started_ns"
)
NO_LANE: Final = -1


class RecordedHandler:
    """A service's handler, and beside what it writes a row of the effect."""

    def __init__(self, handler: Handler[Any], *, process: str) -> None:
        self._handler = handler
        self._process = f"{process}/{os.getpid()}"

    async def load(self, reef_id: str, state: bytes | None) -> Any:
        return await self._handler.load(reef_id, state)

    def dump(self, state: Any) -> bytes:
        return self._handler.dump(state)

    async def handle(self, message: Envelope, state: Any) -> Change[Any]:
        started_ns = time.monotonic_ns()
        change = await self._handler.handle(message, state)
        carried = CARRIED.get()
        lane = NO_LANE if carried is None else carried.lane
        reef_id = message.reef_id
        row = (reef_id, reef_id, message.event_id, message.seq, self._process, lane, started_ns, time.monotonic_ns())
        return replace(change, writes=[*change.writes, Write(_INSERT, row)])


def recorded(blueprint: Blueprint, *, process: str) -> Blueprint:
    """Return the same service with the recorder in it."""

    def with_recorder(make_handler: Callable[[Parts], Handler[Any]]) -> Callable[[Parts], Handler[Any]]:
        return lambda parts: RecordedHandler(make_handler(parts), process=process)

    handlers = {subscription: with_recorder(make) for subscription, make in blueprint.handlers.items()}
    return replace(blueprint, migrations=(*blueprint.migrations, EFFECTS), handlers=handlers)


async def read_effects(store: Store, service: str) -> Sequence[Effect]:
    """Return every effect of a service, each reef's in the order of their transactions."""
    return [
        Effect(
            service=service,
            reef_id=reef_id,
            event_id=event_id,
            seq=seq,
            process=process,
            lane=lane,
            started_ns=started_ns,
            ended_ns=ended_ns,
        )
        for reef_id, event_id, seq, process, lane, started_ns, ended_ns in await store.fetch(_SELECT)
    ]
