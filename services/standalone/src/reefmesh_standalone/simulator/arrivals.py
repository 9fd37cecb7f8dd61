"""The reports that reach the broker, in the order of their arrival, with the disorder of life at sea."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from uuid import NAMESPACE_URL, uuid5

from reefmesh.contracts.envelope import Envelope
from reefmesh_standalone.simulator import devices
from reefmesh_standalone.simulator.devices import Device, Generation

REPORTS_PER_BACKLOG_MESSAGE = 400
CLOCK_AT_1970 = timedelta(days=-20_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time in which something is wrong, from ``begins_at`` until before ``ends_at``."""

    begins_at: datetime
    ends_at: datetime

    def holds(self, at: datetime) -> bool:
        return self.begins_at <= at < self.ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubles:
    """The troubles of one device. A share is a part of its reports, drawn from the seed."""

    offline: tuple[Span, ...] = ()  # an agent keeps its reports and sends them after; other generations lose them
    dead_probe: tuple[Span, ...] = ()
    clock_at_1970: tuple[Span, ...] = ()
    duplicate_share: float = 0.0
    reorder_share: float = 0.0
    silent_from: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One message at the broker."""

    received_at: datetime
    device: Device
    body: bytes
    number: int
    copy: int = 0

    def envelope(self) -> Envelope:
        """Return it as the bridge or the agent's library would publish it."""
        name = f"{self.device.buoy_id}/{self.number}/{self.copy}/{self.received_at.isoformat()}"
        return Envelope(
            event_id=str(uuid5(NAMESPACE_URL, name)),
            reef_id=self.device.reef_id,
            schema_id=self.device.generation.value,
            produced_at=self.received_at,
            body=self.body,
            headers={"device": self.device.buoy_id, "received-at": self.received_at.isoformat()},
        )


def arrivals_of(device: Device, troubles: Troubles, *, begins_at: datetime, ends_at: datetime, seed: str) -> list[Arrival]:
    """Return everything that one device gets through to the broker, in order of arrival."""
    random = Random(f"{seed}/{device.buoy_id}")  # noqa: S311  # a simulation, repeatable by its seed
    reports = list(_reports(device, troubles, begins_at, ends_at))
    return sorted(_disorder(reports, troubles, random), key=lambda arrival: (arrival.received_at, arrival.number, arrival.copy))


def _reports(device: Device, troubles: Troubles, begins_at: datetime, ends_at: datetime) -> Iterator[Arrival]:
    last = min(ends_at, troubles.silent_from or ends_at)
    match device.generation:
        case Generation.NEMOPI_MQTT:
            bodies = _mqtt_bodies(device, troubles, begins_at, last)
        case Generation.NEMOPI_2021:
            bodies = ((at, devices.report_2021(device, at)) for at in _instants(device, begins_at, last))
        case Generation.AGENT:
            bodies = _agent_bodies(device, troubles, begins_at, last)
    heard = bodies if device.generation is Generation.AGENT else _heard(bodies, troubles)
    for number, (at, body) in enumerate(heard, start=1):
        yield Arrival(received_at=at, device=device, body=body, number=number)


def _heard(bodies: Iterable[tuple[datetime, bytes]], troubles: Troubles) -> Iterator[tuple[datetime, bytes]]:
    return ((at, body) for at, body in bodies if not any(span.holds(at) for span in troubles.offline))


def _mqtt_bodies(
    device: Device, troubles: Troubles, begins_at: datetime, ends_at: datetime
) -> Iterator[tuple[datetime, bytes]]:
    yield begins_at, devices.mqtt_connect(device)
    for count, at in enumerate(_instants(device, begins_at, ends_at)):
        dead = any(span.holds(at) for span in troubles.dead_probe)
        yield at, devices.mqtt_data(device, at, dead_probe=dead)
        if count % 8 == 0:
            yield at + timedelta(seconds=4), devices.mqtt_diagnosis(device, at)


def _agent_bodies(
    device: Device, troubles: Troubles, begins_at: datetime, ends_at: datetime
) -> Iterator[tuple[datetime, bytes]]:
    """Six readings a message; after an outage the backlog comes in large messages as soon as the link is back."""
    seq = 0
    waiting: list[datetime] = []
    instants = list(_instants(device, begins_at, ends_at))
    for at in instants:
        waiting.append(at)
        collects = len(waiting) < reports_per_message(device) and at != instants[-1]
        if collects or any(span.holds(at) for span in troubles.offline):
            continue
        while waiting:
            seq += 1
            batch, waiting = waiting[:REPORTS_PER_BACKLOG_MESSAGE], waiting[REPORTS_PER_BACKLOG_MESSAGE:]
            wrong = any(span.holds(batch[-1]) for span in troubles.clock_at_1970)
            offset = CLOCK_AT_1970 if wrong else timedelta()
            yield at + timedelta(seconds=20), devices.agent_report(device, seq, batch, clock_offset=offset)


def reports_per_message(device: Device) -> int:
    """Return how many readings an agent collects before it sends: three hours' worth."""
    return max(1, round(timedelta(hours=3) / device.report_interval))


def _instants(device: Device, begins_at: datetime, ends_at: datetime) -> Iterator[datetime]:
    at = begins_at + device.report_interval
    while at <= ends_at:
        yield at
        at += device.report_interval


def _disorder(reports: list[Arrival], troubles: Troubles, random: Random) -> Iterator[Arrival]:
    for report in reports:
        late = report
        if report.device.generation is not Generation.NEMOPI_MQTT and random.random() < troubles.reorder_share:
            # Held up on the way until the reports after it have passed.
            late = replace(report, received_at=report.received_at + random.choice((2, 3)) * timedelta(hours=3, minutes=7))
        yield late
        if random.random() < troubles.duplicate_share:
            yield replace(late, received_at=late.received_at + timedelta(seconds=random.randint(1, 20)), copy=1)
