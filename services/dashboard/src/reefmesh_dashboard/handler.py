"""Writes the read model: each message of readings, scores and alerts into its tables, in the message's own unit of work.

What is older than a row is told by the revision or the number in the row, so a reef has no state but what saves a look at the
tables, and that is never stored: it is read from the reef's row again.
"""

from collections.abc import Collection
from functools import partial
from typing import Final

from pydantic import TypeAdapter

from reefmesh.clock import Clock
from reefmesh.contracts import alerts, readings, scores
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import read_body
from reefmesh.errors import PoisonMessage
from reefmesh.service.handler import Change
from reefmesh.store.port import Store, Write
from reefmesh_dashboard.domain.reef import ShownFacts, ShownReef
from reefmesh_dashboard.domain.spans import microseconds_of
from reefmesh_dashboard.months import Months
from reefmesh_dashboard.taken_readings import take_readings
from reefmesh_dashboard.taken_score import know_score, take_score

NOTHING: Final = b""
"""What is stored as the state of every reef: the tables have it all."""

_INSERT_ALERT: Final = (
    "INSERT INTO alerts (alert_id, reef_id, kind, occurred_us, body_json) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (alert_id) DO NOTHING"
)
# A reef without a row has nothing to show yet, and is new when it gets one.
_NOTE_ALERT: Final = "UPDATE reefs SET alerts_seq = ? WHERE reef_id = ? AND alerts_seq < ?"


_SELECT_REEF: Final = (
    "SELECT name, latitude_degrees, longitude_degrees, facts_seq, score_seq, score_json FROM reefs WHERE reef_id = ?"
)
SCORE: Final = TypeAdapter(scores.ReefScore)


class OfReefs:
    """The half of the ``Handler`` port that is about a reef's state. All three handlers share it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self, reef_id: str, state: bytes | None) -> ShownReef:  # noqa: ARG002 - the port's signature
        reef = ShownReef()
        for name, latitude, longitude, facts_seq, score_seq, body in await self._store.fetch(_SELECT_REEF, (reef_id,)):
            if facts_seq:
                reef.facts, reef.facts_seq = ShownFacts(name, latitude, longitude), facts_seq
            if body is not None:
                know_score(reef, SCORE.validate_json(body), score_seq)
        return reef

    def dump(self, state: ShownReef) -> bytes:  # noqa: ARG002 - the port's signature
        return NOTHING


class ReadingsHandler(OfReefs):
    """The ``Handler`` of ``dashboard@reef.readings``."""

    schemas: Collection[str] = frozenset(readings.READERS)

    def __init__(self, store: Store, *, months: Months, clock: Clock) -> None:
        super().__init__(store)
        self._months = months
        self._clock = clock

    async def handle(self, message: Envelope, state: ShownReef) -> Change[ShownReef]:
        """Raises PoisonMessage: no readings of this reef, or of a time that cannot be."""
        body = read_body(message, readings.READERS)
        _refuse_other_reef(message, body.reef.reef_id)
        now_us = microseconds_of(self._clock.now())
        taken = await take_readings(self._store, body, state, seq=message.seq or 0, now_us=now_us)
        return Change(
            state=state,
            writes=[*self._months.to_note(taken.months), *taken.writes],
            committed=partial(self._months.are_noted, taken.months),
        )


class ScoresHandler(OfReefs):
    """The ``Handler`` of ``dashboard@reef.scores``."""

    schemas: Collection[str] = frozenset(scores.READERS)

    async def handle(self, message: Envelope, state: ShownReef) -> Change[ShownReef]:
        """Raises PoisonMessage: no score of this reef."""
        score = scores.current_score(read_body(message, scores.READERS))
        _refuse_other_reef(message, score.reef_id)
        return Change(state=state, writes=take_score(score, message.body, message.schema_id, state, seq=message.seq or 0))


class PublishedAlertsHandler(OfReefs):
    """The ``Handler`` of ``dashboard@reef.alerts``."""

    schemas: Collection[str] = frozenset(alerts.READERS)

    async def handle(self, message: Envelope, state: ShownReef) -> Change[ShownReef]:
        """Raises PoisonMessage: no alert of this reef."""
        alert: alerts.Alert = read_body(message, alerts.READERS)
        _refuse_other_reef(message, alert.reef_id)
        occurred_us = microseconds_of(alert.occurred_at)
        row = (alert.alert_id, alert.reef_id, alert.kind, occurred_us, alert.model_dump_json())
        seq = message.seq or 0
        return Change(state=state, writes=[Write(_INSERT_ALERT, row), Write(_NOTE_ALERT, (seq, alert.reef_id, seq))])


def _refuse_other_reef(message: Envelope, reef_id: str) -> None:
    if reef_id != message.reef_id:
        raise PoisonMessage("wrong-reef", f"the body is about reef {reef_id}, its envelope about {message.reef_id}")
