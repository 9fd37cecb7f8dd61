"""What must be there in the end: each message of each reef once, in order, through the handlers alone.

No broker, no worker, no inbox, no outbox: the services' domain functions and statements on three databases of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from random import Random
from typing import Any, Final

from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.clock import ManualClock
from reefmesh.contracts import channels
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.observability.metrics import Metrics
from reefmesh.service.assembly import Parts
from reefmesh.service.handler import Handler, Output
from reefmesh.store.database import DatabaseStore
from reefmesh.store.port import Store
from reefmesh_alerts.bootstrap import blueprint as alerts_blueprint
from reefmesh_alerts.domain.reef_watch import look_at_deadlines
from reefmesh_alerts.recipients.watching import Recipients
from reefmesh_alerts.recording import move_deadline, record
from reefmesh_faults.simulation.database import SharedDatabase, SimulatedDatabase
from reefmesh_faults.simulation.fleet import BUOYS, REEFS, SILENCE, START, Fleet, draw_fleet
from reefmesh_faults.simulation.history import History
from reefmesh_faults.simulation.loop import Process, VirtualLoop
from reefmesh_faults.simulation.service import alerts_settings, scoring_settings
from reefmesh_ingest.handler import IngestHandler
from reefmesh_ingest.register.table import Register
from reefmesh_scoring.bootstrap import blueprint as scoring_blueprint

CONTENT: Final[Mapping[str, Sequence[str]]] = {
    "ingest": (
        "SELECT buoy_id, observed_us, reef_id, received_us, revision, withdrawn, origin, body_json FROM readings ORDER BY 1, 2",
        "SELECT event_id, origin, counted, reef_id, buoy_id, outcome, reason, readings_received, readings_new, readings_merged,"
        " readings_duplicate, readings_quarantined FROM receipts ORDER BY 1",
        "SELECT quarantine_id, origin, scope, reason, readings, reef_id FROM quarantine ORDER BY 1",
    ),
    "scoring": (
        "SELECT * FROM samples ORDER BY 1, 2, 3",
        "SELECT * FROM day_totals ORDER BY 1, 2",
        "SELECT * FROM days ORDER BY 1, 2",
        "SELECT * FROM scores ORDER BY 1",
    ),
    "alerts": (
        "SELECT alert_id, reef_id, kind, subject, change, severity, occurred_us FROM alerts ORDER BY 1",
        "SELECT reef_id, kind, subject, buoy_id, state, severity, standing, since_us, changed_us, alert_id, summary"
        " FROM episodes ORDER BY 1, 2, 3",
        "SELECT idempotency_key, alert_id, reef_id, subscription, channel FROM deliveries ORDER BY 1",
        "SELECT * FROM deadlines ORDER BY 1",
    ),
}
"""What must be equal: everything but the instants of clocks that differ between the two, and what delivering changes."""

Content = dict[str, list[list[tuple[Any, ...]]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """``outcomes``: telemetry's event id -> accepted, duplicate or quarantined."""

    fleet: Fleet
    content: Content
    outcomes: dict[str, str]


def content_of(databases: Mapping[str, SharedDatabase]) -> Content:
    return {service: [databases[service].rows(sql) for sql in CONTENT[service]] for service in CONTENT}


@lru_cache(maxsize=256)
def reference_of(fleet_seed: int) -> Reference:
    fleet = draw_fleet(fleet_seed)
    loop = VirtualLoop(Random(0))
    try:
        return loop.run_until_complete(_Line(loop).work(fleet))
    finally:
        loop.close()


class _Line:
    """The three handlers one behind the other."""

    def __init__(self, loop: VirtualLoop) -> None:
        history = History(loop.time)
        self._clock = ManualClock(START)
        self._databases = {name: SharedDatabase(name, history) for name in CONTENT}
        self._stores: dict[str, DatabaseStore] = {
            name: DatabaseStore(SimulatedDatabase(each, Process("reference"), Random(0)), clock=self._clock)
            for name, each in self._databases.items()
        }
        register = Register(self._stores["ingest"], now=loop.time)
        self._register = register
        metrics = Metrics("reference")
        broker = ActiveMQBroker("stomp://nowhere", clock=self._clock)  # nobody asks it for anything
        parts = {
            name: Parts(store=store, broker=broker, clock=self._clock, metrics=metrics) for name, store in self._stores.items()
        }
        self._alerts = alerts_blueprint(alerts_settings()).handlers[channels.ALERTING](parts["alerts"])
        self._steps: dict[str, tuple[Store, Handler[Any]]] = {
            channels.TELEMETRY.name: (
                self._stores["ingest"],
                IngestHandler(store=self._stores["ingest"], register=register, clock=self._clock),
            ),
            channels.READINGS.name: (
                self._stores["scoring"],
                scoring_blueprint(scoring_settings()).handlers[channels.SCORING](parts["scoring"]),
            ),
            channels.SCORES.name: (self._stores["alerts"], self._alerts),
        }
        self._states: dict[tuple[str, str], Any] = {}
        self._seqs: dict[tuple[str, str], int] = {}

    async def work(self, fleet: Fleet) -> Reference:
        for store in self._stores.values():
            await store.open()
        await self._register.upsert(reefs=REEFS, buoys=BUOYS)
        for telemetry in fleet.telemetry.values():
            for each in telemetry:
                await self._pass(channels.TELEMETRY.name, each.message)
        await self._silence()
        for store in self._stores.values():
            await store.close()
        receipts = self._databases["ingest"].rows("SELECT event_id, outcome FROM receipts")
        outcomes = {str(event_id): str(outcome) for event_id, outcome in receipts}
        reference = Reference(fleet=fleet, content=content_of(self._databases), outcomes=outcomes)
        for database in self._databases.values():
            database.close()
        return reference

    async def _pass(self, channel: str, message: Envelope) -> None:
        if channel not in self._steps:
            return
        store, handler = self._steps[channel]
        place = (channel, message.reef_id)
        if place not in self._states:
            self._states[place] = await handler.load(message.reef_id, None)
        change = await handler.handle(message, self._states[place])
        self._states[place] = change.state
        await store.write(change.writes)
        for output in change.outputs:
            await self._pass(output.channel.name, self._enveloped(message, output))

    def _enveloped(self, cause: Envelope, output: Output) -> Envelope:
        place = (output.channel.name, cause.reef_id)
        self._seqs[place] = seq = self._seqs.get(place, 0) + 1
        return Envelope(
            event_id=event_id_of(cause.event_id, output.step),
            reef_id=cause.reef_id,
            schema_id=output.schema_id,
            produced_at=self._clock.now(),
            body=output.body,
            seq=seq,
        )

    async def _silence(self) -> None:
        """Everybody has been silent for long."""
        now = START + SILENCE + timedelta(minutes=1)
        for (channel, reef_id), state in self._states.items():
            if channel != channels.SCORES.name:
                continue
            watch, transitions = look_at_deadlines(state, now=now)
            entries = Recipients(None).entries
            watch, writes, _ = record(reef_id, watch, transitions, raised_at=now, recipients=entries)
            _, moved = move_deadline(reef_id, watch)
            await self._stores["alerts"].write([*writes, *moved])
