"""Checks that every host of the broker's address has a name that resolves: one of a standby is missed only at a failover."""

from reefmesh.broker.probe import Probe
from reefmesh_standalone.doctor.finding import Finding, ok, warn


async def examine_names(probe: Probe) -> list[Finding]:
    """Check the names beside the one that has answered; a standby need not listen."""
    unresolved = await probe.unresolved_names()
    if unresolved:
        mend = "correct the name in the address or at the name server: a failover to that broker would not be followed"
        return [warn("broker names", "; ".join(unresolved), mend)]
    return [ok("broker names", "each host of the address has a name that resolves, or is an address")]
