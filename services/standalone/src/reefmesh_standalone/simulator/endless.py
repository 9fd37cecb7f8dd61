"""A fleet without an end: heat waves that return, probes that fail now and then, and the reports of every device, for ever.

What is said at an instant depends on the seed and the instant alone: a simulation that is started again says the same, under
the same event ids.
"""

import heapq
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

from reefmesh_standalone.simulator import devices
from reefmesh_standalone.simulator.arrivals import Arrival
from reefmesh_standalone.simulator.devices import Device, Generation
from reefmesh_standalone.simulator.fleet import Site
from reefmesh_standalone.simulator.water import RecurringHeatWave, Water

EPOCH: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""Reports are counted from here on."""
SITES_LIMIT: Final = 1000
WAVE_EVERY: Final = timedelta(days=120)
WAVE_LASTS: Final = timedelta(days=60)
WAVE_APART: Final = timedelta(days=23)
"""From one site's wave to the next one's, so that at any time some are warm."""
PROBE_FAILS_EVERY: Final = timedelta(days=20)
PROBE_FAILS_FOR: Final = timedelta(days=1)
DIAGNOSIS_EVERY: Final = 8
DUPLICATE_EVERY: Final = 50
CONFIRMATION_LOST: Final = timedelta(seconds=5)
"""A device sends again when no confirmation came for this long."""

_GENERATIONS: Final = (Generation.AGENT, Generation.NEMOPI_MQTT, Generation.AGENT, Generation.NEMOPI_2021)


def endless_sites(number: int, *, report_interval: timedelta, seed: str) -> Sequence[Site]:
    """Return ``number`` reefs with one buoy each, of all three generations."""
    return [_site(index, report_interval, seed) for index in range(number)]


def said_after(sites: Sequence[Site], instant: datetime) -> Iterator[Arrival]:
    """Yield the reports of all devices after ``instant``, in order, without an end; only a device repeats a report."""
    each = (_said_by(site.device, index / len(sites), instant) for index, site in enumerate(sites))
    return heapq.merge(*each, key=lambda arrival: arrival.received_at)


def _site(index: int, report_interval: timedelta, seed: str) -> Site:
    generation = _GENERATIONS[index % len(_GENERATIONS)]
    number = index + 1
    reef_id = f"simulated-{number:03d}"
    wave = RecurringHeatWave(
        first_begins_at=EPOCH + index * WAVE_APART,
        every=WAVE_EVERY,
        lasts=WAVE_LASTS,
        anomaly_celsius=0.6 + 0.15 * (index % 9),
    )
    water = Water(
        seed=f"{seed}/{reef_id}",
        mmm_celsius=round(28.6 + 0.13 * (index % 11), 2),
        waves=(wave,),
        current_metres_per_second=round(0.1 + 0.17 * (index % 8), 2),
        visibility_metres=4.0 + 3.0 * (index % 7),
    )
    name = {Generation.NEMOPI_MQTT: f"86774004{number:07d}", Generation.NEMOPI_2021: f"20000000{number:08x}"}
    device = Device(
        buoy_id=name.get(generation, f"simulated-agent-{number:03d}"),
        reef_id=reef_id,
        generation=generation,
        water=water,
        latitude_degrees=round(-8.10 - 0.013 * index, 4),
        longitude_degrees=round(114.50 + 0.021 * index, 4),
        report_interval=report_interval,
    )
    return Site(reef_id=reef_id, name=f"Simulated {number}", device=device, story="heat waves that come back")


def _said_by(device: Device, share: float, instant: datetime) -> Iterator[Arrival]:
    """``share`` of the interval, from 0 to 1, is how far this device is behind the first: they do not all speak at once."""
    interval = device.report_interval
    first = EPOCH + share * interval
    for number in count(max(0, (instant - first) // interval)):
        for arrival in _report(device, number, first + number * interval):
            if arrival.received_at > instant:
                yield arrival


def _report(device: Device, number: int, at: datetime) -> Iterator[Arrival]:
    """Yield one report's messages: the first at ``at``, all within the interval."""
    match device.generation:
        case Generation.NEMOPI_MQTT:
            bodies = [devices.mqtt_data(device, at, dead_probe=(at - EPOCH) % PROBE_FAILS_EVERY < PROBE_FAILS_FOR)]
            if number % DIAGNOSIS_EVERY == 0:
                bodies.append(devices.mqtt_diagnosis(device, at))
        case Generation.NEMOPI_2021:
            bodies = [devices.report_2021(device, at)]
        case Generation.AGENT:
            bodies = [devices.agent_report(device, number + 1, [at])]
    for part, body in enumerate(bodies):
        yield Arrival(received_at=at + timedelta(seconds=part), device=device, body=body, number=2 * number + part)
    if (number + 1) % DUPLICATE_EVERY == 0:
        yield Arrival(received_at=at + CONFIRMATION_LOST, device=device, body=bodies[0], number=2 * number, copy=1)
