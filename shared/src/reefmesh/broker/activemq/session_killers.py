"""Which message kills sessions: whose settlement was being written, alone, when session after session was lost.

A broker that restarts costs sessions too, but between its losses something is settled, and then nobody is suspected. After a
few sessions in a row that settled nothing, settlements are written one at a time, so that only one message can be the cause.
A session that ended in silence says nothing about a message.
"""

import asyncio
from typing import Final

from reefmesh.broker.activemq.session import Session

ONE_AT_A_TIME_AFTER_SESSIONS: Final = 3
SESSIONS_LIMIT: Final = 10
"""Sessions in a row that are lost with nothing settled and one message's settlement written, before it is parked."""
KILLS_SESSIONS: Final = "kills-sessions"


class SessionKillers:
    """Of one client: its consumers share a session."""

    def __init__(self) -> None:
        self._fruitful: Session | None = None
        """The last one on which something was settled."""
        self._lost: Session | None = None
        self._barren_sessions = 0
        self._suspect: str | None = None
        self._suspect_sessions = 0
        self.turn = asyncio.Lock()
        """Held while a settlement is written, when ``is_one_at_a_time``."""

    @property
    def is_one_at_a_time(self) -> bool:
        return self._barren_sessions >= ONE_AT_A_TIME_AFTER_SESSIONS

    def is_killer(self, message_id: str | None) -> bool:
        return message_id is not None and message_id == self._suspect and self._suspect_sessions >= SESSIONS_LIMIT

    def note_settled(self, session: Session) -> None:
        self._fruitful = session
        if self._barren_sessions:
            self._barren_sessions = self._suspect_sessions = 0
            self._suspect = None

    def note_lost(self, session: Session, message_id: str | None) -> None:
        """The session was lost before the broker had confirmed this message's settlement."""
        if session is self._fruitful:
            return
        if session is not self._lost:
            self._lost = session
            self._barren_sessions += 1
            self._suspect_sessions = self._suspect_sessions + 1 if message_id == self._suspect else 1
            self._suspect = message_id
        elif message_id != self._suspect:
            self._suspect, self._suspect_sessions = None, 0
