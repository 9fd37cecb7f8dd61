"""Admit, the fourth step: whether the readings of an identified buoy may count at the reef of the message."""

from reefmesh.contracts.channels import UNREGISTERED
from reefmesh_ingest.domain.arrival import Reception
from reefmesh_ingest.domain.decode import Reason, Refusal
from reefmesh_ingest.identity import Identity


def admit(identity: Identity | Refusal, reception: Reception) -> Identity | Refusal:
    """Return the identity of a deployed buoy whose message came in its own reef's group, else why it does not count."""
    if isinstance(identity, Refusal):
        return identity
    device, buoy, reef, reef_id = identity.device, identity.buoy, identity.reef, reception.message.reef_id
    if not buoy.entry.deployed:
        return Refusal(reason=Reason.NOT_DEPLOYED, detail=f"{device} is registered as not deployed")
    if reef_id == UNREGISTERED:
        detail = f"{device} was registered at {reef.entry.id} only after this was received; replay it"
        return Refusal(reason=Reason.UNKNOWN_DEVICE, detail=detail)
    if reef_id != reef.entry.id:
        detail = f"{device} is registered at {reef.entry.id}, the message came under {reef_id}"
        return Refusal(reason=Reason.WRONG_REEF, detail=detail)
    return identity
