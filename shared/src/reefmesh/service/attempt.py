"""Attempts at a message: tried again until it is settled, parked, or released to be redelivered.

What an attempt has finished (the commit, the verdict "poison") is not done again by the next one; see ``MessageInHand``.
"""

import asyncio
from random import Random
from typing import Any, Final, NoReturn

import structlog

from reefmesh.broker.port import LaneLost
from reefmesh.errors import PoisonMessage, TransientError
from reefmesh.observability import table
from reefmesh.observability.folded_log import FoldedLog
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress
from reefmesh.observability.tracing import Tracer
from reefmesh.service.application import BEHIND_PARKED, NUMBER_CONFLICT, Application
from reefmesh.service.breaker import PoisonBreaker, TooMuchPoison
from reefmesh.service.crash_guard import CrashGuard
from reefmesh.service.forgery import ForgeryCheck
from reefmesh.service.gap_waiter import LANES_PER_WAIT, EarlierMissing
from reefmesh.service.message_in_hand import MessageInHand, Outcome
from reefmesh.service.message_parking import MessageParking
from reefmesh.service.reef_cache import ReefCache
from reefmesh.service.stop_event import is_set_within
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.store.port import Store

log = structlog.get_logger()

GAP_WAITS_BEGIN, GAP_WAITS_GROW_LIMIT = 4, 5
"""The steps of the backoff at which waits for a missing message begin and stop growing (0.4 and 0.8 s). A message that comes
here ends the wait by itself; of one that another process applies only the store tells, and each look costs a few statements."""

NOT_ITS_FAULT: Final = frozenset({BEHIND_PARKED, NUMBER_CONFLICT})
"""Reasons that say nothing about this message's content, so the breaker does not count them. After a restore of its publisher
every reef has some conflicts, and they end by themselves."""
SENDER: Final = "device"
"""The header with the name under which a device has sent; only telemetry has it."""
NOBODY: Final = "none"


class HandlerFault(TransientError):
    """A bug that one message meets; the message is tried again, for what else the bug depends on may have changed."""


class Attempts:
    """The attempts of all lanes of one inbox. ``logs_each``: write a debug line for each settled message.

    ``breaker`` None: poison is counted and parked, and never stops the consumer. That is so where many may send: none of them
    may stop it for the others.
    """

    def __init__(
        self,
        *,
        inbox: str,
        application: Application[Any],
        parking: MessageParking[Any],
        forgeries: ForgeryCheck,
        reefs: ReefCache[Any],
        store: Store,
        limits: WorkerLimits,
        breaker: PoisonBreaker | None,
        draining: asyncio.Event,
        random: Random,
        metrics: Metrics,
        progress: Progress,
        tracer: Tracer | None,
    ) -> None:
        self.logs_each = False
        self._inbox = inbox
        self._folded = FoldedLog(log, subscription=inbox)
        self._application = application
        self._parking = parking
        self._forgeries = forgeries
        self._reefs = reefs
        self._store = store
        self._limits = limits
        self._breaker = breaker
        self._unreadable_too_often = asyncio.Event()
        self._fault_waits = 0
        self._fault_waits_limit = max(1, limits.lanes // LANES_PER_WAIT)
        self._crash_guard = CrashGuard(store=store, inbox=inbox, crash_limit=limits.crash_limit)
        self._draining = draining
        self._random = random
        self._metrics = metrics
        self._progress = progress
        self._tracer = tracer
        self._handling = metrics.histogram(table.HANDLING_SECONDS, inbox)
        self._settling = metrics.histogram(table.PUBLISH_SECONDS, inbox)
        metrics.set(table.POISON_BREAKER_OPEN, 0, inbox)

    async def finish(self, in_hand: MessageInHand) -> Outcome:
        """Attempt until the message has left the lane's hands; return how.

        May wait as long as a fault lasts, with growing waits in between, while the message's reef waits with it. Drain ends a
        wait, and the message is released: an interrupted attempt is no attempt.

        Raises:
            TooMuchPoison: the breaker opened; the message was released.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            try:
                outcome = await self._attempt(in_hand)
            except LaneLost as lost:
                log.warning("lane lost its delivery", reason=str(lost))
                return "released"
            except EarlierMissing as missing:
                self._metrics.count(table.RETRIES, self._inbox, type(missing).__name__)
                self._folded.write(
                    "warning", "released until what is missing has come", reason=str(missing), times=missing.times
                )
                await self._release(in_hand, again_after_seconds=self._gap_wait_seconds(missing))
                return "released"
            except TransientError as error:
                in_hand.attempts += 1
                self._metrics.count(table.RETRIES, self._inbox, type(error).__name__)
                self._progress.retrying(self._inbox, in_hand.lane.index, str(error))
                kind = type(error).__name__
                self._folded.write("warning", "retry", kind=kind, attempt=in_hand.attempts, reason=str(error))
                if not await self._wait_after(error, in_hand.attempts):
                    await self._release(in_hand)
                    return "released"
                self._progress.attempting(self._inbox, in_hand.lane.index)
            else:
                self._handling.observe(loop.time() - began)
                return outcome

    async def _attempt(self, in_hand: MessageInHand) -> Outcome:
        if not in_hand.is_believed and not self._forgeries.speaks(in_hand):
            if not await self._forgeries.is_believed(in_hand):
                await self._forgeries.park(in_hand)
                return "parked"
            in_hand.is_believed = True
        if in_hand.poison is None and not in_hand.is_applied:
            try:
                if in_hand.delivery.redelivered and in_hand.attempts == 0:
                    async with self._crash_guard.trying(in_hand.message):
                        await self._application.apply(in_hand)
                else:
                    await self._application.apply(in_hand)
            except PoisonMessage as poison:
                await self._judge_poison(in_hand, poison)
            except TransientError:
                raise
            except Exception as error:  # a bug that one message meets must not stop the lanes of the other reefs
                kind = type(error).__name__
                self._folded.write("error", "handler fault", kind=kind, attempt=in_hand.attempts + 1, exc_info=True)
                in_hand.faults += 1
                if in_hand.faults < self._limits.fault_attempts_limit:
                    raise HandlerFault(f"{kind}: {error}") from error
                await self._judge_poison(in_hand, PoisonMessage("handler-fault", f"{kind}: {error}"[:500]))
        if in_hand.poison is not None:
            await self._park(in_hand, in_hand.poison)
            return "parked"
        return await self._settle(in_hand)

    async def _park(self, in_hand: MessageInHand, poison: PoisonMessage) -> None:
        try:
            await self._parking.park(in_hand, poison)
        except TransientError:
            raise
        except Exception as error:  # a reef whose state cannot be read waits for a person; the lanes of the others go on
            raise TransientError(f"not parked, {type(error).__name__}: {error}") from error

    async def _settle(self, in_hand: MessageInHand) -> Outcome:
        """Send the outputs together with the acknowledgement, then note that they are out."""
        message, outputs = in_hand.message, in_hand.outputs
        loop = asyncio.get_running_loop()
        began = loop.time()
        if self._tracer is not None and outputs:
            with self._tracer.send(outputs):
                await in_hand.lane.settle(in_hand.delivery, outputs)
        else:
            await in_hand.lane.settle(in_hand.delivery, outputs)
        self._settling.observe(loop.time() - began)
        if outputs:
            for output in outputs:
                self._metrics.count(table.PUBLISHED, output.channel)
            self._reefs.outputs_confirmed(message.reef_id, message.event_id)
            await self._store.outputs_sent([message.event_id])
        if self._breaker is not None:
            self._breaker.note(message.reef_id, poison=False)
        outcome: Outcome = "duplicate" if in_hand.is_duplicate else "handled"
        if self.logs_each:
            log.debug("message settled", outcome=outcome, outputs=[output.message.event_id for output in outputs])
        return outcome

    async def _judge_poison(self, in_hand: MessageInHand, poison: PoisonMessage) -> None:
        """Note the verdict; stop the consumer instead if too much is poison."""
        in_hand.poison = poison
        if poison.reason in NOT_ITS_FAULT:
            return
        self._metrics.count(table.POISON, self._inbox, in_hand.message.headers.get(SENDER, NOBODY), in_hand.message.reef_id)
        if self._breaker is None:
            return
        self._breaker.note(in_hand.message.reef_id, poison=True)
        if self._breaker.open:
            self._open_breaker(poison.reason, poison.detail)
            await self._release(in_hand)
            raise TooMuchPoison(f"{self._inbox} stopped: too many messages are poison, the last by {poison}")

    def note_unreadable(self, reef_id: str, reason: str) -> None:
        """A message of a believed sender cannot be read, and the engine has parked it."""
        if self._breaker is None:
            return
        self._breaker.note(reef_id, poison=True)
        if self._breaker.open and not self._unreadable_too_often.is_set():
            self._open_breaker(reason, "messages cannot be read")
            self._unreadable_too_often.set()

    async def until_too_much_is_unreadable(self) -> NoReturn:
        """Raises TooMuchPoison when the breaker has opened over messages that reach no lane."""
        await self._unreadable_too_often.wait()
        raise TooMuchPoison(f"{self._inbox} stopped: too many messages cannot be read")

    def _open_breaker(self, reason: str, detail: str) -> None:
        self._metrics.set(table.POISON_BREAKER_OPEN, 1, self._inbox)
        log.error("too much poison, consumer stops", reason=reason, detail=detail)

    async def _wait_after(self, error: TransientError, attempt: int) -> bool:
        """Wait for the backoff, as ``_wait_before_retry``. Few lanes wait for messages that meet a bug, or whoever finds it
        keeps all lanes; beyond those such a message has its tries at once."""
        if not isinstance(error, HandlerFault):
            return await self._wait_before_retry(attempt)
        if self._fault_waits >= self._fault_waits_limit:
            return not self._draining.is_set()
        self._fault_waits += 1
        try:
            return await self._wait_before_retry(attempt)
        finally:
            self._fault_waits -= 1

    async def _wait_before_retry(self, attempt: int) -> bool:
        """Wait for the backoff; return False as soon as the worker drains."""
        delay_seconds = self._limits.backoff.delay_seconds(attempt, self._random)
        return not await is_set_within(self._draining, delay_seconds)

    def _gap_wait_seconds(self, missing: EarlierMissing) -> float:
        """Return after what time a message that waits for a missing one comes again; no lane waits with it."""
        if self._draining.is_set():
            return 0.0
        step = min(GAP_WAITS_BEGIN + missing.times - 1, GAP_WAITS_GROW_LIMIT)
        return min(missing.left_seconds, self._limits.backoff.delay_seconds(step, self._random))

    async def _release(self, in_hand: MessageInHand, *, again_after_seconds: float = 0.0) -> None:
        """Give the message back to the broker, whether or not its tries can be forgotten: the lane must have empty hands."""
        if in_hand.delivery.redelivered:
            try:
                await self._store.forget_attempts(self._inbox, in_hand.message.event_id)
            except TransientError as error:
                log.warning("tries not forgotten, this attempt counts as one", reason=str(error))
        try:
            await in_hand.lane.release(in_hand.delivery, again_after_seconds=again_after_seconds)
        except TransientError as error:
            # The broker is away: it redelivers by itself what was never acknowledged.
            log.info("not released, the broker redelivers", reason=str(error))
