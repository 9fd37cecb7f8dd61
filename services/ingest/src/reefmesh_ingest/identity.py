"""Whose telemetry is it: the device that the transport knew and the body names, found in the register."""

from reefmesh.contracts.channels import UNREGISTERED
from reefmesh_ingest.domain.decode import Reason, Refusal
from reefmesh_ingest.domain.decode.values import clean_text
from reefmesh_ingest.register.table import KnownBuoy, KnownReef, Register


def device_name(header: str | None, body: str | None) -> str | None:
    """The name under which a message is kept: the transport's word before the body's."""
    name = header or body
    return clean_text(name, 128) if name else None


def identify(
    register: Register, *, header: str | None, body: str | None, reef_id: str
) -> tuple[KnownBuoy, KnownReef] | Refusal:
    """Return the buoy and its reef, or why the message cannot be used."""
    device = device_name(header, body)
    if device is None:
        return Refusal(reason=Reason.NO_DEVICE)
    buoy = register.buoy(device)
    if header and body and header != body:
        named = register.buoy(body)
        if named is not buoy or buoy is None:
            detail = f"the transport knew {device}, the message says {clean_text(body, 128)}"
            return Refusal(reason=Reason.DEVICE_MISMATCH, detail=detail)
    if buoy is None:
        return Refusal(reason=Reason.UNKNOWN_DEVICE, detail=f"{device} is not registered")
    if not buoy.entry.deployed:
        return Refusal(reason=Reason.NOT_DEPLOYED, detail=f"{device} is registered as not deployed")
    reef = register.reef(buoy.entry.reef)
    if reef is None:
        return Refusal(reason=Reason.UNKNOWN_DEVICE, detail=f"{device} belongs to reef {buoy.entry.reef}, not registered")
    if reef_id == UNREGISTERED:
        detail = f"{device} was registered at {reef.entry.id} only after this was received; replay it"
        return Refusal(reason=Reason.UNKNOWN_DEVICE, detail=detail)
    if reef_id != reef.entry.id:
        detail = f"{device} is registered at {reef.entry.id}, the message came under {reef_id}"
        return Refusal(reason=Reason.WRONG_REEF, detail=detail)
    return buoy, reef
