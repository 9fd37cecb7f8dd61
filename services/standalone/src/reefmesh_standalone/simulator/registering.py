"""Telling the register about simulated reefs and buoys."""

from collections.abc import Sequence

from reefmesh_ingest.register.entries import BuoyEntry, MooringEntry, ReefEntry
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.simulator.fleet import Site


async def register_sites(register: Register, sites: Sequence[Site]) -> None:
    """Enter every reef, and every buoy that is not meant to be unknown; again and again changes nothing."""
    reefs, buoys = [], []
    for site in sites:
        device = site.device
        place = {"latitude_degrees": device.latitude_degrees, "longitude_degrees": device.longitude_degrees}
        reefs.append(ReefEntry(id=site.reef_id, name=site.name, mmm_celsius=site.mmm_celsius, mmm_source="simulated", **place))
        if site.registered:
            interval_seconds = round(device.report_interval.total_seconds())
            buoys.append(
                BuoyEntry(
                    id=device.buoy_id,
                    reef=site.reef_id,
                    mooring=MooringEntry(**place),
                    report_interval_seconds=interval_seconds,
                )
            )
    await register.upsert(reefs=reefs, buoys=buoys)
