"""The rows of mutes and acknowledgements. Any process, and the command, writes them; each delivery asks them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

from reefmesh.store.port import Row, Store, Write
from reefmesh_alerts.domain.transition import instant_of, microseconds
from reefmesh_alerts.muting.mute import Mute

_COLUMNS: Final = "mute_id, reef_id, kind, begins_us, until_us, ends_us, reason, made_by, lifted_by"
_SELECT_EFFECTIVE: Final = f"SELECT {_COLUMNS} FROM mutes WHERE told_us = 0 ORDER BY ends_us, mute_id"  # noqa: S608 - our names
_SELECT_ENDED: Final = f"SELECT {_COLUMNS} FROM mutes WHERE told_us = 0 AND ends_us <= ? ORDER BY ends_us, mute_id LIMIT ?"  # noqa: S608 - our names
_INSERT: Final = (
    "INSERT INTO mutes (mute_id, reef_id, kind, begins_us, until_us, ends_us, reason, made_by, lifted_by, told_us)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', 0)"
)
_LIFT: Final = "UPDATE mutes SET ends_us = ?, lifted_by = ? WHERE mute_id = ? AND ends_us > ?"
_ACKNOWLEDGE: Final = (
    "INSERT INTO acknowledgements (alert_id, made_us, made_by, note) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (alert_id, made_us, made_by) DO NOTHING"
)
_SELECT_ACKNOWLEDGED: Final = (
    "SELECT c.alert_id, c.made_us, c.made_by, c.note FROM acknowledgements c JOIN alerts a ON a.alert_id = c.alert_id"
    " WHERE a.raised_us >= ? ORDER BY c.made_us, c.made_by"
)
_SELECT_OPEN_ACKNOWLEDGED: Final = (
    "SELECT c.alert_id, c.made_us, c.made_by, c.note FROM acknowledgements c JOIN episodes e ON e.alert_id = c.alert_id"
    " WHERE e.standing = 1 ORDER BY c.made_us, c.made_by"
)

ENDED_AT_ONCE: Final = 100
"""Ended mutes that are looked at together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertAcknowledgement:
    """Somebody has seen an alert and takes care of it."""

    alert_id: str
    made_at: datetime
    made_by: str
    note: str


class Mutes:
    """Works on the table ``mutes`` of the service's store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def effective(self) -> Sequence[Mute]:
        """Return the mutes that hold alerts back: those in force, and those whose end was not told yet; the first to end
        first."""
        return [_mute(row) for row in await self._store.fetch(_SELECT_EFFECTIVE)]

    async def in_force(self, now: datetime) -> Sequence[Mute]:
        return [mute for mute in await self.effective() if mute.is_in_force(now)]

    async def ended_untold(self, now: datetime) -> Sequence[Mute]:
        """Return mutes that are over and whose end was not told yet."""
        return [_mute(row) for row in await self._store.fetch(_SELECT_ENDED, (microseconds(now), ENDED_AT_ONCE))]

    async def mute(self, reef_id: str, kind: str, *, now: datetime, until: datetime, reason: str, made_by: str) -> Mute:
        """Write a mute that begins now."""
        (mute,) = new_mutes([reef_id], kind, now=now, until=until, reason=reason, made_by=made_by)
        await self.add([mute])
        return mute

    async def add(self, mutes: Sequence[Mute]) -> None:
        """Write new mutes: all of them, or none."""
        await self._store.write([Write(_INSERT, _row(mute)) for mute in mutes])

    async def lift(self, mutes: Sequence[Mute], *, now: datetime, lifted_by: str) -> None:
        """End these mutes now; one that has ended meanwhile stays as it is."""
        now_us = microseconds(now)
        await self._store.write([Write(_LIFT, (now_us, lifted_by, mute.mute_id, now_us)) for mute in mutes])


async def acknowledge(store: Store, alert_id: str, *, now: datetime, made_by: str, note: str) -> None:
    """Note that somebody takes care of an alert; a further note of the same person is a further row."""
    await store.write([Write(_ACKNOWLEDGE, (alert_id, microseconds(now), made_by, note))])


async def acknowledgements(store: Store, *, raised_since: datetime) -> Sequence[AlertAcknowledgement]:
    """Return the acknowledgements of alerts raised since then, the oldest first."""
    return [_acknowledgement(row) for row in await store.fetch(_SELECT_ACKNOWLEDGED, (microseconds(raised_since),))]


async def open_acknowledgements(store: Store) -> Sequence[AlertAcknowledgement]:
    """Return the acknowledgements of the newest alerts of open episodes, the oldest first."""
    return [_acknowledgement(row) for row in await store.fetch(_SELECT_OPEN_ACKNOWLEDGED)]


def new_mutes(reef_ids: Iterable[str], kind: str, *, now: datetime, until: datetime, reason: str, made_by: str) -> list[Mute]:
    """Return a mute of each of these reefs that begins now; ``kind`` may be empty, for every kind."""
    return [
        Mute(
            mute_id=str(uuid4()),
            reef_id=reef_id,
            kind=kind,
            begins_at=now,
            until=until,
            ends_at=until,
            reason=reason,
            made_by=made_by,
        )
        for reef_id in reef_ids
    ]


def _row(mute: Mute) -> tuple[str | int, ...]:
    begins_us, until_us, ends_us = (microseconds(each) for each in (mute.begins_at, mute.until, mute.ends_at))
    return (mute.mute_id, mute.reef_id, mute.kind, begins_us, until_us, ends_us, mute.reason, mute.made_by)


def _mute(row: Row) -> Mute:
    mute_id, reef_id, kind, begins_us, until_us, ends_us, reason, made_by, lifted_by = row
    return Mute(
        mute_id=mute_id,
        reef_id=reef_id,
        kind=kind,
        begins_at=instant_of(begins_us),
        until=instant_of(until_us),
        ends_at=instant_of(ends_us),
        reason=reason,
        made_by=made_by,
        lifted_by=lifted_by,
    )


def _acknowledgement(row: Row) -> AlertAcknowledgement:
    alert_id, made_us, made_by, note = row
    return AlertAcknowledgement(alert_id=alert_id, made_at=instant_of(made_us), made_by=made_by, note=note)
