"""The port: one service's own database.

SQL is written once, in the dialect that SQLite and PostgreSQL share, with ``?`` for parameters: ``INSERT .. ON CONFLICT ..
DO UPDATE SET x = excluded.x``, ``BIGINT``/``TEXT``/``DOUBLE PRECISION`` columns, instants as UTC microseconds in ``.._us``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from reefmesh.broker.port import Publication
from reefmesh.errors import TransientError
from reefmesh.store.cursor import Cursor

Value = str | int | float | bytes | None
Row = Sequence[Any]


class StoreUnavailable(TransientError):
    """The database cannot be reached, is locked, or its disk is full; nothing of the unit was written."""


class WriteRefused(Exception):
    """The database refused a statement (constraint, type, syntax): a mistake in the service that no repeat mends. Nothing of
    its unit was written; other units were not harmed."""


@dataclass(frozen=True, slots=True)
class Write:
    """One statement (INSERT, UPDATE or DELETE) with one row of parameters.

    A unit's statements are executed in its order. Between units of different reefs that share a transaction no order holds,
    and equal texts are executed together: keep texts constant, and let no reef write another's rows.
    """

    sql: str
    parameters: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReefRow:
    """A reef's row: ``version`` 0 and no state when the service has not met the reef. ``has_outputs``: some of its outputs were
    not known to be out."""

    reef_id: str
    version: int
    cursor: Cursor
    state: bytes | None
    has_outputs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One unit of work: a reef's new state, the mark of its input, its rows and its outputs, written together or not at all.

    ``in_inbox``: whether the inbox is to remember the input; an input with a number is remembered by the cursor. ``tried``:
    whether tries of the input may have been counted; they are forgotten with it.
    """

    reef_id: str
    inbox: str  # the subscription's name, or the name of what caused the unit
    event_id: str  # of the input
    expected_version: int
    cursor: Cursor
    state: bytes
    writes: Sequence[Write] = ()
    outputs: Sequence[Publication] = ()
    in_inbox: bool = True
    tried: bool = True


@dataclass(frozen=True, slots=True)
class Committed:
    version: int


@dataclass(frozen=True, slots=True)
class AlreadyApplied:
    """The inbox holds this event. Some of its outputs may still be in the outbox."""


@dataclass(frozen=True, slots=True)
class Stale:
    """Another process wrote this reef since it was loaded: the version fence refused the unit."""

    version: int


CommitResult = Committed | AlreadyApplied | Stale


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatistics:
    """Totals since the store was opened; ``commit_seconds`` is the time that all committed transactions took together."""

    units_waiting: int
    commits: int
    units: int
    units_per_commit_max: int
    commit_seconds: float = 0.0
    failures: int = 0


class Store(Protocol):
    """One service's database. All calls are safe from concurrent tasks; commits of concurrent units share transactions."""

    async def open(self) -> None:
        """Connect and migrate. Raises ConfigurationError (unreadable path, wrong password) or StoreUnavailable."""
        ...

    async def close(self) -> None:
        """Finish what is being written, then disconnect. Idempotent, safe before ``open``."""
        ...

    async def load(self, reef_id: str) -> ReefRow: ...

    async def commit(self, unit: Unit) -> CommitResult:
        """Write one unit durably. Units of concurrent callers share one database transaction (group commit), and one
        refused unit does not harm the others. The inbox is asked first, so a repeat of a written unit that is in it answers
        ``AlreadyApplied`` whatever version it expects, and one that is not ``Stale``: the cursor of the row tells the same.
        After either load the reef's row again.

        Raises:
            StoreUnavailable: nothing of it was written, or it was written in full and a repeat says so, as above.
            WriteRefused: one of its statements is wrong; nothing of it was written.
        """
        ...

    async def is_applied(self, reef_id: str, inbox: str, event_id: str) -> bool:
        """Whether the inbox holds this event; it remembers the newest of each reef."""
        ...

    async def unsent_outputs(self, reef_id: str) -> Sequence[tuple[str, Publication]]:
        """(input's event id, output) of all outputs of a reef that are not known to be out, in order."""
        ...

    async def outputs_sent(self, event_ids: Sequence[str]) -> None:
        """Forget the outputs of these inputs (in all reefs): the broker has them. Cheap: it rides on the next commit, so a
        crash may forget the forgetting, and consumers skip the repeat."""
        ...

    async def overdue_outputs(self, older_than: timedelta, *, limit: int) -> Sequence[tuple[str, Publication]]:
        """(input's event id, output) of outputs that nobody confirmed for that long, oldest first, in reef order."""
        ...

    async def count_attempt(self, inbox: str, event_id: str) -> int:
        """Note durably that a redelivered message is about to be tried; returns the number of tries so noted, this
        one included. Forgotten when a unit with that event id commits."""
        ...

    async def attempts(self, inbox: str, event_id: str) -> int:
        """How many tries are noted now, without noting another."""
        ...

    async def forget_attempts(self, inbox: str, event_id: str) -> None:
        """Take back what ``count_attempt`` noted: the message was interrupted or parked, it killed nothing."""
        ...

    async def write(self, writes: Sequence[Write]) -> None:
        """Execute statements outside any reef's unit, in one transaction, durably. Raises like ``commit``."""
        ...

    async def fetch(self, sql: str, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        """Read committed rows; ``WITH`` and ``SELECT`` only. Sums of integers are ``int``; cast averages."""
        ...

    def statistics(self) -> StoreStatistics: ...
