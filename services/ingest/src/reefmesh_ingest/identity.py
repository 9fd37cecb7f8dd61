"""Identify, the third step: the buoy and the reef of a message, by the register."""

from dataclasses import dataclass

from reefmesh_ingest.domain.arrival import Reception
from reefmesh_ingest.domain.decode import Reason, Refusal, Report
from reefmesh_ingest.domain.decode.values import clean_text
from reefmesh_ingest.register.known import KnownBuoy, KnownReef
from reefmesh_ingest.register.table import Register


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A registered buoy and the reef where it is registered; ``device`` is the name under which the message came."""

    device: str
    buoy: KnownBuoy
    reef: KnownReef


def device_name(reception: Reception, report: Report | None) -> str | None:
    """The name under which a message is kept. The transport's goes before the body's; without a report there is no body's."""
    name = reception.transport_device or (None if report is None else report.device)
    return clean_text(name, 128) if name else None


def identify(register: Register, reception: Reception, report: Report) -> Identity | Refusal:
    """Find the buoy by its transport's name, else by the body's; where both are stated they must name the same buoy."""
    device = device_name(reception, report)
    if device is None:
        return Refusal(reason=Reason.NO_DEVICE)
    transport, body = reception.transport_device, report.device
    buoy = register.buoy(device)
    if reception.sent_by is not None and not _may_send_for(register, reception.sent_by, device, buoy):
        return Refusal(reason=Reason.SPOOFED, detail=f"{clean_text(reception.sent_by, 128)} sent it for {device}")
    if transport and body and transport != body:
        named = register.buoy(body)
        if named is not buoy or buoy is None:
            detail = f"the transport knew {device}, the message says {clean_text(body, 128)}"
            is_spoofed = reception.sent_by is not None and buoy is not None  # it came with credentials of its own
            reason = Reason.SPOOFED if is_spoofed else Reason.DEVICE_MISMATCH
            return Refusal(reason=reason, detail=detail)
    if buoy is None:
        return Refusal(reason=Reason.UNKNOWN_DEVICE, detail=f"{device} is not registered")
    reef = register.reef(buoy.entry.reef)
    if reef is None:
        return Refusal(reason=Reason.UNKNOWN_DEVICE, detail=f"{device} belongs to reef {buoy.entry.reef}, not registered")
    return Identity(device=device, buoy=buoy, reef=reef)


def _may_send_for(register: Register, user: str, device: str, buoy: KnownBuoy | None) -> bool:
    """Return whether a user of one device's own is this device's, under any of the buoy's names."""
    return user == device or (buoy is not None and register.buoy(user) is buoy)
