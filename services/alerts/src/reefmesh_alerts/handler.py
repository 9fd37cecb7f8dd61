"""Applies one score: it changes episodes and produces alerts and their deliveries."""

from typing import Final

from pydantic import TypeAdapter

from reefmesh.clock import Clock
from reefmesh.contracts import scores
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import read_body
from reefmesh.service.handler import Change
from reefmesh_alerts.domain.heat import DEFAULT_OPENS_AT
from reefmesh_alerts.domain.reef_watch import ReefWatch, judge_score
from reefmesh_alerts.heat_days import keep_days
from reefmesh_alerts.recipients.watching import Recipients
from reefmesh_alerts.recording import keep_deadline, record

STATE: Final = TypeAdapter(ReefWatch)


class AlertsHandler:
    """The ``Handler`` of ``alerts@reef.scores``.

    The messages alone decide which alerts are raised; the clock adds when an alert was raised and how old its data were.
    """

    schemas = frozenset(scores.READERS)

    def __init__(self, *, clock: Clock, recipients: Recipients, heat_opens_at: int = DEFAULT_OPENS_AT) -> None:
        self._clock = clock
        self._recipients = recipients
        self._heat_opens_at = heat_opens_at

    async def load(self, reef_id: str, state: bytes | None) -> ReefWatch:  # noqa: ARG002 - the port's signature
        return ReefWatch() if state is None else STATE.validate_json(state)

    def dump(self, state: ReefWatch) -> bytes:
        return STATE.dump_json(state, exclude_defaults=True)

    async def handle(self, message: Envelope, state: ReefWatch) -> Change[ReefWatch]:
        """Apply one score.

        Raises:
            PoisonMessage: the body is not a score of a known version.
        """
        score = scores.current_score(read_body(message, scores.READERS))
        watch, transitions = judge_score(
            state, score, heard_at=message.produced_at, seq=message.seq, heat_opens_at=self._heat_opens_at
        )
        watch, writes, outputs = record(
            message.reef_id, watch, transitions, raised_at=self._clock.now(), recipients=self._recipients.entries
        )
        watch, deadline = keep_deadline(message.reef_id, watch)
        days = keep_days(message.reef_id, score.heat, state, seq=message.seq or 0)
        return Change(state=watch, writes=[*writes, *deadline, *days], outputs=outputs)
