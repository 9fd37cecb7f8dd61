"""What lies in a parking of the journal, as far as its quota binds it."""

from typing import Final

from reefmesh.broker.embedded.journal import Journal
from reefmesh.broker.parking_quota import DEVICE, ParkedPart, ParkingQuota, ParkingUsage
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.senders import UNAUTHENTICATED

_SUMS: Final = (
    f"SELECT json_extract(headers, '$.{DEVICE}'), reason, SUM(LENGTH(body) + COALESCE(LENGTH(headers), 0)), COUNT(*) "  # noqa: S608 - a constant
    "FROM parked WHERE subscription = ? GROUP BY 1, 2"
)


def usage_of(journal: Journal, subscription: int, quota: ParkingQuota) -> ParkingUsage:
    """Return the usage of the subscription that has this number in the journal."""
    usage = ParkingUsage(quota)
    for device, reason, stored_bytes, messages in journal.execute(_SUMS, (subscription,)):
        usage.add(
            ParkedPart(user_id=UNAUTHENTICATED, device=device, reason=reason, stored_bytes=stored_bytes, messages=messages)
        )
    return usage


def part_of(message: Envelope, reason: str) -> ParkedPart:
    """Return what a message would be in the parking."""
    stored_bytes = len(message.body) + sum(len(name) + len(value) for name, value in message.headers.items())
    return ParkedPart(user_id=UNAUTHENTICATED, device=message.headers.get(DEVICE), reason=reason, stored_bytes=stored_bytes)
