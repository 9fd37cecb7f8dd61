"""Looking at deadlines: what becomes true because time passes and nothing is heard.

Any number of processes may look at once. Each reef's look is a unit of work behind the version fence, under an event id made
of the reef, its version and its deadline: of several looks one is written, the others find it done.
"""

import asyncio
from typing import Final

import structlog

from reefmesh.broker.port import Broker
from reefmesh.clock import Clock
from reefmesh.contracts.channels import ALERTING
from reefmesh.contracts.envelope import event_id_of
from reefmesh.errors import TransientError
from reefmesh.observability.traceparent import traceparent_from
from reefmesh.service.outbox import address, send_unsent
from reefmesh.service.waiting import is_set_within
from reefmesh.store.port import AlreadyApplied, Committed, Stale, Store, Unit
from reefmesh_alerts.domain.heat import DEFAULT_OPENS_AT
from reefmesh_alerts.domain.reef_watch import look_at_deadlines, next_deadline_us
from reefmesh_alerts.domain.transition import microseconds
from reefmesh_alerts.handler import AlertsHandler
from reefmesh_alerts.recipients.watching import Recipients
from reefmesh_alerts.recording import move_deadline, record

log = structlog.get_logger()

INBOX: Final = "alerts.tick"
REEFS_AT_ONCE: Final = 64
LAG_LIMIT_SECONDS: Final = 60.0
"""While scores wait longer than this, silence is ours and not the buoys': nobody looks."""

SELECT_DUE: Final = (
    "SELECT next_deadline_us, reef_id FROM deadlines WHERE next_deadline_us <= ? AND (next_deadline_us, reef_id) > (?, ?)"
    " ORDER BY next_deadline_us, reef_id LIMIT ?"
)


class Ticker:
    """Looks every ``interval_seconds``, from ``grace_seconds`` after its start on: what waited during a stop goes first."""

    def __init__(
        self,
        *,
        store: Store,
        broker: Broker,
        clock: Clock,
        handler: AlertsHandler,
        recipients: Recipients,
        heat_opens_at: int = DEFAULT_OPENS_AT,
        interval_seconds: float = 1.0,
        grace_seconds: float = 30.0,
    ) -> None:
        self._store = store
        self._broker = broker
        self._clock = clock
        self._handler = handler
        self._recipients = recipients
        self._heat_opens_at = heat_opens_at
        self._interval_seconds = interval_seconds
        self._grace_seconds = grace_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Look until ``stop``; a broker or store that is away only delays it."""
        wait_seconds = self._grace_seconds
        while not await is_set_within(stop, wait_seconds):
            wait_seconds = self._interval_seconds
            try:
                if await self._has_heard_all():
                    await self.look_once()
            except TransientError as error:
                log.warning("deadlines wait", reason=str(error))

    async def look_once(self) -> int:
        """Look at every reef whose deadline has passed; returns how many alerts that raised."""
        now_us = microseconds(self._clock.now())
        alerts, after = 0, (-1, "")
        while due := await self._store.fetch(SELECT_DUE, (now_us, *after, REEFS_AT_ONCE)):
            looks = await asyncio.gather(*(self._look_at(reef_id) for _, reef_id in due), return_exceptions=True)
            for (_, reef_id), raised in zip(due, looks, strict=True):
                if isinstance(raised, int):
                    alerts += raised
                elif isinstance(raised, TransientError):
                    raise raised
                else:  # a reef whose state cannot be read must not keep the others from being looked at
                    log.error("deadline not looked at", reef_id=reef_id, error=repr(raised))
            after = tuple(due[-1])
        return alerts

    async def _look_at(self, reef_id: str) -> int:
        row = await self._store.load(reef_id)
        watch = await self._handler.load(reef_id, row.state)
        deadline_us = next_deadline_us(watch)
        now = self._clock.now()
        watch, transitions = look_at_deadlines(watch, now=now, heat_opens_at=self._heat_opens_at)
        watch, writes, outputs = record(reef_id, watch, transitions, raised_at=now, recipients=self._recipients.entries)
        watch, moved = move_deadline(reef_id, watch)
        event_id = event_id_of(f"tick/{reef_id}", f"{row.version}/{deadline_us}")
        cursor, publications = address(
            outputs,
            cause=event_id,
            reef_id=reef_id,
            cursor=row.cursor,
            now=self._clock.now(),
            traceparent=traceparent_from(event_id),
        )
        result = await self._store.commit(
            Unit(
                reef_id=reef_id,
                inbox=INBOX,
                event_id=event_id,
                expected_version=row.version,
                cursor=cursor,
                state=self._handler.dump(watch),
                writes=[*writes, *moved],
                outputs=publications,
            )
        )
        match result:
            case Committed():
                if publications or row.has_outputs:
                    await self._send_outputs(reef_id)
                return len(transitions)
            case AlreadyApplied():
                await self._send_outputs(reef_id)
            case Stale():
                # A score, or another process's look, came first; the next look starts from what it wrote.
                log.debug("deadline passed to another", reef_id=reef_id)
        return 0

    async def _send_outputs(self, reef_id: str) -> None:
        """Publish the reef's outputs in order, earlier ones that nobody may have sent too, if the broker is there; if not, the
        outbox relay does it later."""
        unsent = await self._store.unsent_outputs(reef_id)
        try:
            await send_unsent(unsent, broker=self._broker, store=self._store)
        except TransientError as error:
            log.warning("alerts wait in the outbox", messages=len(unsent), reason=str(error))

    async def _has_heard_all(self) -> bool:
        """Tell whether the scores that wait, as far as the engine can tell, are too young to matter."""
        own = (await self._broker.statistics()).subscriptions.get(ALERTING)
        return own is None or own.oldest_age_seconds is None or own.oldest_age_seconds <= LAG_LIMIT_SECONDS
