"""A broker that refuses us after it had let us in: for how long is known, and it ends when the broker changes its mind."""

import asyncio
from typing import Literal

from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.clock import SystemClock
from reefmesh.errors import ConfigurationError
from reefmesh_components.activemq_client import PATIENCE_SECONDS, Events
from reefmesh_components.stomp_peer import SESSION, Client, stomp_peer

Mood = Literal["welcoming", "refusing", "closing"]


class MoodyPeer:
    """Answers logins as its ``mood`` is; ``turn`` changes it and ends all connections."""

    def __init__(self) -> None:
        self.mood: Mood = "welcoming"
        self.attempts = 0
        self._changed = asyncio.Event()
        self._attempted = asyncio.Event()

    async def script(self, client: Client) -> None:
        await client.until("CONNECT")
        changed = self._changed
        self.attempts += 1
        self._attempted.set()
        if self.mood == "refusing":
            client.send("ERROR", ("message", "User name [ingest] or password is invalid."), body=b"")
        elif self.mood == "welcoming":
            client.send("CONNECTED", ("version", "1.2"), ("session", SESSION), ("heart-beat", "0,0"))
            serving, waiting = asyncio.create_task(client.serve()), asyncio.create_task(changed.wait())
            await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
            for task in (serving, waiting):
                task.cancel()
            await asyncio.gather(serving, waiting, return_exceptions=True)

    def turn(self, mood: Mood) -> None:
        self.mood = mood
        self._changed.set()
        self._changed = asyncio.Event()

    async def attempted(self, times: int) -> None:
        """Wait for so many attempts from now on."""
        until = self.attempts + times
        while self.attempts < until:
            self._attempted.clear()
            await asyncio.wait_for(self._attempted.wait(), PATIENCE_SECONDS)


async def test_password_is_changed_and_put_back() -> None:
    moody = MoodyPeer()
    async with stomp_peer(moody.script) as peer:
        broker = ActiveMQBroker(f"stomp://ingest:secret@{peer}", clock=SystemClock())
        events = Events(broker)
        await broker.connect()
        assert (await broker.statistics()).refused_seconds is None
        moody.turn("refusing")
        await moody.attempted(4)  # of two connections: the first attempts have got their answer
        refused = await broker.statistics()
        moody.turn("welcoming")
        await events.until("connected", 4)
        back = await broker.statistics()
        await broker.close()
    assert not refused.connected
    assert refused.refused_seconds is not None
    assert "wrong user name or password" in refused.trouble
    assert (True, None, "") == (back.connected, back.refused_seconds, back.trouble)


async def test_broker_that_goes_away_after_it_refused_us_refuses_no_more() -> None:
    """Whether the next one will is not known: no restart is asked for while there is none."""
    moody = MoodyPeer()
    async with stomp_peer(moody.script) as peer:
        broker = ActiveMQBroker(f"stomp://ingest:secret@{peer}", clock=SystemClock())
        await broker.connect()
        moody.turn("refusing")
        await moody.attempted(4)
        refused = await broker.statistics()
        moody.turn("closing")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (away := await broker.statistics()).refused_seconds is not None:
                await moody.attempted(1)
        await broker.close()
        closed = await broker.statistics()
    assert refused.refused_seconds is not None
    assert not away.connected
    assert "had not answered the login" in away.trouble
    assert (None, "") == (closed.refused_seconds, closed.trouble)


async def test_password_that_changes_is_read_for_each_login() -> None:
    """A platform writes a new secret to its file and tells nobody."""
    passwords = ["first", "second"]
    moody = MoodyPeer()
    seen: list[str] = []

    async def script(client: Client) -> None:
        try:
            await moody.script(client)
        finally:
            seen.append(client.frames[0].headers["passcode"])

    async with stomp_peer(script) as peer:
        broker = ActiveMQBroker(f"stomp://ingest@{peer}", clock=SystemClock(), password=lambda: passwords[0])
        events = Events(broker)
        await broker.connect()
        passwords.pop(0)
        moody.turn("welcoming")
        await events.until("connected", 4)
        await broker.close()
    assert ["first", "first", "second", "second"] == sorted(seen)


async def test_password_that_cannot_be_read_any_more_is_the_reason() -> None:
    def read() -> str:
        if moody.mood == "refusing":
            raise ConfigurationError("REEFMESH_BROKER_PASSWORD_FILE: /run/secrets/broker is empty")
        return "secret"

    moody = MoodyPeer()
    async with stomp_peer(moody.script) as peer:
        broker = ActiveMQBroker(f"stomp://ingest@{peer}", clock=SystemClock(), password=read)
        events = Events(broker)
        await broker.connect()
        moody.turn("refusing")
        await events.until("lost", 4)  # each connection, and then its first attempt
        refused = await broker.statistics()
        await broker.close()
    assert "/run/secrets/broker is empty" in refused.trouble
    assert refused.refused_seconds is not None
