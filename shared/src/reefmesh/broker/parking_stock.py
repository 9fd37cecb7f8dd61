"""What lies in the parking of one subscription, as this process knows it, and what it therefore keeps of a message.

The broker is asked at most every ``FRESH_SECONDS``; what this process has parked since is added. Several processes may together
go over a quota by what each of them keeps in that time.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

import structlog

from reefmesh.broker.parking_quota import ParkedAs, ParkedPart, ParkingQuota, ParkingUsage, ScopeUsage
from reefmesh.errors import ConfigurationError, TransientError

FRESH_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 10.0
"""How long one look may take; without an answer what this process has parked since its start is all that it knows."""
PAUSE_PER_LOOK: Final = 100
"""A look at a full parking moves all of it: the next one waits a hundred times as long as this one took."""

LOOK: Final = "look into a parking"

log = structlog.get_logger()

Message = TypeVar("Message")
"""An outbound message of the engine."""


class CopyToPark(Protocol[Message]):
    """The copy of a message that is to lie in the parking, in one of two forms."""

    @property
    def user_id(self) -> str | None: ...

    @property
    def reason(self) -> str: ...

    def part_of(self, message: Message) -> ParkedPart: ...

    def whole(self, destination: str) -> Message: ...

    def small(self, destination: str) -> Message: ...


class ParkingStock(Generic[Message]):
    """``quota`` None: everything is kept. ``look`` asks the broker. ``on_counted`` is told of each message that was settled and
    is not kept."""

    def __init__(
        self,
        quota: ParkingQuota | None,
        *,
        look: Callable[[ParkingQuota], Awaitable[ParkingUsage]],
        on_counted: Callable[[CopyToPark[Message]], None],
    ) -> None:
        self._quota = quota
        self._look = look
        self._on_counted = on_counted
        self._usage = ParkingUsage(quota or ParkingQuota())
        self._loop = asyncio.get_running_loop()
        self._looking: asyncio.Task[None] | None = None
        self._meanwhile: list[ParkedPart] = []  # parked while the broker is being asked
        self._next_look_seconds = 0.0
        self._is_blind = self._was_asked = self._is_closed = False

    def usage(self) -> ScopeUsage | None:
        """Return what the quota binds, as far as it is known, and ask anew if that is old; None: nothing is known yet."""
        if self._quota is not None:
            self._refresh(self._quota)
        return self._usage.total if self._was_asked else None

    @contextlib.asynccontextmanager
    async def place(self, copy: CopyToPark[Message], *, queue: str, is_cut: bool = False) -> AsyncIterator[Sequence[Message]]:
        """Give what is to be sent to the parking for this message: one copy, or none. It counts as kept unless the block
        fails. ``is_cut``: also within the quota only the beginning of its body is kept."""
        whole = copy.whole(queue)
        if self._quota is None or not self._quota.binds(copy.user_id, copy.reason):
            yield [copy.small(queue) if is_cut else whole]
            return
        await self._known(self._quota)
        part, usage = copy.part_of(whole), self._usage
        keeping = usage.keeping_of(part)
        if keeping is ParkedAs.COUNTED:
            yield []
            self._on_counted(copy)
            return
        self._add(part)
        try:
            yield [copy.small(queue) if is_cut or keeping is ParkedAs.SAMPLE else whole]
        except BaseException:
            usage.take_back(part)
            raise

    async def close(self) -> None:
        self._is_closed = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def _known(self, quota: ParkingQuota) -> None:
        """Return once the broker was asked at least once."""
        looking = self._refresh(quota)
        if not self._was_asked and looking is not None:
            await asyncio.wait([looking])

    def _refresh(self, quota: ParkingQuota) -> "asyncio.Task[None] | None":
        """Ask in the background if what is known is old; return the task that asks."""
        if self._looking is None and not self._is_closed and self._loop.time() >= self._next_look_seconds:
            self._meanwhile.clear()
            self._looking = asyncio.create_task(self._ask(quota), name=LOOK)
        return self._looking

    async def _ask(self, quota: ParkingQuota) -> None:
        began = self._loop.time()
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                usage = await self._look(quota)
        except (TransientError, ConfigurationError, TimeoutError) as failure:
            if not self._is_blind:
                reason = str(failure) or f"no answer within {LOOK_SECONDS:g} s"
                log.warning("parking not looked into, only what is parked from now on is counted", reason=reason)
            self._is_blind = True
        else:
            for part in self._meanwhile:
                usage.add(part)
            self._usage, self._is_blind = usage, False
        finally:
            now = self._loop.time()
            self._next_look_seconds = now + max(FRESH_SECONDS, PAUSE_PER_LOOK * (now - began))
            self._looking, self._was_asked = None, True

    def _add(self, part: ParkedPart) -> None:
        self._usage.add(part)
        if self._looking is not None:
            self._meanwhile.append(part)
