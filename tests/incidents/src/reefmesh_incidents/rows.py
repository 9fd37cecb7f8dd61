"""The incidents, by number: what happens to the platform, what is right then, and what the mesh did before it was mended."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRow:
    incident: str
    right: str
    before: str


ROWS: Final[Mapping[int, IncidentRow]] = {
    1: IncidentRow(
        incident="A failover leaves the old primary up as a reader, and the connections on it",
        right="The connection is dropped; the next one goes to a server that takes writes",
        before="stayed on the reader for ever, live",
    ),
    2: IncidentRow(
        incident="64 TCP connections to the pages, all silent",
        right="They are closed after a while, and health answers all the same",
        before="health, live and metrics 503: a healthy service was restarted",
    ),
    3: IncidentRow(
        incident="PgBouncer between service and database, in session mode and in transaction mode",
        right="It works, or one line says why not (78); the schema is verified",
        before="exit 75 for ever; or tables in `public`, an empty register, healthy; or exit 70",
    ),
    4: IncidentRow(
        incident="An operator purges a queue: holes in 320 reefs",
        right="One patience for all, and lanes for reefs without a hole; health says it",
        before="the last reef went on after 116 s, new reefs stood for 109 s, healthy",
    ),
    5: IncidentRow(
        incident="The password of database or broker is changed, and the task keeps the old one",
        right="Not live after the patience of a start; a secret in a file is read again",
        before="refused for ever, live",
    ),
    6: IncidentRow(
        incident="Whoever reads the log's pipe stalls",
        right="The event loop never waits for the log; dropped lines are counted and told",
        before="pages dead, SIGTERM not heard",
    ),
    7: IncidentRow(
        incident="The broker restarts, and its name does not resolve meanwhile; the same at a start",
        right="Transient: retried as any other failure, 75 at a start",
        before="first try 42 s after it was back; exit 78 at a start",
    ),
    8: IncidentRow(
        incident="SIGTERM while another process holds the lock of migrations",
        right="Heard at once",
        before="not heard for 100 s",
    ),
    9: IncidentRow(
        incident="Addresses as libpq has them: several hosts, its parameters, a missing certificate file, no user",
        right="They work, or one line has the parameter's name",
        before="78 that blamed the password; 70 with a traceback",
    ),
    10: IncidentRow(
        incident="A proxy is the only way out",
        right="Webhooks go through it where a setting says so, and targets are checked all the same",
        before="webhooks failed, no setting",
    ),
    11: IncidentRow(
        incident="A database in LATIN1",
        right="Refused at the start (78) and by doctor",
        before="healthy, then 70 at the first name with a diacritic",
    ),
    12: IncidentRow(
        incident="A backslash, and other signs, in the broker's password",
        right="It works, or is named",
        before='refused, once as "peer closed the connection"',
    ),
}
