"""The spool: measurements on the buoy's disk, from their arrival until they are confirmed.

At most one report is in hand: sealed, so that each attempt sends the same bytes, and deleted with its readings once it is
confirmed. So a report follows the one before it, and a crash at any instant repeats at most one.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from reefmesh_buoy.clock import ClockReading
from reefmesh_buoy.failures import SpoolLost
from reefmesh_buoy.measurement import Measurement
from reefmesh_buoy.report import BODY_BYTES_LIMIT, READINGS_LIMIT, SealedReport, body_of, event_id_of
from reefmesh_buoy.spool_tables import Ballast, open_with_ballast

NEWEST_READINGS: Final = 100
"""Of every second report, where there is a backlog: new readings do not wait for it."""
REFUSED_KEPT: Final = 20
UNSET_PATIENCE_US: Final = 10 * 60 * 1_000_000
"""Readings of an unset clock wait so long after the boot for somebody to set it; then they are sent as they are."""
SAMPLE_CHARACTERS: Final = 300
TRIES_TO_MAKE_ROOM: Final = 3

_ROW = tuple[int, int, int, str, int, int | None, str]
_AMONG: Final = (
    "SELECT id, wall_us, since_boot_us, boot_id, is_set, observed_us, content_json FROM reading"
    " WHERE boot_id IS NOT ? OR is_set OR observed_us IS NOT NULL"
)


class Spool:
    """Used by several threads; each method is one transaction. Methods raise SpoolLost."""

    def __init__(self, path: Path, *, device: str, readings_limit: int, bytes_limit: int | None = None) -> None:
        self._device = device
        self._readings_limit = readings_limit
        self._lock = threading.Lock()
        try:
            self._ballast = Ballast(path)
            self._connection = open_with_ballast(path, self._ballast, bytes_limit=bytes_limit)
            self._producer_id = str(self._connection.execute("SELECT value FROM fact WHERE name = 'producer_id'").fetchone()[0])
            self._waiting = int(self._connection.execute("SELECT count(*) FROM reading").fetchone()[0])
        except (sqlite3.Error, OSError) as error:
            raise SpoolLost(f"{path}: {error}") from error

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def put(self, measurements: Sequence[Measurement], at: ClockReading, *, file: str | None = None, bad: int = 0) -> None:
        """Keep measurements; they are on the disk on return. A full disk costs the oldest ones.

        ``file``: they are all of this file, which is not taken twice; ``bad`` of its lines were none.
        """
        for _ in range(TRIES_TO_MAKE_ROOM):
            try:
                return self._put(measurements, at, file, bad)
            except sqlite3.Error as error:
                if not _is_full(error):
                    raise SpoolLost(str(error)) from error
                self._make_room(max(len(measurements), self._waiting // 10, 1))
        raise SpoolLost("the disk is full, and leaving out the oldest readings made no room")

    def has_taken(self, file: str) -> bool:
        with self._transaction() as connection:
            return connection.execute("SELECT 1 FROM file WHERE name = ?", (file,)).fetchone() is not None

    def forget_file(self, file: str) -> None:
        """The file is gone from its folder: a new one of its name is another."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM file WHERE name = ?", (file,))

    def note_bad_line(self, reason: str, line: bytes) -> None:
        """Count a line that is no measurement; the newest is kept as a sample."""
        with self._transaction() as connection:
            _add(connection, "bad_lines", 1)
            _set(connection, "bad_line", f"{reason}: {line[:SAMPLE_CHARACTERS].decode('utf-8', 'replace')}")

    def note_clock(self, at: ClockReading) -> None:
        """Remember when this boot began, once the clock is set: that mends what was stamped before."""
        if at.is_set:
            with self._transaction() as connection:
                connection.execute("INSERT OR IGNORE INTO boot VALUES (?, ?)", (at.boot_id, at.boot_at_us))

    def report_in_hand(self, at: ClockReading) -> SealedReport | None:
        """Return the report to send: the sealed one, else a new one; None if nothing can be sent now."""
        self.note_clock(at)
        for _ in range(TRIES_TO_MAKE_ROOM):
            try:
                with self._transaction() as connection:
                    return self._sealed(connection) or self._seal(connection, at)
            except SpoolLost as lost:
                if not isinstance(lost.__cause__, sqlite3.Error) or not _is_full(lost.__cause__):
                    raise
                self._make_room(max(self._waiting // 10, 1))
        raise SpoolLost("the disk is full, and leaving out the oldest readings made no room for a report")

    def confirmed(self, report: SealedReport, at: ClockReading) -> None:
        """The report is safe on the other side: delete it and its readings."""
        self._done(report, at, "confirmed")

    def refused(self, report: SealedReport, reason: str, at: ClockReading) -> None:
        """The report will never be taken: keep it as a sample, and go on with the next one."""
        self._done(report, at, "refused", reason)

    def facts(self) -> dict[str, Any]:
        """Return the counters and the last states by name, for ``reefmesh_buoy.health``."""
        with self._transaction() as connection:
            facts = dict(connection.execute("SELECT name, value FROM fact"))
            facts["waiting"] = self._waiting
            facts["oldest_us"] = connection.execute("SELECT wall_us FROM reading ORDER BY id LIMIT 1").fetchone()
            return facts

    def _put(self, measurements: Sequence[Measurement], at: ClockReading, file: str | None, bad: int) -> None:
        rows = [(at.wall_us + n, at.since_boot_us + n, at.boot_id, at.is_set, m.observed_us, m.content_json)
                for n, m in enumerate(measurements)]  # fmt: skip
        with self._lock, self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            if file is not None:
                connection.execute("INSERT INTO file VALUES (?)", (file,))
            connection.executemany(
                "INSERT INTO reading (wall_us, since_boot_us, boot_id, is_set, observed_us, content_json)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            _add(connection, "taken", len(rows))
            _add(connection, "bad_lines", bad)
            excess = self._waiting + len(rows) - self._readings_limit
            dropped = _drop_oldest(connection, excess) if excess > 0 else 0
        self._waiting += len(rows) - dropped

    def _make_room(self, readings: int) -> None:
        """Leave out the oldest readings and count them. Their pages are used again, so the file need not grow."""
        self._ballast.throw_out()
        with self._transaction() as connection:
            dropped = _drop_oldest(connection, readings)
        self._waiting -= dropped

    def _sealed(self, connection: sqlite3.Connection) -> SealedReport | None:
        row = connection.execute("SELECT seq, event_id, follows, sent_us, clock, body FROM report LIMIT 1").fetchone()
        if row is None:
            return None
        seq, event_id, follows, sent_us, clock, body = row
        return SealedReport(seq=seq, event_id=event_id, producer_id=self._producer_id, follows=follows, sent_us=sent_us,
                            clock=clock, body=body)  # fmt: skip

    def _seal(self, connection: sqlite3.Connection, at: ClockReading) -> SealedReport | None:
        facts = dict(connection.execute("SELECT name, value FROM fact WHERE name IN ('seq', 'last_event_id')"))
        seq = facts.get("seq", 0) + 1
        boots = dict(connection.execute("SELECT boot_id, boot_at_us FROM boot"))
        is_waiting = at.boot_id not in boots and at.since_boot_us < UNSET_PATIENCE_US
        rows = _choose(connection, seq, but_of_boot=at.boot_id if is_waiting else None)
        readings: list[tuple[int, str]] = []
        ids, body, unmended = [], b"", 0
        size = 0
        for row in rows:
            at_us, is_mended = _instant_of(row, boots)
            size += len(row[6]) + 64
            if size > BODY_BYTES_LIMIT:
                break
            readings.append((at_us, row[6]))
            ids.append(row[0])
            unmended += not is_mended
        if not readings:
            return None
        body = body_of(self._device, seq, at.wall_us, _apart(readings))
        clock = "set" if at.is_set else "unset"
        event_id = event_id_of(self._producer_id, seq)
        connection.execute(
            "INSERT INTO report VALUES (?, ?, ?, ?, ?, ?)",
            (seq, event_id, facts.get("last_event_id"), at.wall_us, clock, body),
        )
        connection.executemany("UPDATE reading SET seq = ? WHERE id = ?", [(seq, each) for each in ids])
        _set(connection, "seq", seq)
        _add(connection, "unmended", unmended)
        return self._sealed(connection)

    def _done(self, report: SealedReport, at: ClockReading, outcome: str, reason: str = "") -> None:
        with self._transaction() as connection:
            done = connection.execute("DELETE FROM reading WHERE seq = ?", (report.seq,)).rowcount
            connection.execute("DELETE FROM report WHERE seq = ?", (report.seq,))
            connection.execute(
                "DELETE FROM boot WHERE boot_id <> ? AND boot_id NOT IN (SELECT boot_id FROM reading)", (at.boot_id,)
            )
            _add(connection, outcome, done)
            _set(connection, "last_contact_us", at.wall_us)
            if outcome == "confirmed":
                _set(connection, "last_event_id", report.event_id)
            else:
                _set(connection, "refusal", reason[:SAMPLE_CHARACTERS])
                connection.execute("INSERT INTO refused VALUES (?, ?, ?)", (report.seq, reason, report.body))
                connection.execute("DELETE FROM refused WHERE seq NOT IN (SELECT seq FROM refused ORDER BY seq DESC LIMIT ?)",
                                   (REFUSED_KEPT,))  # fmt: skip
        self._waiting -= done

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                with self._connection as connection:
                    connection.execute("BEGIN IMMEDIATE")
                    yield connection
            except sqlite3.Error as error:
                raise SpoolLost(str(error)) from error


def _choose(connection: sqlite3.Connection, seq: int, *, but_of_boot: str | None) -> list[_ROW]:
    """Return the oldest readings, and of every second report the newest, oldest first."""
    if seq % 2:
        return connection.execute(f"{_AMONG} ORDER BY id LIMIT ?", (but_of_boot, READINGS_LIMIT)).fetchall()
    newest = connection.execute(f"{_AMONG} ORDER BY id DESC LIMIT ?", (but_of_boot, NEWEST_READINGS)).fetchall()
    return newest[::-1]


def _instant_of(row: _ROW, boots: dict[str, int]) -> tuple[int, bool]:
    """Return when a reading was taken, and whether that is known: by the source, by a clock that was set, or set later."""
    _, wall_us, since_boot_us, boot_id, is_set, observed_us, _ = row
    if observed_us is not None:
        return observed_us, True
    if is_set:
        return wall_us, True
    if boot_id in boots:
        return boots[boot_id] + since_boot_us, True
    return wall_us, False


def _apart(readings: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Keep readings apart that have one instant: ingest would take them for one."""
    apart: list[tuple[int, str]] = []
    for us, content in sorted(readings, key=lambda each: each[0]):
        apart.append((max(us, apart[-1][0] + 1) if apart else us, content))
    return apart


def _drop_oldest(connection: sqlite3.Connection, readings: int) -> int:
    dropped = connection.execute(
        "DELETE FROM reading WHERE id IN (SELECT id FROM reading WHERE seq IS NULL ORDER BY id LIMIT ?)", (readings,)
    ).rowcount
    _add(connection, "dropped", dropped)
    return dropped


def _add(connection: sqlite3.Connection, name: str, number: int) -> None:
    connection.execute(
        "INSERT INTO fact VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value", (name, number)
    )


def _set(connection: sqlite3.Connection, name: str, value: int | str) -> None:
    connection.execute("INSERT INTO fact VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (name, value))


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
