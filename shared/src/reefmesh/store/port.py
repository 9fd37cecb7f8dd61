"""The port: one service's own database.

SQL is written once, in the dialect that SQLite and PostgreSQL share, with ``?`` for parameters: ``INSERT .. ON CONFLICT ..
DO UPDATE SET x = excluded.x``, ``BIGINT``/``TEXT``/``DOUBLE PRECISION`` columns, instants as UTC microseconds in ``.._us``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol

from reefmesh.broker.port import Publication
from reefmesh.errors import TransientError
from reefmesh.store.cursor import Cursor

Value = str | int | float | bytes | None
Row = Sequence[Any]


class StoreUnavailable(TransientError):
    """The database cannot be reached, is locked, or its disk is full. ``Store.commit`` says what was written then."""


class StoreRefused(StoreUnavailable):
    """The database answers and refuses us, as a start would be refused (login, certificate, encoding): it heals when a person
    mends it there, or with a restart, which reads settings and secrets again."""


class WriteRefused(Exception):
    """The database refused a statement (constraint, type, syntax): a bug of the service, which a repeat does not mend.
    Nothing of its unit was written; other units are not affected."""


@dataclass(frozen=True, slots=True)
class Write:
    """One statement (INSERT, UPDATE or DELETE) with one row of parameters.

    The statements of one unit are executed in order. Units of different reefs that share a transaction have no order among each
    other, and equal texts are executed together: keep texts constant, and let no reef write another reef's rows.
    """

    sql: str
    parameters: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReefRow:
    """A reef's row. ``version`` is 0 and ``state`` None if the service does not know the reef. ``has_outputs``: some of its
    outputs are in the outbox."""

    reef_id: str
    version: int
    cursor: Cursor
    state: bytes | None
    has_outputs: bool = False


INBOX_LENGTH: Final = 128
"""Inputs remembered per reef and inbox. The cursor skips older repeats of numbered messages; raw telemetry has no numbers, and
brokers repeat it within far fewer messages of one reef than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One unit of work: a reef's new state and cursor, the mark of its input, its rows and its outputs, written together or not
    at all.

    ``in_inbox``: the inbox remembers the input (the cursor remembers an input with a number), and
    forgets all but the latest ``inbox_length`` of the reef. ``tried``: tries of the input may
    have been counted; they are deleted with it.
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
    inbox_length: int = INBOX_LENGTH
    tried: bool = True


@dataclass(frozen=True, slots=True)
class Committed:
    version: int


@dataclass(frozen=True, slots=True)
class AlreadyApplied:
    """The inbox holds this event. Some of its outputs may still be in the outbox."""


@dataclass(frozen=True, slots=True)
class Stale:
    """Another process wrote the reef after it was loaded; it is at ``version`` now. The version fence refused the unit."""

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
    """One service's database, for concurrent tasks. Every call may wait for the database, and may raise StoreUnavailable."""

    async def open(self) -> None:
        """Connect and migrate; waits while another process migrates.

        Raises:
            ConfigurationError: a path that cannot be used, a wrong password, a database of another service.
            StoreUnavailable: try again later.
        """
        ...

    async def close(self) -> None:
        """Finish what is being written, then disconnect. Idempotent, safe before ``open``."""
        ...

    async def load(self, reef_id: str) -> ReefRow: ...

    async def commit(self, unit: Unit) -> CommitResult:
        """Write one unit; returns when it is durable. Units of concurrent callers share one database transaction (group
        commit); a refused unit does not affect the others.

        The inbox is asked first: a repeat of a written unit that it remembers gets ``AlreadyApplied``, whatever version it
        expects. Any other repeat gets ``Stale``, and the cursor in the row tells that it was applied. After either, load the
        reef's row again.

        Raises:
            StoreUnavailable: nothing of it was written, or all of it; a repeat finds out, as above.
            WriteRefused: one of its statements is wrong; nothing of it was written.
        """
        ...

    async def is_applied(self, reef_id: str, inbox: str, event_id: str) -> bool:
        """Return whether the inbox holds this event; it remembers the most recent of each reef."""
        ...

    async def unsent_outputs(self, reef_id: str) -> Sequence[tuple[str, Publication]]:
        """Return (input's event id, output) of all outputs of a reef that are not known to be out, in the order of commits."""
        ...

    async def outputs_sent(self, event_ids: Sequence[str]) -> None:
        """Delete the outputs of these inputs from the outbox: the broker has them. Returns at once; it becomes durable with the
        next commit. After a crash before that they are sent again, and consumers skip the repeat."""
        ...

    async def overdue_outputs(self, older_than: timedelta, *, limit: int) -> Sequence[tuple[str, Publication]]:
        """Return (input's event id, output) of outputs that have been in the outbox for that long: the reef with the oldest
        first, each reef's in the order of commits."""
        ...

    async def count_attempt(self, inbox: str, event_id: str) -> int:
        """Count durably that a redelivered message is about to be tried; return the count, this try included. A unit with
        that event id deletes it if its ``tried`` says so."""
        ...

    async def attempts(self, inbox: str, event_id: str) -> int:
        """Return the count without changing it."""
        ...

    async def forget_attempts(self, inbox: str, event_id: str) -> None:
        """Delete the count: the message was interrupted or parked, and has killed nothing."""
        ...

    async def write(self, writes: Sequence[Write]) -> None:
        """Execute statements outside any unit, in one transaction; returns when it is durable. Raises like ``commit``."""
        ...

    async def fetch(self, sql: str, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        """Return committed rows; ``WITH`` and ``SELECT`` only. Sums of integers are ``int``; cast averages."""
        ...

    def statistics(self) -> StoreStatistics: ...
