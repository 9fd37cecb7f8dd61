"""A connection that reconnects: it tries the endpoints in turn, and after every loss again, with backoff and jitter."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final, Generic, Protocol, Self, TypeVar

from reefmesh.backoff import Backoff
from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.network_address import Endpoint
from reefmesh.broker.port import BrokerEvent, BrokerUnavailable
from reefmesh.errors import ConfigurationError, TransientError

BACKOFF: Final = Backoff(first_seconds=0.1, max_seconds=5.0)
BACKOFF_WHEN_REFUSED: Final = Backoff(first_seconds=1.0, max_seconds=10.0)
"""While the broker refuses us for a reason that a person mends (a changed password): no retry storm, but several attempts
within the time after which health asks for a restart."""


class EngineAddress(Protocol):
    """What is needed of an engine's address."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]: ...

    def with_password(self, password: str) -> Self: ...

    def ssl_context(self) -> ssl.SSLContext | None: ...


class EngineConnection(Protocol):
    """One login at one broker, as an engine makes it. ``lost`` is done, with the reason, once it has ended."""

    lost: "asyncio.Future[ConnectionLost]"

    @property
    def is_lost(self) -> bool: ...

    @property
    def heard_seconds_ago(self) -> float | None: ...

    async def close(self) -> None: ...

    def lose(self, reason: ConnectionLost) -> None: ...


AddressT = TypeVar("AddressT", bound=EngineAddress)
ConnectionT = TypeVar("ConnectionT", bound=EngineConnection)
Attached_contra = TypeVar("Attached_contra", contravariant=True)


class Attachment(Protocol[Attached_contra]):
    """Something that lives on a connection and has to be set up again on the next one."""

    async def attach(self, connection: Attached_contra, /) -> None: ...

    def detach(self) -> None: ...


class Reconnecting(Generic[AddressT, ConnectionT]):
    """``connect`` logs in at one endpoint; ``purpose`` names the connection in events; ``password`` is read for each login.
    Attachments are attached in the order in which they were added."""

    def __init__(
        self,
        address: AddressT,
        connect: Callable[[AddressT, Endpoint, ssl.SSLContext | None], Awaitable[ConnectionT]],
        *,
        purpose: str,
        on_event: Callable[[BrokerEvent], None],
        random: Random | None = None,
        password: Callable[[], str] | None = None,
    ) -> None:
        self.reconnects = 0
        self._address = address
        self._log_in = connect
        self._password = password
        self._purpose = purpose
        self._on_event = on_event
        self._random = random or Random()  # noqa: S311 - jitter, nothing secret
        self._connection: ConnectionT | None = None
        self._attachments: list[Attachment[ConnectionT]] = []
        self._keeping: asyncio.Task[None] | None = None
        self._next_endpoint = 0
        self._last_failure = "not connected"
        self._refused_at_seconds: float | None = None

    @property
    def is_up(self) -> bool:
        return self._connection is not None and not self._connection.is_lost

    @property
    def heard_seconds_ago(self) -> float | None:
        return self._connection.heard_seconds_ago if self._connection is not None else None

    @property
    def trouble(self) -> str:
        """Why it is not connected, although it tries; empty: it is, or nobody wants it to be."""
        return "" if self.is_up or self._keeping is None else self._last_failure

    @property
    def refused_seconds(self) -> float | None:
        """For how long every attempt to reconnect has met what no retry mends."""
        return None if self._refused_at_seconds is None else asyncio.get_running_loop().time() - self._refused_at_seconds

    def current(self) -> ConnectionT:
        """Return the connection that is up. Raises BrokerUnavailable when there is none."""
        if self._connection is None or self._connection.is_lost:
            raise BrokerUnavailable(f"no connection to the broker: {self._last_failure}")
        return self._connection

    async def open(self) -> None:
        """Connect, trying every endpoint once; from then on it reconnects by itself.

        Raises:
            ConfigurationError: no retry mends it.
            BrokerUnavailable: no endpoint could be used.
        """
        if self._keeping is not None:
            return
        self._connection = await self._connect()
        self._keeping = asyncio.create_task(self._keep_up(self._connection), name=f"broker connection {self._purpose}")

    async def close(self) -> None:
        """Log out. Idempotent."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
        connection, self._connection = self._connection, None
        self._last_failure = "closed"
        self._refused_at_seconds = None
        if connection is not None:
            await connection.close()
            for attachment in tuple(self._attachments):
                attachment.detach()

    def abort(self) -> None:
        """Drop the connection without logging out and stay disconnected, as if the process had died."""
        if self._keeping is not None:
            self._keeping.cancel()
        if self._connection is not None:
            self._connection.lose(ConnectionLost("aborted"))
        self._last_failure = "aborted"

    def add(self, attachment: Attachment[ConnectionT]) -> None:
        """Attach it to every later connection; the caller attaches it to the present one."""
        self._attachments.append(attachment)

    def remove(self, attachment: Attachment[ConnectionT]) -> None:
        with contextlib.suppress(ValueError):
            self._attachments.remove(attachment)

    async def _connect(self) -> ConnectionT:
        address = self._address if self._password is None else self._address.with_password(self._password())
        context = address.ssl_context()
        endpoints = address.endpoints
        failures: list[str] = []
        refused: ConfigurationError | None = None
        for turn in range(len(endpoints)):
            place = (self._next_endpoint + turn) % len(endpoints)
            connection: ConnectionT | None = None
            try:
                connection = await self._log_in(address, endpoints[place], context)
                for attachment in tuple(self._attachments):
                    await attachment.attach(connection)
            except ConfigurationError as error:
                refused = refused or error
                failures.append(str(error))
            except TransientError as error:
                failures.append(str(error))
            except BaseException:
                if connection is not None:
                    connection.lose(ConnectionLost("could not be set up"))
                raise
            else:
                self._next_endpoint = place
                self._emit("connected", endpoint=str(endpoints[place]))
                return connection
            if connection is not None:
                connection.lose(ConnectionLost("could not be set up"))
        self._last_failure = "; ".join(failures)
        if refused is not None:
            raise refused
        raise BrokerUnavailable(f"no broker: {self._last_failure}")

    async def _keep_up(self, connection: ConnectionT) -> None:
        while True:
            reason = await asyncio.shield(connection.lost)
            self._last_failure = str(reason)
            for attachment in tuple(self._attachments):
                attachment.detach()
            self._emit("lost", reason=str(reason))
            connection = self._connection = await self._reconnect()
            self.reconnects += 1

    async def _reconnect(self) -> ConnectionT:
        failures, refusals, reported = 1, 0, ""
        while True:
            backoff, attempt = (BACKOFF_WHEN_REFUSED, refusals) if refusals else (BACKOFF, failures)
            await asyncio.sleep(backoff.delay_seconds(attempt, self._random))
            try:
                connection = await self._connect()
            except ConfigurationError as error:
                refusals, self._last_failure = refusals + 1, str(error)
                if self._refused_at_seconds is None:
                    self._refused_at_seconds = asyncio.get_running_loop().time()
                if str(error) != reported:  # once, not at every attempt
                    reported = str(error)
                    self._emit("lost", reason=reported)
            except TransientError:
                failures, refusals, self._refused_at_seconds = failures + 1, 0, None
            except Exception as error:  # noqa: BLE001 - a mistake of ours in setting up must not end the reconnecting
                self._emit("lost", reason=f"{type(error).__name__}: {error}")
                refusals, self._refused_at_seconds = refusals + 1, None
            else:
                self._refused_at_seconds = None
                return connection

    def _emit(self, name: str, **facts: str) -> None:
        self._on_event(BrokerEvent(name=name, facts={"link": self._purpose, **facts}))
