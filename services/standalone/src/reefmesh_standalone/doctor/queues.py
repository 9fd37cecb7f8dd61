"""Checks that the queues of the services are as this engine makes them: something else, or an older one, may have made them."""

from collections.abc import Sequence
from typing import Final

from reefmesh.broker.probe import Probe
from reefmesh.contracts.services import ServiceEntry
from reefmesh_standalone.doctor.finding import Finding, fail, ok

SHOWN: Final = 3


async def examine_queues(probe: Probe, services: Sequence[ServiceEntry]) -> list[Finding]:
    """Return no finding where the engine has nothing to compare."""
    found = [await probe.misfits(subscription) for service in services for subscription in service.subscriptions]
    compared = [misfits for misfits in found if misfits is not None]
    misfits = [each for some in compared for each in some]
    if not compared:
        return []
    if not misfits:
        return [ok("queues", "the queues that are there have the arguments that keep order and lose nothing")]
    said = "; ".join(misfits[:SHOWN]) + (f"; and {len(misfits) - SHOWN} more" if len(misfits) > SHOWN else "")
    return [
        fail("queues", said, "stop the services, empty these queues, delete them, and start one service, which makes them anew")
    ]
