"""The ticker looks at deadlines: what becomes true because time passes and no score comes.

Any number of processes may look at the same time. Each look at a reef is a unit of work, under an event id made of the reef,
its version and its deadline: of several looks one is written, the others find it done.
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
from reefmesh.service.addressing import address
from reefmesh.service.handler import Change
from reefmesh.service.outbox import Outbox
from reefmesh.service.reef_cache import Reef
from reefmesh.service.stop_event import is_set_within
from reefmesh.service.unit_of_work import ReefContested, UnitsOfWork
from reefmesh.store.port import Store, Unit
from reefmesh_alerts.domain.heat import DEFAULT_OPENS_AT
from reefmesh_alerts.domain.reef_watch import ReefWatch, look_at_deadlines, next_deadline_us
from reefmesh_alerts.domain.transition import microseconds
from reefmesh_alerts.handler import AlertsHandler
from reefmesh_alerts.recipients.watching import Recipients
from reefmesh_alerts.recording import move_deadline, record

log = structlog.get_logger()

INBOX: Final = "alerts.tick"
REEFS_AT_ONCE: Final = 64
LAG_LIMIT_SECONDS: Final = 60.0
"""While scores wait longer than this, the silence is ours and not the buoys': the ticker does not look."""

SELECT_DUE: Final = (
    "SELECT next_deadline_us, reef_id FROM deadlines WHERE next_deadline_us <= ? AND (next_deadline_us, reef_id) > (?, ?)"
    " ORDER BY next_deadline_us, reef_id LIMIT ?"
)


class Ticker:
    """Looks every ``interval_seconds``, first ``grace_seconds`` after its start: scores that waited during a stop go first."""

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
        self._units = UnitsOfWork(store=store, handler=handler, refusals_limit=1)  # a busy reef is looked at again soon
        self._outbox = Outbox(store=store, broker=broker)
        self._recipients = recipients
        self._heat_opens_at = heat_opens_at
        self._interval_seconds = interval_seconds
        self._grace_seconds = grace_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Look until ``stop``. A broker or store that is away only delays it."""
        wait_seconds = self._grace_seconds
        while not await is_set_within(stop, wait_seconds):
            wait_seconds = self._interval_seconds
            try:
                if await self._is_up_to_date():
                    await self.look_once()
            except TransientError as error:
                log.warning("deadlines wait", reason=str(error))

    async def look_once(self) -> int:
        """Look at every reef whose deadline has passed; return how many alerts that raised.

        Their outputs are sent if the broker is there; otherwise the relay sends them later.

        Raises:
            StoreUnavailable: some reefs may not have been looked at.
        """
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
        reef: Reef[ReefWatch] = Reef(reef_id)
        try:
            unit = await self._units.run(reef, self._decide)
        except ReefContested:
            # A score, or another process's look, came first; the next look starts from what that wrote.
            log.debug("deadline passed to another", reef_id=reef_id)
            return 0
        if unit is None or unit.outputs or reef.has_outputs:
            await self._send_outputs(reef_id)
        return 0 if unit is None else len(unit.outputs)

    async def _decide(self, reef: Reef[ReefWatch], watch: ReefWatch) -> tuple[Unit, Change[ReefWatch]]:
        # Of several looks at the same row one is written; the inbox has the others' event id then.
        event_id = event_id_of(f"tick/{reef.reef_id}", f"{reef.version}/{next_deadline_us(watch)}")
        now = self._clock.now()
        watch, transitions = look_at_deadlines(watch, now=now, heat_opens_at=self._heat_opens_at)
        watch, writes, outputs = record(reef.reef_id, watch, transitions, raised_at=now, recipients=self._recipients.entries)
        watch, moved = move_deadline(reef.reef_id, watch)
        cursor, publications = address(
            outputs,
            cause=event_id,
            reef_id=reef.reef_id,
            cursor=reef.cursor,
            now=self._clock.now(),
            traceparent=traceparent_from(event_id),
        )
        unit = Unit(
            reef_id=reef.reef_id,
            inbox=INBOX,
            event_id=event_id,
            expected_version=reef.version,
            cursor=cursor,
            state=self._handler.dump(watch),
            writes=[*writes, *moved],
            outputs=publications,
        )
        return unit, Change(state=watch)

    async def _send_outputs(self, reef_id: str) -> None:
        """Send the reef's outputs, earlier ones that may not be out first; if the broker is away, the relay does it later."""
        unsent = await self._outbox.unsent(reef_id)
        try:
            await self._outbox.send(unsent)
        except TransientError as error:
            log.warning("alerts wait in the outbox", messages=len(unsent), reason=str(error))

    async def _is_up_to_date(self) -> bool:
        """Return whether the scores that wait, as far as the engine knows, are too young to matter."""
        own = (await self._broker.statistics()).subscriptions.get(ALERTING)
        return own is None or own.oldest_age_seconds is None or own.oldest_age_seconds <= LAG_LIMIT_SECONDS
