"""One login at one broker: subscriptions, and receipts that confirm commands."""

import asyncio
import itertools
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from reefmesh.broker.activemq.errors import BrokerRefusal, ProtocolViolation, login_failure, login_unanswered
from reefmesh.broker.activemq.frame_headers import escaped_for_login
from reefmesh.broker.activemq.frames import Frame, encode
from reefmesh.broker.activemq.transport import Connection
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.connection_loss import BrokerSilent, ConnectionLost
from reefmesh.broker.network_address import Endpoint
from reefmesh.broker.reconnecting import Reconnecting

log = structlog.get_logger()

Headers = Iterable[tuple[str, str]]
OnMessage = Callable[[Frame], None]

HEARD_WITHIN_HEARTBEATS: Final = 1.75
"""The broker is asked to send every half heart-beat and may be late by one more half; after that it counts as gone."""
CHECKS_PER_CONFIRM_TIMEOUT: Final = 8
FAREWELL_SECONDS: Final = 5.0
EXPLANATION_SECONDS: Final = 0.5
"""How long a refused COMMIT waits for the reason."""
TOO_LONG: Final = "The maximum ", " was exceeded"
"""How ActiveMQ's complaint about a frame that it could not read begins and ends."""


class Session:
    """Made by ``open``. ``request`` asks for a receipt, ``send`` does not. Every method raises ConnectionLost once it is
    lost."""

    def __init__(self, address: ActiveMQAddress) -> None:
        self.address = address
        self.name = ""
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._numbers = itertools.count(1)
        self._receipts: dict[str, tuple[asyncio.Future[None], float]] = {}
        self._subscriptions: dict[str, OnMessage] = {}
        self._login: asyncio.Future[Frame] = self._loop.create_future()
        self._complaint: str | None = None
        self._unexplained: deque[asyncio.Future[None]] = deque()
        self._check: asyncio.TimerHandle | None = None
        self.lost: asyncio.Future[ConnectionLost] = self._loop.create_future()
        """Done with the reason once the session has ended, cleanly or not."""

    @classmethod
    async def open(cls, address: ActiveMQAddress, endpoint: Endpoint, context: ssl.SSLContext | None) -> "Session":
        """Connect and log in within the connection time-out.

        Raises:
            ConfigurationError: wrong password, unknown authority, wrong host name: no retry mends it.
            BrokerUnavailable: no connection, no answer, or not STOMP.
        """
        session = cls(address)
        try:
            async with asyncio.timeout(address.connect_timeout_seconds):
                await session._log_in(endpoint, context)
        except TimeoutError:
            hint = "; is that its port for TLS?" if context is not None and session._connection is None else ""
            reason = ConnectionLost(f"{endpoint} did not answer within {address.connect_timeout_seconds:g} s{hint}")
            session.lose(reason)
            raise reason from None
        except BaseException:
            session.lose(ConnectionLost("the login failed"))
            raise
        return session

    @property
    def is_lost(self) -> bool:
        return self.lost.done()

    @property
    def peer(self) -> str:
        return self._connection.peer if self._connection is not None else ""

    @property
    def heard_seconds_ago(self) -> float | None:
        return self._connection.heard_seconds_ago if self._connection is not None else None

    @property
    def unconfirmed(self) -> int:
        return len(self._receipts)

    def new_name(self, kind: str) -> str:
        """Return a name that this session has not used: for transactions and subscriptions."""
        return f"{kind}{next(self._numbers)}"

    def send(self, command: str, headers: Headers, body: bytes | None = None) -> None:
        self._write(encode(command, headers, body))

    def request(self, command: str, headers: Headers, body: bytes | None = None) -> "asyncio.Future[None]":
        """Send with a receipt; the future is done when the broker has confirmed.

        It fails with BrokerRefusal (an ERROR frame) or ConnectionLost (the command was executed or not).
        """
        receipt = str(next(self._numbers))
        self._write(encode(command, (*headers, ("receipt", receipt)), body))
        future: asyncio.Future[None] = self._loop.create_future()
        future.add_done_callback(_retrieve)
        self._receipts[receipt] = (future, self._loop.time() + self.address.confirm_timeout_seconds)
        return future

    async def drain(self) -> None:
        """Wait until more may be written."""
        if self._connection is not None:
            await self._connection.drain()

    def subscribe(self, name: str, destination: str, headers: Headers, on_message: OnMessage) -> "asyncio.Future[None]":
        """Messages of this subscription go to ``on_message`` from now on."""
        self._subscriptions[name] = on_message
        try:
            return self.request("SUBSCRIBE", (("id", name), ("destination", destination), *headers))
        except ConnectionLost:
            self._subscriptions.pop(name, None)
            raise

    def unsubscribe(self, name: str) -> "asyncio.Future[None]":
        """Messages that still arrive for this subscription are dropped: the broker delivers them to another one."""
        self._subscriptions.pop(name, None)
        return self.request("UNSUBSCRIBE", (("id", name),))

    async def close(self) -> None:
        """Log out: the broker confirms that it has executed all commands. Idempotent; never raises for a lost connection."""
        if not self.is_lost and self._connection is not None:
            try:
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await self.request("DISCONNECT", ())
                await self._connection.close()
            except (TimeoutError, ConnectionLost, BrokerRefusal):
                pass
        self.lose(ConnectionLost("closed"))

    def lose(self, reason: ConnectionLost) -> None:
        """Drop the connection without logging out."""
        if self._connection is not None:
            self._connection.lose(reason)
        self._on_lost(reason)

    async def _log_in(self, endpoint: Endpoint, context: ssl.SSLContext | None) -> None:
        address = self.address
        self._connection = connection = await Connection.open(
            address, endpoint, context, on_frame=self._on_frame, on_lost=self._on_lost
        )
        if self.is_lost:  # it broke before `open` returned
            raise self.lost.result()
        heartbeat_ms = round(address.heartbeat_seconds * 1000)
        headers = [
            ("accept-version", "1.2"),
            ("host", address.virtual_host or endpoint.host),
            ("heart-beat", f"{heartbeat_ms},{max(1, heartbeat_ms // 2)}"),
        ]
        if address.user:
            headers += [("login", escaped_for_login(address.user)), ("passcode", escaped_for_login(address.password))]
        self._write(encode("CONNECT", headers))
        try:
            answer = await self._login
        except ConnectionLost as lost:
            raise login_unanswered(lost, address=str(endpoint)) from None
        if answer.command != "CONNECTED":
            raise login_failure(_message(answer), user=address.user, address=str(endpoint))
        if answer.headers.get("version") != "1.2":
            raise ProtocolViolation(f"{endpoint} speaks STOMP {answer.headers.get('version', '1.0')}, not 1.2")
        self.name = answer.headers.get("session", "")
        self._start_heartbeats(connection, answer.headers.get("heart-beat", "0,0"))
        self._check = self._loop.call_later(address.confirm_timeout_seconds / CHECKS_PER_CONFIRM_TIMEOUT, self._check_receipts)

    def _start_heartbeats(self, connection: Connection, offered: str) -> None:
        sends, _, wants = offered.partition(",")
        try:
            sends_seconds, wants_seconds = int(sends) / 1000, int(wants or "0") / 1000
        except ValueError:
            raise ProtocolViolation(f"{connection.peer}: heart-beat {offered[:40]!r} is not two numbers") from None
        ours = self.address.heartbeat_seconds
        connection.start_heartbeats(
            send_every_seconds=max(ours, wants_seconds) / 2 if wants_seconds else 0.0,
            hear_within_seconds=max(ours, sends_seconds * 2) * HEARD_WITHIN_HEARTBEATS if sends_seconds else 0.0,
        )

    def _write(self, data: bytes) -> None:
        if self._connection is None or self.is_lost:
            raise ConnectionLost(str(self.lost.result()) if self.is_lost else "not connected")
        self._connection.write(data)

    def _on_frame(self, frame: Frame) -> None:
        command = frame.command
        if command == "MESSAGE":
            on_message = self._subscriptions.get(frame.headers.get("subscription", ""))
            if on_message is not None:
                self._hand_on(frame, on_message)
        elif command == "RECEIPT":
            if (entry := self._receipts.pop(frame.headers.get("receipt-id", ""), None)) and not entry[0].done():
                entry[0].set_result(None)
        elif not self._login.done():
            self._login.set_result(frame)
        elif command == "ERROR":
            self._on_error(frame)
        else:
            self.lose(ProtocolViolation(f"{self.peer}: {command} in the middle of a session"))

    def _hand_on(self, frame: Frame, on_message: OnMessage) -> None:
        """A mistake of ours that one message meets must not cost the connection: the broker would send the same frame again."""
        try:
            on_message(frame)
        except Exception:
            message_id = frame.headers.get("message-id", "")[:200]
            log.exception("a message met a fault in its subscriber", message_id=message_id)

    def _on_error(self, frame: Frame) -> None:
        """Fail the request that an ERROR answers. An ERROR without a receipt id is about a message in a transaction: the
        broker refuses the COMMIT too, before or after it, and this ERROR is the reason to report. There are two exceptions. No
        later refusal follows an unknown acknowledgement: client and broker disagree on the open messages, so the session ends.
        And a frame that was too long to be read makes the broker close the connection, after it has read the rest of the frame
        as if it were a command: no answer that still comes can be believed."""
        message = _message(frame)
        receipt = frame.headers.get("receipt-id")
        entry = self._receipts.pop(receipt, None) if receipt is not None else None
        if entry is None:
            if "Unexpected ACK" in message:
                self.lose(ProtocolViolation(f"{self.peer}: {message}"))
            elif message.startswith(TOO_LONG[0]) and message.endswith(TOO_LONG[1]):
                self.lose(ConnectionLost(f"{self.peer}: could not read what was sent: {message}"))
            elif self._unexplained:
                _refuse(self._unexplained.popleft(), message)
            else:
                self._complaint = message
        elif "rollback only" not in message:
            _refuse(entry[0], message)
        elif self._complaint is not None:
            _refuse(entry[0], self._complaint)
            self._complaint = None
        else:
            self._unexplained.append(entry[0])
            self._loop.call_later(EXPLANATION_SECONDS, self._explain_no_more, entry[0], message)

    def _explain_no_more(self, future: "asyncio.Future[None]", message: str) -> None:
        if not future.done():
            self._unexplained.remove(future)
            _refuse(future, message)

    def _on_lost(self, reason: ConnectionLost) -> None:
        if self.lost.done():
            return
        self.lost.set_result(reason)
        if self._check is not None:
            self._check.cancel()
        if not self._login.done():
            self._login.set_exception(reason)
            self._login.exception()  # asyncio must not log it as lost when no caller waits
        receipts, self._receipts = self._receipts, {}
        for future in (*(future for future, _ in receipts.values()), *self._unexplained):
            if not future.done():
                future.set_exception(ConnectionLost(str(reason)))
        self._unexplained.clear()
        self._subscriptions.clear()

    def _check_receipts(self) -> None:
        oldest = next(iter(self._receipts.values()), None)
        if oldest is not None and oldest[1] < self._loop.time():
            seconds = self.address.confirm_timeout_seconds
            self.lose(BrokerSilent(f"{self.peer}: did not confirm within {seconds:g} s"))
            return
        delay = self.address.confirm_timeout_seconds / CHECKS_PER_CONFIRM_TIMEOUT
        self._check = self._loop.call_later(delay, self._check_receipts)


def _message(frame: Frame) -> str:
    text = frame.headers.get("message") or frame.body[:500].decode(errors="replace")
    return (text.splitlines() or ["no reason given"])[0][:500]


def _refuse(future: "asyncio.Future[None]", message: str) -> None:
    if not future.done():
        future.set_exception(BrokerRefusal(message))


def _retrieve(future: "asyncio.Future[None]") -> None:
    """A caller need not wait for a receipt; asyncio would log an error that no caller retrieved."""
    if not future.cancelled():
        future.exception()


ReconnectingSession = Reconnecting[ActiveMQAddress, Session]
