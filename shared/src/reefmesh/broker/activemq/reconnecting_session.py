"""A session that is kept up: endpoints in turn, and again after every loss, with backoff and jitter."""

import asyncio
import contextlib
from collections.abc import Callable
from random import Random
from typing import Final, Protocol

from reefmesh.broker.activemq.errors import ConnectionLost
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.port import BrokerEvent, BrokerUnavailable
from reefmesh.errors import ConfigurationError, TransientError

FIRST_WAIT_SECONDS: Final = 0.1
LONGEST_WAIT_SECONDS: Final = 5.0
HOPELESS_WAIT_SECONDS: Final = 60.0
"""Between attempts while the broker refuses us for a reason that no retry mends (a changed password): no retry storm."""


class Attachment(Protocol):
    """What lives on a session and has to be put on the next one."""

    async def attach(self, session: Session) -> None: ...

    def detach(self) -> None: ...


class ReconnectingSession:
    """``purpose`` names it in events. Attachments are attached in the order in which they were added."""

    def __init__(
        self, address: ActiveMQAddress, *, purpose: str, on_event: Callable[[BrokerEvent], None], random: Random | None = None
    ) -> None:
        self.reconnects = 0
        self._address = address
        self._purpose = purpose
        self._on_event = on_event
        self._random = random or Random()  # noqa: S311 - jitter, nothing secret
        self._session: Session | None = None
        self._attachments: list[Attachment] = []
        self._keeping: asyncio.Task[None] | None = None
        self._next_endpoint = 0
        self._last_failure = "not connected"

    @property
    def is_up(self) -> bool:
        return self._session is not None and not self._session.is_lost

    @property
    def heard_seconds_ago(self) -> float | None:
        return self._session.heard_seconds_ago if self._session is not None else None

    def session(self) -> Session:
        """Return the session that is up. Raises BrokerUnavailable when there is none."""
        if self._session is None or self._session.is_lost:
            raise BrokerUnavailable(f"no connection to the broker: {self._last_failure}")
        return self._session

    async def open(self) -> None:
        """Connect, trying every endpoint once; from then on the link keeps itself up.

        Raises:
            ConfigurationError: no retry mends it.
            BrokerUnavailable: no endpoint could be used.
        """
        if self._keeping is not None:
            return
        self._session = await self._connect()
        self._keeping = asyncio.create_task(self._keep_up(self._session), name=f"broker link {self._purpose}")

    async def close(self) -> None:
        """Log out. Idempotent."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
        session, self._session = self._session, None
        self._last_failure = "closed"
        if session is not None:
            await session.close()
            for attachment in tuple(self._attachments):
                attachment.detach()

    def abort(self) -> None:
        """Give the connection up without a farewell and stay down, as if the process had died."""
        if self._keeping is not None:
            self._keeping.cancel()
        if self._session is not None:
            self._session.lose(ConnectionLost("aborted"))
        self._last_failure = "aborted"

    def add(self, attachment: Attachment) -> None:
        """From the next session on this is attached by the link."""
        self._attachments.append(attachment)

    def remove(self, attachment: Attachment) -> None:
        with contextlib.suppress(ValueError):
            self._attachments.remove(attachment)

    async def _connect(self) -> Session:
        context = self._address.ssl_context()
        endpoints = self._address.endpoints
        failures: list[str] = []
        hopeless: ConfigurationError | None = None
        for turn in range(len(endpoints)):
            place = (self._next_endpoint + turn) % len(endpoints)
            session: Session | None = None
            try:
                session = await Session.open(self._address, endpoints[place], context)
                for attachment in tuple(self._attachments):
                    await attachment.attach(session)
            except ConfigurationError as error:
                hopeless = hopeless or error
                failures.append(str(error))
            except TransientError as error:
                failures.append(str(error))
            except BaseException:
                if session is not None:
                    session.lose(ConnectionLost("could not be set up"))
                raise
            else:
                self._next_endpoint = place
                self._tell("connected", endpoint=str(endpoints[place]))
                return session
            if session is not None:
                session.lose(ConnectionLost("could not be set up"))
        self._last_failure = "; ".join(failures)
        if hopeless is not None:
            raise hopeless
        raise BrokerUnavailable(f"no broker: {self._last_failure}")

    async def _keep_up(self, session: Session) -> None:
        while True:
            reason = await asyncio.shield(session.lost)
            self._last_failure = str(reason)
            for attachment in tuple(self._attachments):
                attachment.detach()
            self._tell("lost", reason=str(reason))
            session = self._session = await self._reconnect()
            self.reconnects += 1

    async def _reconnect(self) -> Session:
        span = FIRST_WAIT_SECONDS
        told = ""
        while True:
            await asyncio.sleep(span * (0.5 + 0.5 * self._random.random()))
            try:
                return await self._connect()
            except ConfigurationError as error:
                if str(error) != told:  # once, not at every attempt
                    told = str(error)
                    self._tell("lost", reason=told)
                span = HOPELESS_WAIT_SECONDS
            except TransientError:
                span = min(span * 2, LONGEST_WAIT_SECONDS)
            except Exception as error:  # noqa: BLE001 - a mistake of ours in setting up must not leave the link down for ever
                self._tell("lost", reason=f"{type(error).__name__}: {error}")
                span = HOPELESS_WAIT_SECONDS

    def _tell(self, name: str, **facts: str) -> None:
        self._on_event(BrokerEvent(name=name, facts={"link": self._purpose, **facts}))
