"""The compose file for real: brought up, used, restarted under load, stopped; prints figures, exits 1 when a law broke.

    make containers                                 builds the images first
    make containers ARGS="--no-build"               images that are there already
    make containers ARGS="--with observability"     and Prometheus: are its targets up?

It needs a Docker engine and Compose (v2, or docker-compose 1.29), and 2 GB of memory for a few minutes. It runs as a project of
its own, with passwords, ports and volumes of its own, and removes them at the end.

What it holds to: telemetry that the broker confirmed is all accounted for; each reef's scores are numbered without a hole, in
order, across restarts; SIGTERM to any service ends it with 0 within the drain time-out, and no message whose effect is there is
delivered again. (What was on its way to a lane when it unsubscribed is flagged as redelivered; nobody had seen it.) So that the
last can be seen at all, scoring is killed, too: then there must be such messages.
"""

import argparse
import asyncio
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import stomp  # it has no annotations

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Lane
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.services import EVERY_SERVICE, INGEST, SCORING, ServiceEntry
from reefmesh.store.mesh_rows import cursor_from_json
from reefmesh.store.port import Store
from reefmesh_ingest.accounting import accounting
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import Stores, open_stores

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final = "reefmesh-walk"
MESH: Final = ("activemq", "postgresql", *map(str, EVERY_SERVICE), "mail")
OBSERVABILITY: Final = ("prometheus", "alertmanager")  # Grafana shows, it measures nothing
TAP: Final = Subscription("walk", channels.SCORES)
UP_SECONDS: Final = 240.0
WORK_SECONDS: Final = 180.0
GRACE_SECONDS: Final = 100.0
POLL_SECONDS: Final = 0.25


class LawBroken(Exception):
    """What was seen and should not have been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The compose project of this walk; ``environment`` is what its .env says."""

    compose: Sequence[str]
    environment_file: Path
    environment: dict[str, str]

    def run(self, *arguments: str, check: bool = True) -> str:
        command = [*self.compose, "--project-name", PROJECT, "--env-file", str(self.environment_file), *arguments]
        done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
        if check and done.returncode:
            raise LawBroken(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-1500:]}")
        return done.stdout

    def containers(self, service: str) -> list[str]:
        return self.run("ps", "--quiet", service).split()

    def broker_url(self, user: str) -> str:
        return (
            f"stomp://{user}:{self.environment[f'BROKER_PASSWORD_{user.upper()}']}@127.0.0.1:{self.environment['STOMP_PORT']}"
        )

    def store_url(self) -> str:
        return f"postgresql://reefmesh:{self.environment['STORE_PASSWORD']}@127.0.0.1:{self.environment['POSTGRESQL_PORT']}/reefmesh"

    def page(self, port: str, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.environment[port]}{path}", timeout=10) as answer:
            return json.load(answer)


@dataclass(slots=True, kw_only=True)
class Tap:
    """A subscription of our own on the scores. It reads as every consumer does: what is not above a reef's last number has
    had its effect. ``repeats`` counts those."""

    last: dict[str, int] = field(default_factory=dict)
    holes: list[str] = field(default_factory=list)
    repeats: int = 0

    async def listen(self, lane: Lane) -> None:
        while (delivery := await lane.receive()) is not None:
            reef_id, seq = delivery.message.reef_id, delivery.message.seq or 0
            last = self.last.get(reef_id, 0)
            if seq <= last:
                self.repeats += 1
            else:
                if seq > last + 1:
                    self.holes.append(f"{reef_id}: {seq} after {last}")
                self.last[reef_id] = seq
            await lane.settle(delivery, [])


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], text=True, capture_output=True, check=True).stdout.strip()


def state(container: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("inspect", "--format", "{{json .State}}", container))
    return found


def is_healthy(container: str) -> bool:
    seen = state(container)
    return (seen["Status"], seen.get("Health", {"Status": "healthy"})["Status"]) == ("running", "healthy")


def until(true: Callable[[], bool], what: str, seconds: float = WORK_SECONDS) -> float:
    """Wait until something is so, and return how long it took."""
    begun = time.monotonic()
    while not true():
        if time.monotonic() - begun > seconds:
            raise LawBroken(f"not within {seconds:.0f} s: {what}")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - begun


async def until_async(true: Callable[[], Awaitable[bool]], what: str, seconds: float = WORK_SECONDS) -> None:
    begun = time.monotonic()
    while not await true():
        if time.monotonic() - begun > seconds:
            raise LawBroken(f"not within {seconds:.0f} s: {what}")
        await asyncio.sleep(POLL_SECONDS)


def start_seconds(container: str) -> float:
    """Return how long it took from the container's start to the line that says that the service works."""
    started = datetime.fromisoformat(state(container)["StartedAt"][:23] + "Z")  # nanoseconds are too fine for Python 3.11
    lines = subprocess.run(["docker", "logs", container], text=True, capture_output=True, check=True).stderr.splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    ready = [datetime.fromisoformat(each["timestamp"]) for each in events if each["event"] == "service started"]
    return (max(ready) - started).total_seconds()


def stop(container: str, name: str) -> None:
    """SIGTERM, as ``docker stop`` sends it. Raises LawBroken unless it ends with 0 within the grace period."""
    begun = time.monotonic()
    docker("stop", container)
    took = time.monotonic() - begun
    code = state(container)["ExitCode"]
    say(f"  SIGTERM to {name}: exit code {code} after {took:.1f} s")
    if code != 0 or took > GRACE_SECONDS:
        raise LawBroken(f"{name} ended with {code} after {took:.1f} s")


def start(container: str) -> None:
    docker("start", container)
    until(lambda: is_healthy(container), f"{container[:12]} healthy again")


class Browser(stomp.ConnectionListener):  # type: ignore[misc]  # as above
    """Looks at a queue and takes nothing. ``flagged``: headers of messages that may have been delivered before."""

    def __init__(self) -> None:
        self.seen = 0
        self.flagged: list[Mapping[str, str]] = []
        self.ended = threading.Event()

    def on_message(self, frame: Any) -> None:
        if frame.headers.get("browser") == "end":
            self.ended.set()
            return
        self.seen += 1
        if frame.headers.get("redelivered") == "true":
            self.flagged.append(frame.headers)


def browse(project: Project, subscription: Subscription) -> Browser:
    browser = Browser()
    connection = stomp.Connection12([("127.0.0.1", int(project.environment["STOMP_PORT"]))])
    connection.set_listener("", browser)
    connection.connect("operator", project.environment["BROKER_PASSWORD_OPERATOR"], wait=True)
    queue = f"/queue/Consumer.{subscription.service}.VirtualTopic.{subscription.channel}"
    connection.subscribe(queue, id="walk", ack="auto", headers={"browser": "true"})
    if not browser.ended.wait(30):
        raise LawBroken(f"{queue} could not be looked at")
    connection.disconnect()
    return browser


async def left_behind(project: Project, store: Store, service: ServiceEntry) -> int:
    """Wait until messages wait on each subscription of a service that does not run; return how many of them have had their
    effect."""
    had_effect = 0
    for subscription in service.subscriptions:
        await asyncio.to_thread(until, partial(_messages_wait, project, subscription), f"messages wait for {subscription}")
        left = await asyncio.to_thread(browse, project, subscription)
        effects = sum([await has_had_effect(store, subscription, headers) for headers in left.flagged])
        flagged = f"{len(left.flagged)} flagged as redelivered, {effects} of these had their effect"
        say(f"  behind {subscription}: {left.seen} messages wait, {flagged}")
        had_effect += effects
    return had_effect


def _messages_wait(project: Project, subscription: Subscription) -> bool:
    return browse(project, subscription).seen > 0


async def has_had_effect(store: Store, subscription: Subscription, headers: Mapping[str, str]) -> bool:
    """Whether a message that waits was applied: the cursor shows it for a message with a number, the inbox for others."""
    reef_id, inbox = headers["reef-id"], str(subscription)
    if subscription.is_numbered:
        return (await store.load(reef_id)).cursor.is_applied(inbox, int(headers["seq"]))
    return await store.is_applied(reef_id, inbox, headers["event-id"])


async def stop_under_load(project: Project, store: Store, service: ServiceEntry) -> None:
    """Stop all containers of a service while telemetry flows, look at what it left behind, start them again."""
    containers = project.containers(service.name)
    stopping = (asyncio.to_thread(stop, each, f"{service} {number}") for number, each in enumerate(containers, start=1))
    await asyncio.gather(*stopping)
    again = await left_behind(project, store, service)
    for container in containers:
        await asyncio.to_thread(start, container)
    if again:
        raise LawBroken(f"{service} was stopped and left {again} messages to redelivery whose effect was there")


async def kill_under_load(project: Project, store: Store, service: ServiceEntry, *, kills: int) -> bool:
    """The control: whether there are such redeliveries after kill -9. If not, ``stop_under_load`` could not have seen any."""
    containers = project.containers(service.name)
    for number in range(1, kills + 1):
        say(f"  kill -9 of {service}, {number}")
        for container in containers:
            await asyncio.to_thread(docker, "kill", "--signal", "KILL", container)
        again = await left_behind(project, store, service)
        for container in containers:
            await asyncio.to_thread(start, container)
        if again:
            return True
    return False


async def walk(project: Project, *, observability: bool, kills: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(path=Path(folder), broker_url=project.broker_url("operator"), store_url=project.store_url())
        async with open_stores(home) as stores, _tap(project) as tap:
            say("telemetry")
            project.run("up", "--detach", "--no-build", "simulator")
            await until_async(lambda: _has_rows(stores), "scores in PostgreSQL")
            mails = await _first_mails(project)
            say(f"  scores of {await _count(stores[SCORING], 'scores')} reefs in PostgreSQL, {mails} mails in the catcher")
            if observability:
                _see_targets(project)

            say("rolling restart of scoring under load")
            for number, container in enumerate(project.containers("scoring"), start=1):
                await asyncio.to_thread(stop, container, f"scoring {number}")
                await asyncio.to_thread(start, container)
            say("SIGTERM to every container of a service under load")
            for service, store in stores.items():
                if service.subscriptions:
                    await stop_under_load(project, store, service)
            if tap.repeats:
                raise LawBroken(f"{tap.repeats} scores were published twice without a crash")
            seen = await kill_under_load(project, stores[SCORING], SCORING, kills=kills)

            say("end of the fleet")
            (simulator,) = project.containers("simulator")
            await asyncio.to_thread(stop, simulator, "simulator")
            await _account(stores, tap, _confirmed(simulator))
            say(f"  published twice: none before the kills, {tap.repeats} after; whoever reads by number skips them")
            say(f"  {await _mails(project)} mails in the catcher")
            if not seen:
                raise LawBroken(f"after {kills} kills no redelivery of an effect was seen: looking for them proves nothing")


async def _account(stores: Stores, tap: Tap, confirmed: int) -> None:
    """Wait until all is through, then compare what went in with what came out. Raises LawBroken."""

    received = -1
    while received < confirmed:
        before = received

        async def moved(before: int = before) -> bool:
            nonlocal received
            received = (await accounting(stores[INGEST])).messages.received
            return received > before

        await until_async(moved, f"more than {before} of {confirmed} confirmed messages received by ingest")

    async def outboxes_empty() -> bool:
        return not any([await _count(store, "mesh_outbox") for store in stores.values()])

    async def scores_heard() -> bool:
        said, heard = await _published(stores[SCORING], channels.SCORES.name), tap.last
        return said == heard

    await until_async(outboxes_empty, "nothing left to publish")
    await until_async(scores_heard, "the tap has heard the last score of each reef")
    books = await accounting(stores[INGEST])
    tally = books.messages
    say(
        f"  telemetry confirmed {confirmed} = accepted {tally.accepted} + duplicates {tally.duplicates}"
        f" + quarantined {tally.quarantined}; unexplained {tally.unexplained}; discrepancies {list(books.discrepancies)}"
    )
    if tally.received != confirmed or tally.unexplained or books.discrepancies:
        raise LawBroken("the accounting does not come out even")
    if tap.holes:
        raise LawBroken(f"scores are missing or out of order: {'; '.join(tap.holes[:5])}")
    say(f"  scores: {sum(tap.last.values())} of {len(tap.last)} reefs, numbered without a hole and in order")


@asynccontextmanager
async def _tap(project: Project) -> AsyncIterator[Tap]:
    broker = open_broker(project.broker_url("operator"), clock=SystemClock())
    await broker.connect()
    try:
        await broker.declare([TAP])
        consumer = broker.consumer(TAP, lanes=4)
        await consumer.start()
        tap = Tap()
        async with asyncio.TaskGroup() as tasks:
            for lane in consumer.lanes:
                tasks.create_task(tap.listen(lane))
            yield tap
            await consumer.drain()
    finally:
        await broker.close()


async def _count(store: Store, table: str) -> int:
    ((count,),) = await store.fetch(f"SELECT COUNT(*) FROM {table}")  # noqa: S608 - our own names
    return int(count)


async def _published(store: Store, channel: str) -> dict[str, int]:
    """Return each reef's last sequence number on a channel."""
    cursors = {reef: cursor_from_json(text) for reef, text in await store.fetch("SELECT reef_id, cursor_json FROM mesh_reef")}
    return {reef: cursor.published[channel] for reef, cursor in cursors.items() if channel in cursor.published}


async def _has_rows(stores: Stores) -> bool:
    return await _count(stores[SCORING], "scores") > 0


async def _mails(project: Project) -> int:
    return int((await asyncio.to_thread(project.page, "MAIL_PORT", "/api/v1/messages"))["total"])


async def _first_mails(project: Project) -> int:
    async def some() -> bool:
        return await _mails(project) > 0

    await until_async(some, "alerts in the mail catcher")
    return await _mails(project)


def _see_targets(project: Project) -> None:
    def jobs() -> dict[str, int]:
        up: dict[str, int] = defaultdict(int)
        for target in project.page("PROMETHEUS_PORT", "/api/v1/targets?state=active")["data"]["activeTargets"]:
            up[target["labels"]["job"]] += target["health"] == "up"
        return dict(up)

    until(lambda: bool(jobs()) and all(jobs().values()), "Prometheus' targets up")
    say(f"  Prometheus scrapes: {', '.join(f'{job} ({count})' for job, count in sorted(jobs().items()))}")


def _confirmed(simulator: str) -> int:
    lines = subprocess.run(["docker", "logs", simulator], text=True, capture_output=True, check=True).stderr.splitlines()
    last = json.loads(lines[-1])
    if last["event"] != "simulation stopped":
        raise LawBroken(f"the simulator's last words are {last['event']}")
    return int(last["confirmed"])


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what it prints is what it is for


def compose_command(given: str | None) -> list[str]:
    if given:
        return given.split()
    v2 = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if v2.returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    sys.exit("no Compose: neither 'docker compose' nor docker-compose; install one (Debian: apt-get install docker-compose)")


@contextmanager
def new_project(compose: Sequence[str], *, speed: float) -> Iterator[Project]:
    """Passwords of its own, free ports, and all of it gone afterwards."""
    example = dict(
        line.split("=", 1) for line in (ROOT / ".env.example").read_text().splitlines() if "=" in line and line[0] != "#"
    )
    ports = [name for name in example if name.endswith(("_PORT", "_PORTS"))]
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in ports]
    environment = example | {name: secrets.token_hex(16) for name in example if "PASSWORD" in name}
    environment |= {name: str(each.getsockname()[1]) for name, each in zip(ports, listeners, strict=True)}
    for each in listeners:
        each.close()
    first = int(environment["SCORING_PORTS"])
    environment |= {"SCORING_PORTS": f"{first}-{first + 1}", "SIMULATOR_SPEED": f"{speed:g}"}
    environment["COMPOSE_PROFILES"] = "simulator,mail,observability"
    with tempfile.TemporaryDirectory(prefix="reefmesh-walk-") as folder:
        file = Path(folder) / "env"
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
        os.environ["COMPOSE_PROFILES"] = environment["COMPOSE_PROFILES"]  # 1.29 reads it here alone
        yield Project(compose=compose, environment_file=file, environment=environment)


def main() -> int:
    parser = argparse.ArgumentParser(description="Bring the compose file up for real and hold it to the laws.")
    parser.add_argument("--compose", metavar="COMMAND", help="'docker compose' (default where it is there) or docker-compose")
    parser.add_argument("--no-build", action="store_true", help="the images are there already")
    parser.add_argument("--with", dest="also", choices=["observability"], help="Prometheus and Alertmanager too")
    parser.add_argument("--speed", type=float, default=14400.0, help="of the simulated fleet (default: 14400, 100 messages/s)")
    parser.add_argument(
        "--kills", type=int, default=8, help="kills of scoring at most, until one is seen to matter (default: 8)"
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    options = parser.parse_args()
    compose = compose_command(options.compose)
    failures: Sequence[BaseException] = ()
    with ExitStack() as stack:
        project = stack.enter_context(new_project(compose, speed=options.speed))
        wanted = [*MESH, *(OBSERVABILITY if options.also else ())]
        say(f"{' '.join(compose)} {project.run('version', '--short').strip()}")
        if not options.no_build:
            project.run("build", *map(str, EVERY_SERVICE), "simulator")
        if not options.keep:
            stack.callback(project.run, "down", "--volumes", "--remove-orphans", check=False)
        try:
            begun = time.monotonic()
            project.run("up", "--detach", "--no-build", *wanted)
            containers = {service: project.containers(service) for service in wanted}
            until(lambda: all(is_healthy(each) for some in containers.values() for each in some), "all healthy", UP_SECONDS)
            say(f"up: everything healthy after {time.monotonic() - begun:.1f} s")
            for service in map(str, EVERY_SERVICE):
                took = ", ".join(f"{start_seconds(each):.1f} s" for each in containers[service])
                image = docker("inspect", "--format", "{{.Image}}", containers[service][0])
                size = int(docker("image", "inspect", "--format", "{{.Size}}", image)) / 1e6
                say(f"  {service}: {len(containers[service])} container(s), works {took} after its start; image {size:.0f} MB")
            asyncio.run(walk(project, observability=bool(options.also), kills=options.kills))
        except* LawBroken as broken:
            failures = broken.exceptions
            say("\n".join(f"BROKEN: {each}" for each in failures))
    say("not all held" if failures else "all held")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
