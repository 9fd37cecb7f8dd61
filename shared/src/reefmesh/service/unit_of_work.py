"""A unit of work: load a reef, decide what becomes of it, write that in one transaction, again if another process was faster.

What is written: the reef's state and cursor, the inbox mark of what caused the unit, the service's own rows and the outputs
(into the outbox), all of it behind the version fence, or nothing of it. The lanes apply and park messages by units of work;
the alerts service looks at deadlines by them.
"""

from collections.abc import Awaitable, Callable
from typing import Concatenate, Final, Generic, ParamSpec, TypeVar

from reefmesh.errors import TransientError
from reefmesh.service.handler import Change, Handler
from reefmesh.service.reef_cache import Reef
from reefmesh.store.port import Committed, Stale, Store, Unit

S = TypeVar("S")
P = ParamSpec("P")

REFUSALS_LIMIT: Final = 100

Decide = Callable[Concatenate[Reef[S], S, P], Awaitable[tuple[Unit, Change[S]] | None]]
"""Decides from a reef and its state what to write; None: nothing. Called again, with the newest state, after each refusal."""


class ReefContested(TransientError):
    """Other processes wrote the reef's row each time before this one could."""


def _ignore(_: Unit, __: Stale) -> None:
    """A refusal that nobody counts."""


class UnitsOfWork(Generic[S]):
    """The units of work of one inbox. ``on_refusal`` is called for each unit that the version fence refused."""

    def __init__(
        self,
        *,
        store: Store,
        handler: Handler[S],
        on_refusal: Callable[[Unit, Stale], None] = _ignore,
        refusals_limit: int = REFUSALS_LIMIT,
    ) -> None:
        self._store = store
        self._handler = handler
        self._on_refusal = on_refusal
        self._refusals_limit = refusals_limit

    async def load(self, reef: Reef[S]) -> S:
        """Load a locked reef from its row; return its state. Raises StoreUnavailable."""
        row = await self._store.load(reef.reef_id)
        state = reef.state = await self._handler.load(reef.reef_id, row.state)
        reef.version, reef.cursor, reef.has_outputs, reef.fresh = row.version, row.cursor, row.has_outputs, True
        return state

    async def run(self, reef: Reef[S], decide: Decide[S, P], *args: P.args, **kwargs: P.kwargs) -> Unit | None:
        """Load a locked reef unless it is fresh, ``decide``, commit; return the unit that was written durably.

        Returns None if nothing was written: ``decide`` decided so, or the inbox holds the event of the unit already. In both
        cases earlier outputs may still be in the outbox. ``decide`` has to set ``reef.fresh`` to False before it lets anything
        change the state in place, and may raise whatever it likes.

        Raises:
            ReefContested: the version fence refused ``refusals_limit`` units in a row; nothing was written.
            StoreUnavailable: nothing was written, or all of it, which the next run finds out.
            WriteRefused: a statement of the unit is wrong; nothing was written.
        """
        for _ in range(self._refusals_limit):
            state = reef.state
            if not reef.fresh or state is None:
                state = await self.load(reef)
            decided = await decide(reef, state, *args, **kwargs)
            if decided is None:
                return None
            unit, change = decided
            reef.fresh = False  # until it is known what became of the unit
            result = await self._store.commit(unit)
            if isinstance(result, Committed):
                reef.state, reef.version, reef.cursor, reef.fresh = change.state, result.version, unit.cursor, True
                if change.committed is not None:
                    change.committed()
                return unit
            if not isinstance(result, Stale):
                return None
            self._on_refusal(unit, result)
        raise ReefContested("the reef's row changes faster than it can be read")
