"""What the gateway has to know of a registered buoy, and how it learns of a change."""

from collections.abc import Sequence

from reefmesh.contracts import services
from reefmesh.errors import ConfigurationError
from reefmesh.store.port import StoreUnavailable
from reefmesh_gateway.identities.device import EnrolledDevice
from reefmesh_gateway.identities.enrolment import Enrolment
from reefmesh_ingest.register.entries import BuoyEntry
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import open_stores


def device_of(buoy: BuoyEntry) -> EnrolledDevice:
    return EnrolledDevice(
        device=buoy.id,
        reef_id=buoy.reef,
        names=frozenset({buoy.id, *buoy.aliases}),
        report_interval_seconds=buoy.report_interval_seconds,
    )


async def tell_gateway(place: Home, buoys: Sequence[BuoyEntry]) -> str | None:
    """Take over into the gateway's database what the register says now of devices that are enrolled there.

    Returns why that was not possible, in one line: whoever changes the register need not have the gateway's password. Then what
    the device sends through the gateway comes under its reef of before, and ingest keeps it in quarantine.
    """
    if place.store_url is None and not (place.path / f"{services.GATEWAY}.db").exists():
        return None  # no device was ever enrolled
    try:
        async with open_stores(place, services=(services.GATEWAY,)) as stores:
            await Enrolment(stores[services.GATEWAY]).follow([device_of(each) for each in buoys])
    except (ConfigurationError, StoreUnavailable) as error:
        return f"the gateway was not told ({error}); 'reefmesh devices follow' does so, with its database's user"
    return None
