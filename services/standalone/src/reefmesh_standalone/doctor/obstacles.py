"""Checks that the broker is able to work: what it needs is there, and nothing keeps it from taking messages now."""

from collections.abc import Sequence

from reefmesh.broker.probe import Probe
from reefmesh.contracts.services import ServiceEntry
from reefmesh_standalone.doctor.finding import Finding, fail, ok


async def examine_alarm(probe: Probe) -> list[Finding]:
    """Return no finding where the broker takes what is published."""
    found = await probe.alarm()
    return [] if found is None else [fail("broker state", found.said, found.mend)]


async def examine_obstacles(probe: Probe, services: Sequence[ServiceEntry]) -> list[Finding]:
    """Return no finding where the engine has nothing to look for."""
    found = await probe.obstacles([each for service in services for each in service.subscriptions])
    if found is None:
        return []
    if not found:
        return [ok("broker state", "its queues and its memory let it work")]
    return [fail("broker state", obstacle.said, obstacle.mend) for obstacle in found]
