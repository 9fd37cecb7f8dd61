"""``reefmesh simulate``: a fleet that sends to a mesh until it is stopped."""

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from typing import Annotated, Final

import structlog
import typer

from reefmesh.backoff import Backoff
from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker, BrokerUnavailable, Publication, PublishRefused
from reefmesh.broker.producer import Producer
from reefmesh.clock import Clock, SystemClock
from reefmesh.contracts import channels
from reefmesh.contracts.services import SERVICES, subscriptions_of
from reefmesh.errors import ConfigurationError
from reefmesh.observability.health import Health
from reefmesh.observability.http import pages, serve
from reefmesh.observability.logs import LogLevel
from reefmesh.observability.progress import Progress
from reefmesh.service.stop_event import is_set_within
from reefmesh_standalone.commands.context import (
    BrokerOption,
    ConfigOption,
    HomeOption,
    HostOption,
    PortOption,
    StoreOption,
    home_of,
    people,
    run,
)
from reefmesh_standalone.commands.register import open_register
from reefmesh_standalone.home import Home
from reefmesh_standalone.sending import MESSAGES_PER_PUBLISH
from reefmesh_standalone.simulator.arrivals import Arrival
from reefmesh_standalone.simulator.endless import SITES_LIMIT, endless_sites, said_after
from reefmesh_standalone.simulator.pace import Pace
from reefmesh_standalone.simulator.registering import register_sites
from reefmesh_standalone.whole_file import replacing

TELL_EVERY_SECONDS: Final = 10.0
LONGEST_WAIT_SECONDS: Final = 3600.0
PLACE_FILE: Final = "simulated.json"

log = structlog.get_logger(__name__)


def simulate(
    reefs: Annotated[int, typer.Option(min=1, max=SITES_LIMIT, help="How many reefs, with one buoy each.")] = 12,
    interval_minutes: Annotated[float, typer.Option(min=0.1, max=1440, help="Minutes between a buoy's reports.")] = 30.0,
    days: Annotated[float, typer.Option(min=0, max=400, help="Begin so many days ago.")] = 0.0,
    speed: Annotated[
        float, typer.Option(min=1, max=1_000_000, help="Simulated seconds in a second, until it has caught up with now.")
    ] = 1.0,
    seed: Annotated[str, typer.Option(help="Another seed, another sea.")] = "reefmesh",
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8080,
    log_level: Annotated[LogLevel, typer.Option(help="Least level of what is logged to standard error.")] = "info",
) -> None:
    """Send a simulated fleet's telemetry to a mesh that is up, until stopped.

    The fleet is entered in the register first. Its reefs have heat waves that come back, so that alerts come; its buoys are of
    all generations. With --days and --speed it lives through the past first, then in real time. Ctrl-C or SIGTERM end it; the
    next start in the same home goes on where it was. The pages are /health and /metrics.

    Examples:
      reefmesh simulate --home ~/reefs --port 8090
      reefmesh simulate --days 100 --speed 14400
      REEFMESH_BROKER_PASSWORD_FILE=publisher.txt reefmesh simulate --broker stomp://publisher@host --store postgresql://ingest@host
    """
    place = home_of(home, broker, store, config)
    clock = SystemClock()

    async def main(stop: asyncio.Event) -> None:
        sites = endless_sites(reefs, report_interval=timedelta(minutes=interval_minutes), seed=seed)
        place.create()
        said_until = SaidUntil(place, key=f"{seed}/{reefs}/{interval_minutes:g}")
        async with open_register(place, create=True) as register:
            await register_sites(register, sites)
        publisher = open_broker(place.broker_address(publisher_only=True), clock=clock)
        await publisher.connect()
        try:
            if place.embedded:  # ours may be the first message ever; on a broker of its own, the broker's configuration does it
                await publisher.declare(subscriptions_of(SERVICES))
            health = Health("simulator", Progress(), broker=publisher)
            now = clock.now()
            begins_at = max(now - timedelta(days=days), said_until.read() or now - timedelta(days=days))
            async with serve(pages([health], []), host=host, port=port) as address:
                people.print(f"{reefs} buoys send until Ctrl-C; {address.url}/health", soft_wrap=True)
                if place.mesh_is_up() is False:
                    people.print(f"No mesh is up in {place.path}: what is sent waits there until 'reefmesh up'", soft_wrap=True)
                pace = Pace(started_at=now, begins_at=begins_at, speed=speed)
                fleet = SimulatedFleet(publisher, clock=clock, pace=pace, said_until=said_until)
                await fleet.send(said_after(sites, begins_at), stop=stop)
        finally:
            await publisher.close()

    run(main, log_level=log_level, serves=True)


class SaidUntil:
    """How far a simulation came, kept in the home; another fleet starts from the beginning."""

    def __init__(self, home: Home, *, key: str) -> None:
        self._file, self._key = home.path / PLACE_FILE, key

    def read(self) -> datetime | None:
        """Raises ConfigurationError when the file is none of ours."""
        try:
            text = self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(f"cannot read {self._file}: {(error.strerror or str(error)).lower()}") from None
        try:
            document = json.loads(text)
            until = datetime.fromisoformat(document["until"])
            return until if document["fleet"] == self._key else None
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(f"{self._file} is not what a simulation left there; remove it") from None

    def write(self, last: datetime) -> None:
        """Note when the last message was said. Others of that instant may not have been sent: those are sent twice rather than
        never, under the same event ids."""
        until = last - timedelta.resolution
        with replacing(self._file) as file:
            json.dump({"fleet": self._key, "until": until.isoformat()}, file)


class SimulatedFleet:
    """Publishes each report at its time. ``confirmed``: messages that the broker has on its disk."""

    def __init__(self, broker: Broker, *, clock: Clock, pace: Pace, said_until: SaidUntil) -> None:
        self._broker, self._clock, self._pace, self._said_until = broker, clock, pace, said_until
        self._random = Random()  # noqa: S311 - jitter
        self._producer = Producer()
        self._told_at = clock.now()
        self.confirmed = 0

    async def send(self, said: Iterator[Arrival], *, stop: asyncio.Event) -> None:
        """Send until ``stop``; a report that the broker refuses is sent again, in order, until the broker takes it."""
        following = next(said)
        last: Arrival | None = None
        while not stop.is_set():
            due = [following]
            wait = self._pace.until(following.received_at, self._clock.now())
            if wait:
                await is_set_within(stop, min(wait.total_seconds(), LONGEST_WAIT_SECONDS))
                continue
            simulated = self._pace.simulated(self._clock.now())
            for following in islice(said, MESSAGES_PER_PUBLISH):
                if following.received_at > simulated or len(due) == MESSAGES_PER_PUBLISH:
                    break
                due.append(following)
            if not await self._publish(due, stop):
                break
            last = due[-1]
            self._tell(last)
        if last is not None:
            self._said_until.write(last.received_at)
        log.info("simulation stopped", confirmed=self.confirmed)

    async def _publish(self, due: list[Arrival], stop: asyncio.Event) -> bool:
        """Return True when the broker has them, False when stopped before."""
        messages = self._producer.link([arrival.envelope() for arrival in due])
        publications = [Publication(channel=channels.TELEMETRY.name, message=message) for message in messages]
        backoff, attempt = Backoff(first_seconds=0.5, max_seconds=15.0), 0
        while True:
            try:
                await self._broker.publish(publications)
            except (BrokerUnavailable, PublishRefused) as error:
                attempt += 1
                log.warning("telemetry not taken", error=str(error), attempt=attempt)
                await is_set_within(stop, backoff.delay_seconds(attempt, self._random))
                if stop.is_set():
                    return False
            else:
                self._producer.confirmed(messages)
                self.confirmed += len(publications)
                return True

    def _tell(self, last: Arrival) -> None:
        now = self._clock.now()
        if now - self._told_at >= timedelta(seconds=TELL_EVERY_SECONDS):
            self._told_at = now
            self._said_until.write(last.received_at)
            log.info("telemetry confirmed", messages=self.confirmed, simulated=last.received_at.isoformat())
