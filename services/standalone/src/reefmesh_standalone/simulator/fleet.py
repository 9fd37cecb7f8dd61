"""The demonstration fleet: nine reefs, both Nemo-Pi generations and our own format, and one of each trouble."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import merge

from reefmesh_standalone.simulator.arrivals import Arrival, Span, Troubles, arrivals_of
from reefmesh_standalone.simulator.devices import Device, Generation
from reefmesh_standalone.simulator.water import HeatWave, Water

DAYS = 126
ON_THE_WAY = timedelta(minutes=1)
"""A report that nothing holds up is at the broker by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One reef of the demonstration and its device; ``story`` describes the events there."""

    reef_id: str
    name: str
    device: Device
    story: str
    troubles: Troubles = field(default_factory=Troubles)
    registered: bool = True

    @property
    def mmm_celsius(self) -> float:
        return self.device.water.mmm_celsius


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Sites over one span of time. From ``silence_at`` on one of them is silent."""

    sites: Sequence[Site]
    begins_at: datetime
    ends_at: datetime
    silence_at: datetime
    seed: str

    def arrivals(self) -> list[Arrival]:
        """Return all reports of the fleet that arrive, in order of arrival. What is held up beyond the end has not arrived: it
        would come to a fleet that has stopped to report."""
        by_site = (
            arrivals_of(site.device, site.troubles, begins_at=self.begins_at, ends_at=self.ends_at, seed=self.seed)
            for site in self.sites
        )
        until = self.ends_at + ON_THE_WAY
        return [each for each in merge(*by_site, key=lambda arrival: arrival.received_at) if each.received_at <= until]


def demonstration(ends_at: datetime, *, seed: str = "reefmesh", days: int = DAYS) -> Fleet:
    """Return the fleet of ``reefmesh demo``, whose last reports are as of ``ends_at``."""
    begins_at = ends_at - timedelta(days=days)

    def day(number: float) -> datetime:
        return begins_at + timedelta(days=number)

    def wave(first: float, last: float, anomaly_celsius: float) -> tuple[HeatWave, ...]:
        return (HeatWave(begins_at=day(first), ends_at=day(last), anomaly_celsius=anomaly_celsius),)

    def water(reef_id: str, mmm_celsius: float, **rest: object) -> Water:
        return Water(seed=f"{seed}/{reef_id}", mmm_celsius=mmm_celsius, **rest)  # type: ignore[arg-type]  # the caller's keywords are Water's

    def device(number: int, generation: Generation, reef_id: str, sea: Water, minutes: int, **rest: object) -> Device:
        imei = {Generation.NEMOPI_MQTT: f"86774003{number:07d}", Generation.NEMOPI_2021: f"10000000{number:08x}"}
        return Device(
            buoy_id=imei.get(generation, f"agent-{number:02d}"),
            reef_id=reef_id,
            generation=generation,
            water=sea,
            latitude_degrees=round(-8.10 - 0.013 * number, 4),
            longitude_degrees=round(114.50 + 0.021 * number, 4),
            report_interval=timedelta(minutes=minutes),
            **rest,  # type: ignore[arg-type]  # the caller's keywords are Device's
        )

    silence_at = day(days - 2)
    agent, mqtt, old = Generation.AGENT, Generation.NEMOPI_MQTT, Generation.NEMOPI_2021
    sites = [
        Site(
            reef_id="menjangan-north",
            name="Menjangan North",
            story="a long heat wave",
            device=device(1, agent, "menjangan-north", water("menjangan-north", 29.8, waves=wave(62, 140, 1.6)), 30),
            troubles=Troubles(duplicate_share=0.03, reorder_share=0.03),
        ),
        Site(
            reef_id="menjangan-south",
            name="Menjangan South",
            story="a heat wave; offline for three weeks of it, then the backlog",
            device=device(2, agent, "menjangan-south", water("menjangan-south", 29.7, waves=wave(70, 119, 1.5)), 30),
            troubles=Troubles(offline=(Span(begins_at=day(80), ends_at=day(101)),), duplicate_share=0.02),
        ),
        Site(
            reef_id="pemuteran",
            name="Pemuteran",
            story="Nemo-Pi of today in a mild heat wave",
            device=device(3, mqtt, "pemuteran", water("pemuteran", 29.6, waves=wave(95, 140, 1.3)), 120),
            troubles=Troubles(duplicate_share=0.05),
        ),
        Site(
            reef_id="gili-biaha",
            name="Gili Biaha",
            story="its temperature probe dies for ten days, and again at the end",
            device=device(4, mqtt, "gili-biaha", water("gili-biaha", 29.4), 120),
            troubles=Troubles(
                dead_probe=(
                    Span(begins_at=day(50), ends_at=day(60)),
                    Span(begins_at=day(days - 1), ends_at=day(days + 1)),
                ),
            ),
        ),
        Site(
            reef_id="crystal-bay",
            name="Crystal Bay",
            story="a strong current",
            device=device(
                5, agent, "crystal-bay", water("crystal-bay", 29.0, current_metres_per_second=1.3, visibility_metres=24.0), 60
            ),
        ),
        Site(
            reef_id="amed-wall",
            name="Amed Wall",
            story="2021 generation, a channel with an impossible unit",
            device=device(6, old, "amed-wall", water("amed-wall", 29.5, waves=wave(110, 140, 0.6)), 360, wrong_unit=True),
            troubles=Troubles(duplicate_share=0.03, reorder_share=0.03),
        ),
        Site(
            reef_id="tulamben",
            name="Tulamben",
            story="its clock falls back to 1970 for three days",
            device=device(7, agent, "tulamben", water("tulamben", 29.5, visibility_metres=4.0), 60),
            troubles=Troubles(clock_at_1970=(Span(begins_at=day(40), ends_at=day(43)),)),
        ),
        Site(
            reef_id="padang-bai",
            name="Padang Bai",
            story="falls silent two days before the end",
            device=device(8, agent, "padang-bai", water("padang-bai", 29.5, ph=7.72), 60),
            troubles=Troubles(silent_from=silence_at),
        ),
        Site(
            reef_id="lovina",
            name="Lovina",
            story="new: the register does not know the buoy",
            device=device(9, mqtt, "lovina", water("lovina", 29.6), 360),
            registered=False,
        ),
    ]
    return Fleet(sites=sites, begins_at=begins_at, ends_at=ends_at, silence_at=silence_at, seed=seed)
